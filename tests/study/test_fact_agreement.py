"""Two annotators of facts: figures counted by hand, spans of one side alone, texts that differ."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kiwi_spacy.cli import app
from kiwi_spacy.errors import FormatError
from kiwi_spacy.schema import load_schema
from kiwi_spacy.study.annotation.agreement import agree
from kiwi_spacy.study.annotation.fact_agreement import FactAgreement, agree_facts
from kiwi_spacy.study.facts import Rates

SCHEMA = load_schema()
ROOT = Path(__file__).parents[2]
TEXT = "PMH: gout, mumps, asthma. Aspirin 81 mg at noon."
SPANS = ["problem 5 9\tgout", "problem 11 16\tmumps", "problem 18 24\tasthma", "drug 26 33\tAspirin", "strength 34 39\t81 mg",
         "frequency 43 47\tnoon"]
PLACES = ["5\t9\tproblem\tgout", "11\t16\tproblem\tmumps", "18\t24\tproblem\tasthma", "26\t33\tdrug\tAspirin"]


def put(folder: Path, status: list[str], values: list[str], headings: list[str], *, text: str = TEXT, spans: list[str]) -> Path:
    """Write a folder with one note; of status each line is the five words, of values the JSON of strength and frequency."""
    folder.mkdir()
    (folder / "n.txt").write_text(text, encoding="utf-8")
    (folder / "n.ann").write_text("".join(f"T{i}\t{span}\n" for i, span in enumerate(spans, 1)), encoding="utf-8")
    rows = [f"n\t{place}\t" + "\t".join(words.split()) for place, words in zip(PLACES, status)]
    told = [f"n\t{place}\t{value}" for place, value in zip(("34\t39\tstrength\t81 mg", "43\t47\tfrequency\tnoon"), values)]
    for name, lines in (("status", rows), ("values", told), ("sections", [f"n\t{heading}" for heading in headings])):
        if lines:
            (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """B's folder has the spans of A alone: it marked fewer itself."""
    a = put(
        tmp_path / "a",
        ["present historical patient - -", "absent historical patient - -", "present current family - ?",
         "present current patient - taking"],
        ['{"parts": [{"value": 81, "unit": "mg"}]}', '{"when": ["NOON"]}'], ["0\t4\tpast_medical_history"], spans=SPANS,
    )
    b = put(
        tmp_path / "b",
        ["present historical patient - -", "absent current patient - -", "present ? patient - -",
         "present current patient - taking"],
        ['{"parts": [{"value": 81, "unit": "mg"}]}', "null"], ["0\t4\tmedications", "26\t33\tmedications"], spans=SPANS[:1],
    )
    return a, b


def facts(folders: tuple[Path, Path]) -> FactAgreement:
    found = agree_facts(*folders, SCHEMA)
    assert found is not None
    return found


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["agree", *(str(arg) for arg in args)])


def test_status_is_counted_by_hand(folders: tuple[Path, Path]) -> None:
    axes = facts(folders).to_dict()["status"]
    time = axes["time"]
    assert (time["items"], time["accuracy"]) == (3, 0.6667)  # B left one unjudged
    assert time["not_default"] == {"gold": 2, "found": 1, "right": 1, "p": 1.0, "r": 0.5, "f": 0.6667}
    assert time["kappa"] == 0.4  # observed 2/3; by chance (2 * 1 + 1 * 2) / 9
    assert time["kappa_with_unjudged"] == 0.2  # observed 2/4; by chance (2 * 1 + 2 * 2) / 16
    assert axes["certainty"]["kappa"] == 1.0
    assert axes["condition"]["kappa"] is None  # one word alone


def test_values_and_headings_are_counted_by_hand(folders: tuple[Path, Path]) -> None:
    found = facts(folders)
    values = found.to_dict()["values"]
    assert values["all"] == {"spans": 2, "same": 1, "gold": 2, "found": 1, "right": 1, "p": 1.0, "r": 0.5, "f": 0.6667}
    assert values["labels"]["frequency"]["same"] == 0
    assert found.headings == Rates(gold=1, found=2, right=0)
    assert [(each.what, each.start_char, each.gold, each.found) for each in found.disagreements] == [
        ("time", 11, "historical", "current"), ("time", 18, "current", "?"), ("experiencer", 18, "family", "patient"),
        ("use", 18, "?", "-"), ("frequency", 43, {"when": ["NOON"]}, None),
        ("heading", 0, "past_medical_history", "medications"), ("heading", 26, None, "medications"),
    ]


