"""`kiwi compare`, `kiwi check` and the learning curve, with a pipeline of fixed words and hand-made notes."""

import importlib.util
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.schema import load_schema, schema_from_dict
from kiwi_spacy.study.comparison.compare import Gold, compare, parse_gold
from kiwi_spacy.study.comparison.report import write_report
from kiwi_spacy.study.comparison.resources import Cost
from kiwi_spacy.study.comparison.systems import GoldNote, Source, read_predictions, read_source
from kiwi_spacy.study.evaluate import evaluate
from kiwi_spacy.study.site.check import check, split_folds
from kiwi_spacy.study.site.curve import format_curve, learning_curve, nested_parts, write_curve
from kiwi_spacy.train.loop import finetune

SHARED = os.environ.get("KIWI_SHARED")
SCHEMA = load_schema()
NOTES = {
    "a": ("She denies fever. Has cough daily.", ["T1\tproblem 11 16\tfever", "T2\tnegation 4 10\tdenies",
          "T3\tproblem 22 27\tcough", "R1\thasAttr Arg1:T1 Arg2:T2"]),
    "b": ("aspirin 81 mg daily, no cough", ["T1\tdrug 0 7\taspirin", "T2\tstrength 8 13\t81 mg", "T3\tfrequency 14 19\tdaily",
          "R1\thasAttr Arg1:T1 Arg2:T2", "R2\thasAttr Arg1:T1 Arg2:T3"]),
    "c": ("CT of the chest: mild fever <script>", ["T1\ttest 0 15\tCT of the chest", "T2\tproblem 17 27\tmild fever",
          "T3\tseverity 17 21\tmild", "R1\thasAttr Arg1:T2 Arg2:T3"]),
}


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    folder = tmp_path / "gold"
    folder.mkdir()
    for name, (text, lines) in NOTES.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        (folder / f"{name}.ann").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(pipelines: list[str], gold: Path, load: object, **options: object) -> dict:
    return compare(pipelines, [Gold(gold)], SCHEMA, load=load, cost_notes=0, **options)  # type: ignore[arg-type]


def test_compare_counts_by_hand(nlp: Language, gold: Path) -> None:
    (system,) = run(["rules"], gold, lambda name: nlp)["sources"][0]["systems"]
    entities = system["figures"]["entities"]["all"]
    assert (entities["gold"], entities["pred"], entities["few"]) == (5, 6, True)
    assert (entities["exact"]["p"], entities["exact"]["r"]) == (0.5, 0.6)
    assert (entities["relaxed"]["p"], entities["relaxed"]["r"]) == (0.8333, 1.0)
    assert system["mistakes"]["entities"] == {"boundary short": 2, "invented": 1}
    assert system["figures"]["relations"]["all"]["gold"] == 4
    assert system["scores"]["relations"]["predictions"] == 5


def test_a_system_does_not_differ_from_itself_under_another_name(nlp: Language, gold: Path) -> None:
    report = run(["rules", "again"], gold, lambda name: nlp)
    (pair,) = report["sources"][0]["differences"]
    assert {row["difference"] for row in pair["rows"]} == {0.0}
    assert {row["p"] for row in pair["rows"]} == {1.0}


def test_predictions_of_another_system_stand_beside(nlp: Language, gold: Path, tmp_path: Path) -> None:
    other = tmp_path / "peer"
    other.mkdir()
    (other / "a.ann").write_text("T1\tproblem 11 16\tfever\n", encoding="utf-8")
    (other / "b.ann").write_bytes(b"\xff\xfe")
    report = run(["rules"], gold, lambda name: nlp, predictions={"peer": other})
    peer = report["sources"][0]["systems"][1]
    assert (peer["system"], peer["figures"]["entities"]["all"]["exact"]["p"]) == ("peer", 1.0)
    assert [each["note"] for each in peer["failed"]] == ["b", "c"]
    assert peer["scores"] == {}
    with pytest.raises(KiwiError, match="none of the 3 notes"):
        read_predictions(tmp_path, read_source(gold, SCHEMA), SCHEMA)


