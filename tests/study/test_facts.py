"""Gold of facts: tables that fit and tables that do not, and figures counted by hand, given gold spans and end to end."""

import json
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.contract import set_modifiers
from kiwi_spacy.errors import FormatError, KiwiError
from kiwi_spacy.schema import load_schema
from kiwi_spacy.study.comparison.compare import Gold, compare
from kiwi_spacy.study.comparison.report import write_report
from kiwi_spacy.study.evaluate import evaluate
from kiwi_spacy.study.fact_gold import COLUMNS, DEFAULTS, FactGold, read_fact_gold
from kiwi_spacy.study.facts import (
    Judged,
    NoteFacts,
    Rates,
    Rules,
    given_facts,
    given_folder,
    judge_status,
    judge_values,
    status_counts,
    value_counts,
    value_rates,
)

SCHEMA = load_schema()
PLAIN = "\t".join(DEFAULTS.values())
# The pipeline of conftest.py finds fever, cough, aspirin and CT, one word each, and "mg" for "81 mg".
TEXT = "PLAN: denies fever. Has bad cough. aspirin 81 mg daily. CT negative."
ANN = """T1\tproblem 13 18\tfever
T2\tnegation 6 12\tdenies
T3\tproblem 24 33\tbad cough
T4\tdrug 35 42\taspirin
T5\tstrength 43 48\t81 mg
T6\tfrequency 49 54\tdaily
T7\tproblem 59 67\tnegative
R1\thasAttr Arg1:T1 Arg2:T2
R2\thasAttr Arg1:T4 Arg2:T5
"""
STATUS = f"""# note\tstart\tend\ttype\twords\tcertainty\ttime\texperiencer\tcondition\tuse
n\t13\t18\tproblem\tfever\tabsent\tcurrent\tpatient\t-\t-
n\t24\t33\tproblem\tbad cough\t{PLAIN}
n\t35\t42\tdrug\taspirin\tpresent\tcurrent\tpatient\t-\t?

n\t59\t67\tproblem\tnegative\tabsent\tcurrent\tpatient\t-\t-
"""
VALUES = """n\t43\t48\tstrength\t81 mg\t{"parts": [{"value": 81, "unit": "mg"}]}
n\t49\t54\tfrequency\tdaily\t{"frequency": 1, "period": 1, "periodUnit": "d"}
"""
HEADINGS = "n\t0\t5\tplan\nn\t7\t12\t-\n"


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    folder = tmp_path / "gold"
    folder.mkdir()
    files = {"n.txt": TEXT, "n.ann": ANN, "status.tsv": STATUS, "values.tsv": VALUES, "sections.tsv": HEADINGS}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_tables_are_read_by_note_and_span(gold: Path) -> None:
    read = read_fact_gold(gold, SCHEMA)
    assert read is not None
    assert (read.status or {})["n"][35, 42, "drug"] == {
        "certainty": "present", "time": "current", "experiencer": "patient", "condition": "-"
    }
    assert read.values == {
        "n": {
            (43, 48, "strength"): {"parts": [{"value": 81, "unit": "mg"}]},
            (49, 54, "frequency"): {"frequency": 1, "period": 1, "periodUnit": "d"},
        }
    }
    assert read.headings == {"n": {(0, "plan"), (7, "-")}}


def test_a_folder_without_tables_has_no_gold_of_facts(gold: Path) -> None:
    for name in COLUMNS:
        (gold / name).unlink()
    assert read_fact_gold(gold, SCHEMA) is None
    with pytest.raises(FormatError, match=r"has none of status\.tsv, values\.tsv, sections\.tsv"):
        given_folder(gold)


