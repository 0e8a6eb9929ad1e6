"""Two annotators: hand-counted figures, texts of another layout, notes that cannot be compared."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from kiwi_spacy.cli import app
from kiwi_spacy.errors import FormatError, KiwiError
from kiwi_spacy.study.annotation.agreement import (
    Agreement,
    agree,
    cohen_kappa,
    format_agreement,
    pair_spans,
    read_pairs,
    token_labels,
)
from kiwi_spacy.study.annotation.alignment import align_texts, carry_span, invert, trim_span

ROOT = Path(__file__).parents[2]
SHARED = os.environ.get("KIWI_SHARED")
TEXT = "No fever or left knee pain. Aspirin 81 mg daily."
MARKED = ["fever=problem", "left knee pain=problem", "left knee=bodyloc", "No=negation", "Aspirin=drug", "81 mg=strength"]
LINKS = [("fever", "No"), ("left knee pain", "left knee"), ("Aspirin", "81 mg")]


def put(
    folder: Path, name: str, text: str | None, marked: list[str], links: Iterable[tuple[str, str]] = (), *, of: str = ""
) -> None:
    """Write a note; `marked` holds `words=label`, found in the text (or in `of`, where the text is not written)."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        (folder / f"{name}.txt").write_bytes(text.encode())
    text = text if text is not None else of
    lines, ids = [], {}
    for i, item in enumerate(marked, 1):
        words, label = item.rsplit("=", 1)
        start = text.index(words)
        ids[words] = f"T{i}"
        lines.append(f"T{i}\t{label} {start} {start + len(words)}\t{' '.join(words.split())}")
    lines += [f"R{i}\thasAttr Arg1:{ids[head]} Arg2:{ids[tail]}\t" for i, (head, tail) in enumerate(links, 1)]
    (folder / f"{name}.ann").write_bytes("".join(line + "\n" for line in lines).encode())


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["agree", *(str(arg) for arg in args)])


def f1(result: Agreement, rule: str = "exact") -> list[float]:
    return [round(task.total.f1(rule), 4) for task in result.scores.tasks.values()]  # type: ignore[arg-type]