def test_a_note_that_a_pipeline_fails_on_counts_as_empty_and_is_named(nlp: Language, gold: Path) -> None:
    (gold / "bad.txt").write_text("EXPLODE with fever", encoding="utf-8")
    (gold / "bad.ann").write_text("T1\tproblem 13 18\tfever\n", encoding="utf-8")
    (system,) = run(["rules"], gold, lambda name: nlp)["sources"][0]["systems"]
    (failed,) = system["failed"]
    assert failed["note"] == "bad"
    assert re.fullmatch(r"the pipeline raised RuntimeError at tests/conftest\.py:\d+ in kiwi_test_rules", failed["reason"])
    assert (system["figures"]["entities"]["all"]["gold"], system["figures"]["entities"]["all"]["pred"]) == (6, 6)


def test_the_command_writes_a_page_without_note_text(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    options = ["-p", str(pipeline_path), "--gold", f"{gold},name=ward <1>", "--cost-notes", "0"]
    command = ["compare", *options, "-o", str(tmp_path / "r")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "ward &lt;1&gt;" in page
    assert page.count("<svg") >= 4
    assert "mild fever" not in page
    assert "http://www.w3.org" in page  # the SVG's own names
    assert not any(f'{attribute}="http' in page for attribute in ("src", "href"))
    report = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert report["sources"][0]["notes"] == 3
    assert "| Entities |" in (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, [*command, "--show-text"]).exit_code == 0
    shown = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "<q>mild fever</q>" in shown
    assert "<script>" not in shown


def test_several_sources_and_a_system_that_knows_one_of_them(nlp: Language, gold: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_bytes(b"No fever.\r\nCT negative.")
    (other / "x.ann").write_text("T1\tproblem 3 8\tfever\nT2\ttest 11 13\tCT\n", encoding="utf-8")
    (tmp_path / "peer" / "other").mkdir(parents=True)
    (tmp_path / "peer" / "other" / "x.ann").write_text("T1\ttest 11 13\tCT\n", encoding="utf-8")
    report = compare(
        ["rules"], [Gold(gold), Gold(other)], SCHEMA, load=lambda name: nlp, cost_notes=0,
        predictions={"peer": tmp_path / "peer"},
    )
    first, second = report["sources"]
    assert [system["system"] for system in first["systems"]] == ["rules"]
    assert [system["system"] for system in second["systems"]] == ["rules", "peer"]
    assert second["systems"][1]["figures"]["entities"]["labels"]["test"]["exact"]["f"] == 1.0
    assert second["systems"][0]["figures"]["entities"]["all"]["exact"]["f"] == 1.0  # offsets of a file with CRLF
    write_report(report, tmp_path / "r")  # one note: no intervals, no p
    assert "too few notes to say" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_names_of_systems_are_escaped_also_in_plots(nlp: Language, gold: Path, tmp_path: Path) -> None:
    name = "_a<b>$x$"
    write_report(run([name, "b"], gold, lambda name: nlp), tmp_path / "r")
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "a<b>" not in page
    assert page.count("_a&lt;b&gt;$x$") > 5


def test_figures_are_those_of_evaluate(nlp: Language, gold: Path) -> None:
    ours = run(["rules"], gold, lambda name: nlp)["sources"][0]["systems"][0]["figures"]
    theirs = evaluate(nlp, gold)
    for task in ("entities", "modifiers", "relations"):
        for rule in ("exact", "relaxed"):
            assert {key: ours[task]["all"][rule][key] for key in "prf"} == theirs[task]["all"][rule]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--gold", "nowhere"], "'nowhere'"),
        (["--gold", "GOLD,colour=red"], "notes=FILE, map=MAP, name=NAME"),
        (["--gold", "GOLD", "--gold", "GOLD"], "Two sources are called 'gold'"),
        (["--gold", "GOLD", "--predictions", "peer"], "write NAME=FOLDER"),
        (["--gold", "GOLD", "--predictions", "peer=GOLD", "--predictions", "peer=x"], "stands twice"),
        (["--gold", "GOLD", "--notes", "NAMES"], "not among the annotated notes"),
        (["--gold", "GOLD", "--map", "nomap"], "No label map 'nomap'"),
    ],
)
def test_what_does_not_fit_is_said(options: list[str], message: str, pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("a\nelsewhere\n", encoding="utf-8")
    filled = [option.replace("GOLD", str(gold)).replace("NAMES", str(names)) for option in options]
    result = CliRunner().invoke(app, ["compare", "-p", str(pipeline_path), "-o", str(tmp_path / "r"), *filled])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_pipeline_of_another_schema_is_refused(nlp: Language, gold: Path) -> None:
    class Pipe:
        schema = schema_from_dict({"name": "site", "entities": {"wound": {}}, "modifiers": {}})

        def __call__(self, doc: Doc) -> Doc:
            return doc

    Language.component("kiwi_test_schema", func=Pipe())
    nlp.add_pipe("kiwi_test_schema")
    with pytest.raises(KiwiError, match="the labels of the schema 'site', not of 'kiwi'"):
        run(["rules"], gold, lambda name: nlp)


def test_parse_gold_prefers_its_own_settings() -> None:
    assert parse_gold("x,notes=n.txt", Path("m.txt"), "map") == Gold(Path("x"), Path("n.txt"), "map", None)


def test_resources_are_measured_in_a_process_of_their_own(gold: Path, tmp_path: Path) -> None:
    folder = tmp_path / "blank"
    spacy.blank("en").to_disk(folder)
    report = compare(
        [str(folder)], [Gold(gold)], SCHEMA, load=spacy.load, cost_notes=2, passes=1,
    )
    cost = report["resources"][str(folder)]
    assert (cost["notes"], cost["calls"]) == (2, None)
    assert min(cost["load_seconds"], cost["notes_per_second"], cost["peak_mb"], cost["disk_mb"]) > 0
    assert Cost(1, 2, 4, 8, 1, 1, 6).to_dict()["calls_per_note"] == 1.5


@pytest.mark.skipif(not SHARED, reason="KIWI_SHARED does not name the folder that holds referee/score.py")
def test_figures_are_the_referees(nlp: Language, tmp_path: Path) -> None:
    place = Path(str(SHARED)) / "referee" / "score.py"
    spec = importlib.util.spec_from_file_location("referee", place)
    referee = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(referee)  # type: ignore[union-attr]
    gold = Path(str(SHARED)) / "mtsamples" / "train"
    source = read_source(gold, SCHEMA)
    out = tmp_path / "out"
    CliRunner().invoke(app, ["extract", str(gold), "-p", _saved(nlp, tmp_path), "-o", str(out)])
    report = compare(["rules"], [Gold(gold)], SCHEMA, load=lambda name: nlp, cost_notes=0)
    figures = report["sources"][0]["systems"][0]["figures"]
    theirs = referee.score(gold, out, [note.name for note in source.notes])
    for task in ("entities", "modifiers", "relations"):
        rows = {None: figures[task]["all"]} | figures[task]["labels"]
        expected = {None: theirs[task]["all"]} | theirs[task]["labels"]
        assert {label: (row["gold"], row["pred"]) for label, row in rows.items()} == {
            label: (row["gold"], row["pred"]) for label, row in expected.items()
        }
        for rule in ("exact", "relaxed"):
            assert {label: [row[rule][key] for key in "prf"] for label, row in rows.items()} == {
                label: [row[rule][key] for key in "prf"] for label, row in expected.items()
            }


def _saved(nlp: Language, folder: Path) -> str:
    nlp.to_disk(folder / "pipeline")
    return str(folder / "pipeline")


def test_folds_keep_copies_together_and_hold_every_note() -> None:
    notes = [GoldNote(str(i), "same text" if i < 3 else f"text {i}", None) for i in range(8)]  # type: ignore[arg-type]
    folds = split_folds(Source("s", notes), 3)
    assert sorted(name for fold in folds for name in fold) == [str(i) for i in range(8)]
    assert [fold for fold in folds if "0" in fold] == [fold for fold in folds if {"0", "1", "2"} <= set(fold)]
    with pytest.raises(KiwiError, match="too few for 9 folds"):
        split_folds(Source("s", notes), 9)


def test_check_says_what_to_expect(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    (gold / "c.ann").write_text("T1\tfoo 0 2\tCT\nT2\tproblem 17 27\tmild fever\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(gold), "-p", str(pipeline_path), "-o", str(tmp_path / "r")])
    assert result.exit_code == 0, result.output
    assert "contradict the guide or the schema" in result.stdout
    assert "expect an F1 of entities, exact, between" in result.stdout
    assert "nothing is known of: problem (3)" in result.stdout
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "c.ann, line 1" in page
    assert "fever" not in page


def test_check_tries_finetuning_on_the_other_folds(nlp: Language, gold: Path) -> None:
    seen: list[tuple[str, ...]] = []

    def finetune(notes: Sequence[str], folder: Path) -> Path:
        seen.append(tuple(notes))
        return folder

    report = check(
        Gold(gold), ["rules"], SCHEMA, load=lambda name: nlp, finetune=finetune, base="rules", folds=3,
    )
    assert sorted(name for notes in seen for name in notes) == sorted("abc" * 2)
    tuning = report["finetuning"]
    assert [(row["task"], row["difference"]) for row in tuning["tasks"]] == [
        ("entities", 0.0), ("modifiers", 0.0), ("relations", 0.0),
    ]
    assert not tuning["pays"]
    assert "these notes do not show that it pays" in report["advice"][-1]
    few = check(Gold(gold), ["rules"], SCHEMA, load=lambda name: nlp, finetune=finetune, base="rules", folds=4)
    assert few["finetuning"] is None
    assert "too few for 4 folds" in few["advice"][-1]


@pytest.mark.slow
def test_finetuning_goes_on_from_a_pipeline_and_keeps_no_word_of_the_notes(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "n.txt").write_text("Mr Zarquonius denies fever.", encoding="utf-8")
    (notes / "n.ann").write_text(
        "T1\tproblem 21 26\tfever\nT2\tnegation 14 20\tdenies\nR1\thasAttr Arg1:T1 Arg2:T2\n", encoding="utf-8"
    )
    path = finetune("en_kiwi_bert", notes, tmp_path / "out", epochs=1)
    doc = spacy.load(path)("She denies chest pain.")
    assert [ent.text for ent in doc.ents] == ["chest pain"]
    assert not any(b"Zarquonius" in file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_parts_are_nested(gold: Path) -> None:
    source = read_source(gold, SCHEMA)
    parts = nested_parts(source, [100, 10, 50])
    assert [len(parts[each]) for each in (10, 50, 100)] == [1, 2, 3]
    assert set(parts[10]) < set(parts[50]) < set(parts[100])
    with pytest.raises(KiwiError, match="from 1 to 100"):
        nested_parts(source, [0])


def test_a_finished_point_of_the_curve_is_not_trained_again(nlp: Language, gold: Path, tmp_path: Path) -> None:
    trained: list[int] = []

    def train(notes: Path, folder: Path) -> Path:
        trained.append(len(notes.read_text(encoding="utf-8").split()))
        return folder

    source = read_source(gold, SCHEMA)
    dev = Source("dev", [GoldNote("d", source.notes[0].text + " x", source.notes[0].annotations)])
    engines = {"rules": ([50, 100], train)}
    curve = learning_curve(source, dev, SCHEMA, engines, tmp_path / "curve", load=lambda path: nlp)
    assert learning_curve(source, dev, SCHEMA, engines, tmp_path / "curve", load=lambda path: nlp) == curve
    assert trained == [2, 3]
    write_curve(curve, tmp_path / "curve")
    assert (tmp_path / "curve" / "curve.html").read_text(encoding="utf-8").count("<svg") == 3
    assert "| rules | 50% | 2 |" in format_curve(curve)
    with pytest.raises(KiwiError, match="is of other notes"):
        other = Source("dev", [GoldNote("d", "No fever.", source.notes[2].annotations)])
        learning_curve(source, other, SCHEMA, engines, tmp_path / "curve", load=lambda path: nlp)
    with pytest.raises(KiwiError, match="both to train on and to score on"):
        learning_curve(source, source, SCHEMA, engines, tmp_path / "other", load=lambda path: nlp)