@pytest.mark.parametrize(
    "table, line, said",
    [
        pytest.param("status.tsv", "n\t13\t18\tproblem\tfever\tpresent", "6 columns, not 10", id="columns"),
        pytest.param("status.tsv", f"m\t13\t18\tproblem\tfever\t{PLAIN}", "no note of that name", id="note"),
        pytest.param("status.tsv", f"n\t13\t17\tproblem\tfeve\t{PLAIN}", "13-17 is no entity .* no span has", id="borders"),
        pytest.param("status.tsv", f"n\t13\t18\tdrug\tfever\t{PLAIN}", "13-18 is no entity .* stands problem", id="type"),
        pytest.param("status.tsv", f"n\t6\t12\tnegation\tdenies\t{PLAIN}", "6-12 is no entity", id="modifier"),
        pytest.param("status.tsv", f"n\t13\t18\tproblem\tcough\t{PLAIN}", "words are not those of 'n' at 13-18", id="words"),
        pytest.param("status.tsv", f"n\tx\t18\tproblem\tfever\t{PLAIN}", "whole numbers", id="offset"),
        pytest.param(
            "status.tsv", "n\t13\t18\tproblem\tfever\tmaybe\tcurrent\tpatient\t-\t-",
            r"certainty is none of present, possible, absent, \?", id="word",
        ),
        pytest.param(
            "status.tsv", "n\t13\t18\tproblem\tfever\t-\tcurrent\tpatient\t-\t-", "certainty is none of", id="no certainty"
        ),
        pytest.param("values.tsv", "n\t43\t48\tstrength\t81 mg\t{81}", "no JSON at its character 2", id="JSON"),
        pytest.param("values.tsv", "n\t43\t48\tstrength\t81 mg\t81", "value is a int", id="a bare number"),
        pytest.param("values.tsv", f"n\t43\t48\tstrength\t81 mg\t{'[' * 100_000}", "too deep", id="depth"),
        pytest.param("sections.tsv", "n\t5\t999\tplan", "5-999 is no place in 'n'", id="heading"),
        pytest.param("sections.tsv", "n\t0\t5\tplann", "none of those of sections.yml", id="key"),
    ],
)
def test_a_line_that_does_not_fit_is_named(gold: Path, table: str, line: str, said: str) -> None:
    (gold / table).write_text(f"# a comment\n\n{line}\n", encoding="utf-8")
    with pytest.raises(FormatError, match=rf"{table}, line 3: .*{said}") as caught:
        read_fact_gold(gold, SCHEMA, keys={"plan"})
    assert not any(words in str(caught.value) for words in ("fever", "cough", "denies"))


def test_a_line_that_stands_twice_is_named(gold: Path) -> None:
    (gold / "status.tsv").write_text(STATUS + STATUS, encoding="utf-8")
    with pytest.raises(FormatError, match=r"status\.tsv, line 8: the same place as line 2"):
        read_fact_gold(gold, SCHEMA)


def test_a_table_that_is_not_utf8_is_named(gold: Path) -> None:
    (gold / "values.tsv").write_bytes(b"\xff")
    with pytest.raises(FormatError, match=r"values\.tsv: not UTF-8 at byte 0"):
        read_fact_gold(gold, SCHEMA)


def test_lines_of_a_note_that_cannot_be_read_are_passed_over(gold: Path) -> None:
    (gold / "n.ann").write_bytes(b"\xff")
    read = read_fact_gold(gold, SCHEMA)
    assert read is not None
    assert (read.status, read.values, read.headings) == ({}, {}, {})


def one_status(gold: dict[str, str], found: dict[tuple[int, int, str], dict[str, str]], view: Any) -> list[tuple[Any, Any]]:
    span = (0, 9, "problem")
    table = FactGold(status={"n": {span: gold}}, spans={"n": frozenset({span, (20, 25, "problem")})})
    return [(each.gold, each.found) for each in judge_status(table, {"n": NoteFacts(found)}, view)]


ABSENT = {**DEFAULTS, "certainty": "absent"}