def test_the_command_prints_facts_and_shows_values_only_when_asked(folders: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*folders, "-o", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    assert "  time              3     0.667   0.667   0.400   0.200\n" in result.stdout
    assert "Headings with their key in 1 notes: 1 of A, 2 of B, 0 of both, F1 0.000\n" in result.stdout
    assert "NOON" not in result.output + (tmp_path / "out.json").read_text()
    assert 'n  frequency 43-47: A {"when": ["NOON"]}, B null\n' in run(*folders, "--show-text").stdout


def test_spans_that_one_table_alone_names_are_counted(folders: tuple[Path, Path]) -> None:
    table = folders[1] / "status.tsv"
    table.write_text("\n".join(table.read_text().splitlines()[1:]) + "\n")
    found = facts(folders)
    assert found.alone["status"] == (1, 0)
    assert "In one table of status alone, not compared: 1 spans of A, 0 of B" in run(*folders).stdout


def test_a_table_that_one_folder_lacks_is_named(folders: tuple[Path, Path]) -> None:
    (folders[1] / "values.tsv").unlink()
    assert facts(folders).values is None
    assert "Only A has these tables, not compared: values.tsv" in run(*folders).stdout


def test_without_tables_the_comparison_is_as_before(folders: tuple[Path, Path]) -> None:
    for table in folders[1].glob("*.tsv"):
        table.unlink()
    assert agree_facts(*folders, SCHEMA) is None
    assert "facts" not in agree(*folders).to_dict()


def test_a_note_whose_texts_differ_is_named_and_not_compared(folders: tuple[Path, Path]) -> None:
    (folders[1] / "n.txt").write_text(TEXT.replace("noon.", "noon. "), encoding="utf-8")
    (folders[1] / "n.ann").write_text((folders[0] / "n.ann").read_text(), encoding="utf-8")
    found = facts(folders)
    assert (found.unequal, found.status) == (["n"], [])
    (folders[0] / "m.txt").write_text("Well.")
    (folders[1] / "m.txt").write_text("Unwell.")
    for folder in folders:
        (folder / "m.ann").write_text("")  # a note that no table names
    assert facts(folders).unequal == ["n"]
    assert "The texts of these notes differ, so their facts are not compared: n" in run(*folders).stdout


def test_tables_of_a_folder_that_lacks_text_and_spans_stand_at_the_others(folders: tuple[Path, Path]) -> None:
    before = facts(folders)
    for name in ("n.txt", "n.ann"):
        (folders[1] / name).unlink()
    assert facts(folders) == before


def test_notes_of_other_names_go_together_by_pairs(folders: tuple[Path, Path]) -> None:
    for path in list(folders[1].iterdir()):
        if path.suffix == ".tsv":
            path.write_text(re.sub("^n", "m", path.read_text(), flags=re.MULTILINE))
        if path.stem == "n":
            path.rename(path.with_name(f"m{path.suffix}"))
    found = agree_facts(*folders, SCHEMA, pairs=[("n", "m")])
    assert found is not None
    assert (found.notes["status"], found.alone["status"]) == (["n"], (0, 0))


def test_a_line_that_fits_neither_side_is_named(folders: tuple[Path, Path]) -> None:
    (folders[1] / "status.tsv").write_text("n\t5\t8\tproblem\tgou\tpresent\tcurrent\tpatient\t-\t-\n")
    with pytest.raises(FormatError, match=r"b/status\.tsv, line 1: 5-8 is no entity"):
        agree(*folders)


def test_the_second_annotation_of_our_own_notes_agrees_as_the_corpus_page_says() -> None:
    found = agree_facts(ROOT / "corpus/test", ROOT / "corpus/test-second", SCHEMA)
    assert found is not None
    told = found.to_dict()
    assert {axis: (row["items"], row["kappa"]) for axis, row in told["status"].items()} == {
        "certainty": (188, 1.0), "time": (184, 1.0), "experiencer": (193, 1.0), "condition": (193, 0.9313), "use": (187, 1.0)
    }
    assert (told["values"]["all"]["spans"], told["values"]["all"]["same"], told["values"]["all"]["f"]) == (389, 388, 0.9974)
    assert found.headings == Rates(42, 42, 42)
