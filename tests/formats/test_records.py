"""Files of annotation tools that hold what a Doc cannot: each is named or counted."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.contract import get_problems
from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.failure import Failure
from kiwi_spacy.formats.registry import Source, get_format
from kiwi_spacy.formats.rows import add_rows
from kiwi_spacy.schema import load_schema

SCHEMA = load_schema()


@pytest.fixture
def blank() -> Language:
    return spacy.blank("en")


def _read(format: str, path: Path, nlp: Language) -> Doc | Failure:
    read = get_format(format).read
    assert read is not None
    (item,) = read(Source(path, nlp, SCHEMA))
    return item if isinstance(item, Failure) else item.doc


def _region(**value: Any) -> dict[str, Any]:
    return {"id": "x", "type": "labels", "value": {"start": 0, "end": 5, "labels": ["problem"], **value}}


@pytest.mark.parametrize(
    "result, problems",
    [
        ([_region(labels=["nothing"])], {"span of an unknown label dropped": 1}),
        ([{"type": "textarea", "value": {"text": ["x"]}}], {"result of a kind that a Doc cannot hold dropped": 1}),
        ([_region(text="cough")], {"span whose words differ from the note's, its offsets kept": 1}),
        ([{**_region(), "score": 0.5}], {}),
    ],
    ids=["label", "kind", "words", "score"],
)
def test_label_studio_counts_what_a_doc_cannot_hold(
    result: list[dict[str, Any]], problems: dict[str, int], blank: Language, tmp_path: Path
) -> None:
    (tmp_path / "n.json").write_text(json.dumps([{"data": {"text": "fever"}, "annotations": [{"result": result}]}]))
    doc = _read("label-studio", tmp_path / "n.json", blank)
    assert isinstance(doc, Doc) and get_problems(doc) == problems


def test_label_studio_takes_the_first_of_two_annotations_that_count(blank: Language, tmp_path: Path) -> None:
    cancelled = {"was_cancelled": True, "result": [_region(labels=["drug"])]}
    annotations = [cancelled, {"result": [_region()]}, {"result": []}]
    (tmp_path / "n.json").write_text(json.dumps({"data": {"text": "fever"}, "annotations": annotations}))
    doc = _read("label-studio", tmp_path / "n.json", blank)
    assert isinstance(doc, Doc) and [ent.label_ for ent in doc.ents] == ["problem"]
    assert get_problems(doc) == {"further annotation of the same task passed over": 1}


@pytest.mark.parametrize(
    "data, said",
    [(b"\xff", "n.json: not UTF-8 at byte 0"), (b'[{"data"', "n.json: not JSON at line 1, column 9")], ids=["utf-8", "json"],
)
def test_label_studio_refuses_a_file_that_is_none(data: bytes, said: str, blank: Language, tmp_path: Path) -> None:
    (tmp_path / "n.json").write_bytes(data)
    with pytest.raises(FormatError, match=said):
        _read("label-studio", tmp_path / "n.json", blank)


@pytest.mark.parametrize("task", [3, {"text": "fever"}], ids=["number", "json-min"])
def test_label_studio_names_a_task_without_data(task: Any, blank: Language, tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps([task]))
    failure = _read("label-studio", tmp_path / "n.json", blank)
    assert isinstance(failure, Failure) and failure.reason.startswith("n.json, task 1: needs 'data' with 'text'")


def test_doccano_reads_triples_and_counts_comments(blank: Language, tmp_path: Path) -> None:
    record = {"id": 1, "text": "mild fever", "label": [[0, 4, "severity"], [5, 10, "problem"]], "Comments": ["?", "!"]}
    (tmp_path / "n.jsonl").write_text(json.dumps(record))
    doc = _read("doccano", tmp_path / "n.jsonl", blank)
    assert isinstance(doc, Doc) and [(ent.text, ent.label_) for ent in doc.ents] == [("fever", "problem")]
    assert [span.text for span in doc.spans["modifiers"]] == ["mild"]
    assert get_problems(doc) == {"comment of doccano dropped": 2}


@pytest.mark.parametrize("label", [["problem"], [[0, 4]]], ids=["names", "pairs"])
def test_doccano_names_labels_of_another_form(label: Any, blank: Language, tmp_path: Path) -> None:
    (tmp_path / "n.jsonl").write_text(json.dumps({"id": 1, "text": "fever", "label": label}))
    failure = _read("doccano", tmp_path / "n.jsonl", blank)
    assert isinstance(failure, Failure) and "'label' must be a list of [start, end, label]" in failure.reason


@pytest.mark.parametrize(
    "name, rows",
    [
        ("failures", [[0, 900, "x"]]), ("failures", [[0, True, "x"]]), ("provenance", ["bert"]), ("problems", {"x": "1"}),
        ("problems", {"x": True}), ("groups", {"own": [[0, 5]]}), ("groups", {"own": [[0, "5", "x", 0]]}), ("sections", 3),
        ("sections", [[0]]), ("facts", [[0]]), ("facts", {}), ("user_data", [["a"]]), ("user_data", {}), ("remarks", [[0, 5]]),
    ],
)
def test_rows_of_another_form_are_refused(name: str, rows: Any, blank: Language) -> None:
    doc = blank("fever")
    with pytest.raises(FormatError, match=f"its '{name}' cannot be read"):
        add_rows(doc, name, rows)
    assert doc.user_data == blank("fever").user_data


def test_rows_join_those_that_a_doc_has(blank: Language) -> None:
    doc = blank("fever")
    add_rows(doc, "problems", {"late": 1})
    add_rows(doc, "problems", {"late": 2, "other": 1})
    assert get_problems(doc) == {"late": 3, "other": 1}