@pytest.mark.parametrize(
    "found, exact, relaxed",
    [
        pytest.param({(0, 9, "problem"): ABSENT}, [("absent", "absent")], [("absent", "absent")], id="same"),
        pytest.param(
            {(4, 9, "problem"): ABSENT}, [("absent", None), (None, "absent")], [("absent", "absent")], id="other borders"
        ),
        pytest.param(
            {(0, 9, "test"): ABSENT}, [("absent", None), (None, "absent")], [("absent", None), (None, "absent")], id="other type"
        ),
        pytest.param({}, [("absent", None)], [("absent", None)], id="not found"),
        pytest.param({(20, 25, "problem"): ABSENT}, [("absent", None)], [("absent", None)], id="one that the table leaves out"),
        pytest.param({(30, 35, "drug"): {**DEFAULTS}}, [("absent", None)], [("absent", None)], id="an invented one, all default"),
    ],
)
def test_status_goes_with_the_entity(found: Any, exact: list[Any], relaxed: list[Any]) -> None:
    assert one_status({"certainty": "absent"}, found, "exact") == exact
    assert one_status({"certainty": "absent"}, found, "relaxed") == relaxed


def test_figures_of_an_axis_are_counted_by_hand() -> None:
    pairs = [("absent", "absent"), ("absent", None), ("possible", "absent"), ("present", "absent"), ("present", "present"),
             ("present", None), (None, "absent")]
    judged = [Judged("n", i, i + 1, "certainty", gold, found) for i, (gold, found) in enumerate(pairs)]
    right, rates = status_counts(judged, "certainty")
    assert right == 2 / 6  # an entity that is not found is not right, also where gold has the default
    assert rates == Rates(gold=3, found=4, right=1)
    assert (rates.precision, rates.recall, rates.f1) == (0.25, 1 / 3, 2 / 7)


def test_values_are_compared_without_their_words() -> None:
    span, loose = (0, 5, "strength"), (9, 12, "strength")
    gold = FactGold(values={"n": {span: {"parts": [{"value": 5}]}}}, spans={"n": frozenset({span})})
    found = {"n": NoteFacts(values={span: {"words": "5", "parts": ({"value": 5.0, "unit_words": ""},)}, loose: None})}
    (judged,) = judge_values(gold, found, "exact")
    assert judged == Judged("n", 0, 5, "strength", {"parts": [{"value": 5}]}, {"parts": [{"value": 5.0}]})
    assert value_counts([judged]) == {"right": 1}


def test_a_null_is_a_value_that_no_rate_counts() -> None:
    judged = [Judged("n", 0, 5, "strength", None, None), Judged("n", 6, 9, "strength", None, {"parts": []})]
    assert value_counts(judged) == {"rightly words": 1, "wrong": 1}
    assert value_rates(judged) == Rates(gold=0, found=1, right=0)


def test_evaluate_scores_facts_given_gold_spans_and_end_to_end(nlp: Language, gold: Path) -> None:
    scores = evaluate(nlp, gold)
    axes = scores["facts"]["status"]["axes"]
    assert (axes["certainty"]["judged"], axes["use"]["judged"]) == (4, 3)
    assert axes["certainty"]["given"] == {  # "negative" as a problem is of no cue
        "accuracy": 0.75, "gold": 2, "found": 1, "right": 1, "p": 1.0, "r": 0.5, "f": 0.6667,
    }
    assert axes["certainty"]["exact"]["accuracy"] == 0.5  # fever and aspirin; "cough" is not "bad cough", "negative" is not found
    assert axes["certainty"]["relaxed"]["accuracy"] == 0.75
    values = scores["facts"]["values"]
    assert [values["all"][view]["f"] for view in ("given", "exact", "relaxed")] == [1.0, 0.6667, 0.6667]
    assert values["labels"]["strength"]["relaxed"] == {"gold": 1, "found": 0, "right": 0, "p": 0.0, "r": 0.0, "f": 0.0}
    assert scores["facts"]["sections"] == {"notes": 1, "gold": 2, "found": 1, "right": 1, "p": 1.0, "r": 0.5, "f": 0.6667}
    assert "\nstatus, 1 notes\n  certainty " in scores["table"]


