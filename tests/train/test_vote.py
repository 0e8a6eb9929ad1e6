"""Annotations of several systems joined to train on."""

import json
from pathlib import Path

from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.formats.brat import BratNote, read_folder

TEXT = "No chest pain today. Lasix 20 mg, then CT of the head and MRI."


def found(text: str, *spans: tuple[str, str], links: tuple[tuple[int, int], ...] = ()) -> str:
    lines = []
    for i, (label, words) in enumerate(spans, 1):
        start = text.index(words)
        lines.append(f"T{i}\t{label} {start} {start + len(words)}\t{words}")
    return "\n".join(lines + [f"R{i}\thasAttr Arg1:T{h} Arg2:T{m}" for i, (h, m) in enumerate(links, 1)]) + "\n"


def test_most_votes_win_and_links_follow_the_chosen_entities(tmp_path: Path) -> None:
    systems = {
        "first": found(
            TEXT, ("problem", "pain"), ("negation", "No"), ("drug", "Lasix"), ("strength", "20 mg"), ("test", "CT"),
            ("test", "MRI"), links=((1, 2), (3, 4)),
        ),
        "second": found(TEXT, ("problem", "chest pain"), ("bodyloc", "chest"), ("test", "CT of the head"), ("drug", "Lasix")),
        "third": found(TEXT, ("problem", "chest pain"), ("problem", "today")),
    }
    for name, ann in {"texts": None, **systems}.items():
        (tmp_path / name).mkdir()
        if ann is None:
            (tmp_path / name / "a.txt").write_text(TEXT)
        else:
            (tmp_path / name / "a.ann").write_text(ann)
    (tmp_path / "texts" / "b.txt").write_text("Lasix")
    (tmp_path / "first" / "b.ann").write_text("T1\tdrug 0 5\tLasix\n")  # which the others lack
    folders = [str(tmp_path / name) for name in systems]
    told = CliRunner().invoke(app, ["vote", str(tmp_path / "texts"), *folders, "--output", str(tmp_path / "out")])
    assert told.exit_code == 1  # a note is left out, and named
    assert told.stdout.startswith("1 notes") and "b: not annotated by all" in told.stderr
    (note,) = read_folder(tmp_path / "out")
    assert isinstance(note, BratNote) and not note.problems
    words = {s.id: (s.label, TEXT[s.start_char : s.end_char]) for s in note.spans}
    # Two of three say "chest pain"; "CT" goes with the first of two; "MRI" and "today" had one vote and no company.
    assert set(words.values()) == {
        ("problem", "chest pain"), ("negation", "No"), ("drug", "Lasix"), ("strength", "20 mg"), ("test", "CT"),
    }
    assert {(words[h], words[m]) for h, m in note.links} == {
        (("problem", "chest pain"), ("negation", "No")), (("drug", "Lasix"), ("strength", "20 mg")),
    }


def test_unlabelled_texts_become_notes_of_shorter_lines(tmp_path: Path) -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(60))
    rows = [{"id": f"a/{i}", "text": text if i else "Short."} for i in range(5)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = ["unlabelled", str(tmp_path / "texts.jsonl"), "--output", str(tmp_path / "out"), "--number", "3"]
    told = CliRunner().invoke(app, args).stdout
    assert told.startswith("3 of 4 texts")
    written = sorted((tmp_path / "out").glob("*.txt"))
    assert len(written) == 3 and written[0].name.startswith("a_")
    for path in written:
        assert "\n" in path.read_text() and path.read_text().replace("\n", " ") == text  # offsets stay