def kinds(result: Agreement) -> list[tuple[str, list[str]]]:
    return [(d.kind, [f"{p.label} {p.text}" for p in d.places]) for d in result.disagreements]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A as above; B marks less of the knee, calls the drug a treatment, and lacks the strength."""
    a, b = tmp_path / "a", tmp_path / "b"
    put(a, "n", TEXT, MARKED, LINKS)
    put(b, "n", TEXT, ["fever=problem", "knee pain=problem", "left knee=bodyloc", "No=negation", "Aspirin=treatment"],
        [("fever", "No"), ("knee pain", "left knee")])
    return a, b


def test_agree_gives_hand_counted_figures(folders: tuple[Path, Path]) -> None:
    result = agree(*folders)
    assert f1(result) == [round(1 / 3, 4), 0.8, 0.4]  # of 3 and 3, 1; of 3 and 2, 2; of 3 and 2 links, 1
    assert f1(result, "relaxed") == [round(2 / 3, 4), 0.8, 0.8]
    assert kinds(result) == [
        ("other borders", ["problem left knee pain", "problem knee pain"]),
        ("other label", ["drug Aspirin", "treatment Aspirin"]),
        ("only in A", ["strength 81 mg"]),
        ("link only in A", ["problem left knee pain", "bodyloc left knee"]),
        ("link only in B", ["problem knee pain", "bodyloc left knee"]),
        ("link only in A", ["drug Aspirin", "strength 81 mg"]),
    ]
    # No fever or left knee pain . Aspirin 81 mg daily . : 12 tokens
    assert result.labels["tokens"] == Counter(
        {("O", "O"): 7, ("problem", "problem"): 3, ("problem", "O"): 1, ("drug", "treatment"): 1}
    )
    assert result.labels["entities"] == Counter({("problem", "problem"): 1, ("drug", "treatment"): 1})
    by_chance = (7 * 8 + 4 * 3) / 12**2
    kappa = result.to_dict()["kappa"]
    assert kappa["tokens"]["kappa"] == round((10 / 12 - by_chance) / (1 - by_chance), 4)
    assert kappa["entities"]["kappa"] == round((1 / 2 - 1 / 4) / (1 - 1 / 4), 4)
    assert (kappa["modifiers"]["kappa"], kappa["modifiers"]["items"]) == (1.0, 2)


def test_agree_is_the_same_the_other_way_round(folders: tuple[Path, Path]) -> None:
    one, other = agree(*folders), agree(*folders[::-1])
    assert (f1(one), f1(one, "relaxed")) == (f1(other), f1(other, "relaxed"))
    assert one.to_dict()["kappa"]["tokens"]["kappa"] == other.to_dict()["kappa"]["tokens"]["kappa"]


LAYOUTS = {
    "crlf": TEXT.replace(" or ", " or\r\n"),
    "wrapped": TEXT.replace(" knee", "\n   knee").replace("81 ", "81\n"),
    "old-mac-and-mark": "\ufeff" + TEXT.replace(" ", "\r"),
    "spaced-marks": TEXT.replace(".", " . "),
    "heading": "HISTORY OF PRESENT ILLNESS:\n" + TEXT + "\nKeywords: none",
    "hyphenated": TEXT.replace("Aspirin", "Aspi-\nrin").replace("knee", "kn-\n  ee"),
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("swapped", [False, True], ids=["second", "first"])
def test_layout_is_no_disagreement(tmp_path: Path, text: str, swapped: bool) -> None:
    def there(words: str) -> str:
        """The same words as `text` has them."""
        to_text = invert(align_texts(TEXT, text), len(TEXT))
        span = carry_span(TEXT.index(words), TEXT.index(words) + len(words), to_text)
        assert span is not None
        return text[slice(*span)]

    put(tmp_path / "a", "n", TEXT, MARKED, LINKS)
    marked = [f"{there(words)}={label}" for words, label in (item.split("=") for item in MARKED)]
    put(tmp_path / "b", "n", text, marked, [(there(head), there(tail)) for head, tail in LINKS])
    result = agree(*((tmp_path / "b", tmp_path / "a") if swapped else (tmp_path / "a", tmp_path / "b")))
    assert (f1(result), result.disagreements, result.left_out, result.problems) == ([1.0, 1.0, 1.0], [], [], [])
    assert result.to_dict()["kappa"]["tokens"]["kappa"] == 1.0


def test_a_span_that_one_text_lacks_is_left_out_and_reported(tmp_path: Path) -> None:
    put(tmp_path / "a", "n", TEXT, ["fever=problem"])
    more = TEXT + " Denies asthma since May."
    put(tmp_path / "b", "n", more, ["fever=problem", "Denies=negation", "asthma=problem"], [("asthma", "Denies")])
    result = agree(tmp_path / "a", tmp_path / "b")
    assert (f1(result), result.disagreements) == ([1.0, 0.0, 0.0], [])
    at = more.index("Denies")
    assert [(o.side, [(p.start, p.end, p.label) for p in o.places]) for o in result.left_out] == [
        ("B", [(at, at + 6, "negation")]), ("B", [(at + 7, at + 13, "problem")]),
        ("B", [(at + 7, at + 13, "problem"), (at, at + 6, "negation")]),
    ]
    assert "left out: 0 spans and 0 links of A, 2 spans and 1 links of B" in format_agreement(result)
    assert [o.side for o in agree(tmp_path / "b", tmp_path / "a").left_out] == ["A"] * 3
    assert result.labels["tokens"].total() == agree(tmp_path / "b", tmp_path / "a").labels["tokens"].total() == 12


def test_white_space_at_the_ends_of_a_span_does_not_count(tmp_path: Path) -> None:
    put(tmp_path / "a", "n", TEXT, [" fever =problem"])
    put(tmp_path / "b", "n", TEXT, ["fever=problem"])
    assert f1(agree(tmp_path / "a", tmp_path / "b"))[0] == 1.0


def test_predictions_without_texts_take_the_other_folders(tmp_path: Path) -> None:
    text = TEXT.replace(" or ", "\r\n")
    put(tmp_path / "gold", "deep/n", text, ["left knee pain=problem"])
    put(tmp_path / "found", "deep/n", None, ["left knee pain=problem"], of=text)
    for order in (("found", "gold"), ("gold", "found")):
        result = agree(*(tmp_path / name for name in order))
        assert (result.notes, f1(result)[0], result.problems) == (["deep/n"], 1.0, [])


def test_pairs_join_notes_of_other_names_in_one_folder(tmp_path: Path) -> None:
    put(tmp_path, "ann a", TEXT, MARKED, LINKS)
    put(tmp_path, "bob", TEXT, MARKED, LINKS)
    put(tmp_path, "other", TEXT, [])
    (tmp_path / "pairs").write_text("\ufeffann a\tbob.txt\r\n\r\nbob other\nbob other\n", encoding="utf-8")
    result = agree(tmp_path, tmp_path, pairs=tmp_path / "pairs")
    assert (result.notes, result.scores.entities.total.gold, result.only_a) == (["ann a = bob", "bob = other"], 6, [])
    with pytest.raises(KiwiError, match="is both folders"):
        agree(tmp_path, tmp_path)


@pytest.mark.parametrize(
    "lines, said", [("one\n", "line 1"), ("a b\na b c\n", "line 2"), ("a\t\n", "line 1"), ("\n", "no pair")]
)
def test_read_pairs_says_which_line_is_wrong(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "pairs").write_text(lines)
    with pytest.raises(FormatError, match=said):
        read_pairs(tmp_path / "pairs")


def test_a_bad_note_is_reported_and_the_others_are_done(folders: tuple[Path, Path]) -> None:
    a, b = folders
    put(a, "latin", TEXT, [])
    put(b, "latin", TEXT, [])
    (b / "latin.txt").write_bytes(b"SECRET \xe9")
    put(a, "unmarked", TEXT, [])
    (b / "unmarked.txt").write_text(TEXT)
    put(a, "textless", None, [])
    put(b, "textless", None, [])
    put(a, "strange", "SECRET words of one person", [])
    put(b, "strange", "lungs clear to auscultation", [])
    put(a, "alone", TEXT, [])
    put(b, "odd", TEXT, [])
    (a / "n.ann").write_text((a / "n.ann").read_text() + "T99\tdrug 900 905\tSECRET\n")
    result = run(a, b)
    assert result.exit_code == 1
    assert [line for line in result.stderr.splitlines() if line.startswith("failed: ")] == [
        f"failed: {b}/latin.txt, line 1: not UTF-8 at byte 7 of the file. Convert it to UTF-8.",
        f"failed: {a}/strange.ann, {b}/strange.ann: the texts are of two notes, with 0% of the shorter in common. "
        "Rename one, or say by --pairs what goes together.",
        f"failed: {a}/textless.ann: no textless.txt beside it, nor textless.txt beside {b}/textless.ann. Add one of them.",
        f"failed: {b}/unmarked.ann: not there. Add it, empty if nothing is to be marked in the note.",
    ]
    assert f"{a}/n.ann, line 10: T99 is at 900-905" in result.stderr
    assert "1 compared, 4 failed, 1 problems" in result.stderr
    assert "Only A has these notes, not compared: alone" in result.stdout
    assert "Only B has these notes, not compared: odd" in result.stdout
    assert "SECRET" not in result.output


def test_a_pair_that_is_missing_does_not_stop_the_others(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("gone n\nn n\n")
    result = run(*folders, "--pairs", tmp_path / "pairs")
    assert (result.exit_code, f"failed: {folders[0]}/gone.ann: not there." in result.stderr) == (1, True)
    assert "1 compared, 1 failed" in result.stderr
    (tmp_path / "pairs").write_text("n n\n")
    same = run(folders[0], folders[0], "--pairs", tmp_path / "pairs")
    assert (same.exit_code, "paired with itself" in same.stderr) == (1, True)


@pytest.mark.parametrize("second", ["empty", "missing"])
def test_nothing_in_common_is_one_line_and_exit_code_2(folders: tuple[Path, Path], tmp_path: Path, second: str) -> None:
    (tmp_path / "empty").mkdir()
    result = run(folders[0], tmp_path / second)
    assert (result.exit_code, result.stdout) == (2, "")
    assert ("have no note of one name" if second == "empty" else "is no folder") in result.stderr


def test_note_text_is_shown_only_where_it_is_asked_for(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "agreement.json"
    result = run(*folders, "--output", out)
    assert result.exit_code == 0
    assert "  n  other label  drug 28-35 | treatment 28-35\n" in result.stdout
    assert "Aspirin" not in result.output + out.read_text() + repr(agree(*folders))
    written = json.loads(out.read_text())
    assert written["disagreements"][2] == {
        "note": "n", "kind": "only in A", "places": [{"start": 36, "end": 41, "label": "strength"}]
    }
    assert (written["notes"], written["scores"]["relations"]["all"]["exact"]["f"]) == (["n"], 0.4)
    result = run(*folders, "--output", out, "--show-text")
    assert '  n  other label  drug 28-35 "Aspirin" | treatment 28-35 "Aspirin"\n' in result.stdout
    assert json.loads(out.read_text())["disagreements"][2]["places"][0]["text"] == "81 mg"


def test_a_schema_of_ones_own_says_what_counts(tmp_path: Path) -> None:
    (tmp_path / "schema.yml").write_text(
        "entities:\n  finding: {definition: x, colour: red}\n  drug: {definition: x, colour: red}\nmodifiers: {}\n"
    )
    for side in "ab":
        put(tmp_path / side, "n", TEXT, ["fever=finding", "Aspirin=drug", "No=negation"])
    result = agree(tmp_path / "a", tmp_path / "b", schema=str(tmp_path / "schema.yml"))
    assert set(result.scores.entities.labels) == {"drug", "finding"}
    assert len(result.problems) == 2


@pytest.mark.parametrize(
    "counts, expected",
    [
        ({}, None),
        ({("x", "x"): 9}, None),
        ({("x", "y"): 4}, 0.0),
        ({("x", "x"): 3, ("x", "y"): 1}, 0.0),
        ({("x", "x"): 5, ("y", "y"): 5}, 1.0),
        ({("x", "y"): 5, ("y", "x"): 5}, -1.0),
    ],
    ids=["nothing", "one-category", "two-constants", "one-constant", "perfect", "opposite"],
)
def test_cohen_kappa_by_hand(counts: dict[tuple[str, str], int], expected: float | None) -> None:
    assert cohen_kappa(counts) == expected


def test_kappa_that_is_not_defined_is_said_so(tmp_path: Path) -> None:
    for side in "ab":
        put(tmp_path / side, "n", TEXT, [])
    result = agree(tmp_path / "a", tmp_path / "b")
    assert [entry["kappa"] for entry in result.to_dict()["kappa"].values()] == [None, None, None]
    assert format_agreement(result).count("not defined") == 3


def test_token_labels_give_a_token_of_two_entities_to_the_longer() -> None:
    entities = [(0, 9, "problem"), (5, 9, "test"), (10, 11, "drug")]
    assert token_labels(entities, [(0, 4), (5, 9), (10, 14), (15, 16)]) == ["problem", "problem", "drug", "O"]


def test_pair_spans_takes_equal_borders_before_overlaps() -> None:
    a = [(0, 10, "problem"), (12, 20, "problem")]
    b = [(8, 18, "problem"), (0, 10, "test"), (0, 2, "problem")]
    assert pair_spans(a, b) == [
        (None, (0, 2, "problem")), ((0, 10, "problem"), (0, 10, "test")), ((12, 20, "problem"), (8, 18, "problem")),
    ]


WORDS = st.lists(st.sampled_from(["no", "fever", "knee-pain", "b.i.d.", "*", ",", "(20", "mg)", "été", "---"]), min_size=1)
SPACES = st.sampled_from([" ", "  ", "\n", "\r\n", "\t", "\u00a0", " \r"])


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_carrying_a_span_to_a_rewrapped_copy_keeps_its_words(data: st.DataObject) -> None:
    words = data.draw(WORDS)
    a, b = ("".join(word + data.draw(SPACES) for word in words) for _ in range(2))
    b = data.draw(st.sampled_from(["", "HEADING:\r\n"])) + b + data.draw(st.sampled_from(["", "Signed"]))
    start = data.draw(st.integers(0, len(a) - 1))
    end = data.draw(st.integers(start + 1, len(a)))
    span = trim_span(a, start, end)
    if span is None:
        assert not a[start:end].strip()
        return
    to_a = align_texts(a, b)
    carried = carry_span(*span, invert(to_a, len(a)))
    assert carried is not None
    assert "".join(b[slice(*carried)].split()) == "".join(a[start:end].split())
    assert carry_span(*carried, to_a) == span


@settings(deadline=None, max_examples=150)
@given(st.text("ab -\n", max_size=60), st.text("ab -\n", max_size=60))
def test_an_alignment_rises_and_pairs_equal_characters(a: str, b: str) -> None:
    to_a = align_texts(a, b)
    paired = [(at_a, at_b) for at_b, at_a in enumerate(to_a) if at_a >= 0]
    assert len(to_a) == len(b)
    assert paired == sorted(paired)
    assert len({at_a for at_a, _ in paired}) == len(paired)
    assert all(a[at_a] == b[at_b] and not a[at_a].isspace() for at_a, at_b in paired)


def test_other_words_are_not_aligned_by_their_letters() -> None:
    assert align_texts("mild pain today", "mild rash today")[5:9] == [-1] * 4
    spelt = align_texts("recieved it", "received it")
    assert (spelt[:3], spelt[5:]) == ([0, 1, 2], [5, 6, 7, -1, 9, 10])


def test_a_long_note_is_aligned() -> None:
    text = "".join((ROOT / "corpus" / "train" / name).read_text() for name in sorted(os.listdir(ROOT / "corpus" / "train"))
                   if name.endswith(".txt"))[:20_000]
    words = text.split()
    changed = "HEADING\n" + "\n".join(word for i, word in enumerate(words) if i % 25)
    to_a = align_texts(text, changed)
    assert sum(at >= 0 for at in to_a) >= 0.99 * sum(map(len, changed.split())) - len("HEADING")


def test_our_own_notes_annotated_twice() -> None:
    result = agree(ROOT / "corpus" / "test", ROOT / "corpus" / "test-second")
    assert (len(result.notes), result.only_b, result.left_out, result.problems, result.failed) == (6, [], [], [], [])
    assert [round(value, 3) for value in f1(result)] == [0.953, 0.903, 0.876]  # corpus/README.md
    assert round(cohen_kappa(result.labels["tokens"]) or 0, 3) == 0.959


@pytest.mark.skipif(not SHARED, reason="KIWI_SHARED does not name the folder that holds mtsamples/train")
def test_the_doubly_annotated_notes_of_mtsamples(tmp_path: Path) -> None:
    folder = Path(str(SHARED)) / "mtsamples" / "train"
    (tmp_path / "pairs").write_text(
        "141_20210112211712 25_20210610044410_Isra\n134_20210112211711 11_20210610044406_Isra\n"
    )
    result = agree(folder, folder, pairs=tmp_path / "pairs")
    assert ([round(value, 2) for value in f1(result)], result.left_out) == ([0.95, 0.73, 0.80], [])