def test_given_facts_leave_the_doc_as_it_is_and_times_relative(nlp: Language) -> None:
    doc = nlp.make_doc("PLAN: 3 weeks ago")
    doc._.note_date = "2024-03-15"
    set_modifiers(doc, [doc.char_span(6, 17, label="temporal")])
    kept = dict(doc.user_data)
    assert given_facts(doc, Rules()).values[6, 17, "temporal"]["offset"] == "-P3W"
    assert "edtf" not in given_facts(doc, Rules()).values[6, 17, "temporal"]
    assert doc.user_data == kept


def test_evaluate_of_a_folder_without_tables_is_as_before(nlp: Language, gold: Path) -> None:
    for name in COLUMNS:
        (gold / name).unlink()
    scores = evaluate(nlp, gold)
    assert "facts" not in scores
    assert "status" not in scores["table"]


def test_evaluate_takes_the_rules_of_the_pipeline(nlp: Language, gold: Path, tmp_path: Path) -> None:
    (tmp_path / "cues.yml").write_text('rules:\n  - {id: negation, terms: ["has"]}\n', encoding="utf-8")
    nlp.add_pipe("kiwi_facts", config={"cues": str(tmp_path / "cues.yml")})
    judged = evaluate(nlp, gold)["facts"]["status"]["axes"]["certainty"]
    assert (judged["given"]["found"], judged["relaxed"]["found"]) == (2, 2)  # "Has bad cough" is absent here


def test_two_notes_of_one_name_are_refused_where_a_table_names_them(nlp: Language, gold: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for name in ("n.txt", "n.ann"):
        (tmp_path / "other" / name).write_bytes((gold / name).read_bytes())
    with pytest.raises(KiwiError, match="Two notes are called 'n'"):
        evaluate(nlp, [gold, tmp_path / "other"])


def test_the_command_says_which_line_does_not_fit(pipeline_path: Path, gold: Path) -> None:
    (gold / "status.tsv").write_text("x\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["evaluate", "-p", str(pipeline_path), "-g", str(gold)])
    assert result.exit_code == 2
    assert "status.tsv, line 1: 1 columns, not 10" in result.stderr


def test_compare_puts_facts_into_its_report(nlp: Language, gold: Path, tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    (peer / "n.ann").write_text("T1\tproblem 13 18\tfever\n", encoding="utf-8")
    report = compare(["rules"], [Gold(gold)], SCHEMA, load=lambda name: nlp, cost_notes=0, predictions={"peer": peer})
    ours, theirs = report["sources"][0]["systems"]
    assert ours["facts"] == evaluate(nlp, gold)["facts"]
    assert theirs["facts"] == {}  # brat spans tell no status of their own
    write_report(report, tmp_path / "r")
    assert json.loads((tmp_path / "r" / "report.json").read_text())["sources"][0]["systems"][0]["facts"] == ours["facts"]
    assert "\n| rules | status: certainty | 4 | 75.0 / **66.7** | 50.0 / " in (tmp_path / "r" / "report.md").read_text()
    assert "Status, values and sections" in (tmp_path / "r" / "report.html").read_text()


def test_a_note_that_a_pipeline_fails_on_has_its_facts_missed(nlp: Language, gold: Path) -> None:
    for name, content in (("bad.txt", "EXPLODE with fever"), ("bad.ann", "T1\tproblem 13 18\tfever\n")):
        (gold / name).write_text(content, encoding="utf-8")
    (gold / "status.tsv").write_text(f"bad\t13\t18\tproblem\tfever\t{PLAIN}\n", encoding="utf-8")
    (system,) = compare(["rules"], [Gold(gold)], SCHEMA, load=lambda name: nlp, cost_notes=0)["sources"][0]["systems"]
    certainty = system["facts"]["status"]["axes"]["certainty"]
    assert [certainty[view]["accuracy"] for view in ("given", "relaxed")] == [1.0, 0.0]


def test_tables_are_left_out_where_labels_are_mapped(gold: Path) -> None:
    from kiwi_spacy.study.comparison.systems import read_source

    source = read_source(gold, SCHEMA, label_map="maccrobat")
    assert source.facts is None
    assert any("left out, as labels are mapped" in problem for problem in source.problems)
