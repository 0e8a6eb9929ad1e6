"""Formats of annotation tools: round trips, what they lose, and what is refused."""

import json
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.contract import LAYERS, Remark, count_problem, get_remarks, set_columns, set_failures, set_provenance, set_remarks
from kiwi_spacy.contract import Failure as NoAnswer
from kiwi_spacy.contract.facts import Fact, get_facts, set_facts
from kiwi_spacy.contract.sections import Section, get_sections, set_sections
from kiwi_spacy.contract.status import Status
from kiwi_spacy.errors import MissingExtraError
from kiwi_spacy.formats.convert import convert, write_docs
from kiwi_spacy.formats.failure import Failure
from kiwi_spacy.formats.jsonl import doc_to_record, record_to_doc
from kiwi_spacy.formats.registry import FORMATS, Read, Source, lost_in, recognise
from kiwi_spacy.schema import load_schema

SCHEMA = load_schema()
LINKING = [name for name, format in FORMATS.items() if format.read and "relations" in format.carries]

NOTES: dict[str, dict[str, Any]] = {
    "plain": {
        "id": "ward/a", "text": "no fever, CT 5 mg\r\n", "relations": [{"head": 0, "modifier": 0}],
        "entities": [{"start": 3, "end": 8, "label": "problem"}, {"start": 10, "end": 12, "label": "test"}],
        "modifiers": [{"start": 0, "end": 2, "label": "negation"}],
    },
    "beyond-bmp": {
        "id": "b", "text": "\U0001f600 no \U0001f912 fever", "relations": [{"head": 0, "modifier": 0}],
        "entities": [{"start": 5, "end": 12, "label": "problem"}], "modifiers": [{"start": 2, "end": 4, "label": "negation"}],
    },
    "adjacent-and-overlapping": {
        "id": "c", "text": "mild chest pain cough", "relations": [{"head": 0, "modifier": 0}, {"head": 0, "modifier": 1}],
        "entities": [{"start": 5, "end": 15, "label": "problem"}, {"start": 16, "end": 21, "label": "problem"}],
        "modifiers": [{"start": 0, "end": 4, "label": "severity"}, {"start": 5, "end": 10, "label": "bodyloc"}],
    },
    "empty": {"id": "d", "text": ""},
    "nothing-found": {"id": "e", "text": "fine"},
}


@pytest.fixture
def blank() -> Language:
    return spacy.blank("en")


def make(blank: Language, name: str) -> Doc:
    return record_to_doc(blank, NOTES[name], SCHEMA)


def path_of(format: str, folder: Path) -> Path:
    return folder / ("notes" if FORMATS[format].layout == "notes" else f"notes{FORMATS[format].suffixes[0]}")


def read(format: str, path: Path, blank: Language) -> list[Any]:
    reader = FORMATS[format].read
    assert reader is not None
    return [item.doc if isinstance(item, Read) else item for item in reader(Source(path, blank, SCHEMA))]


def said(doc: Doc) -> dict[str, Any]:
    """Return a Doc's record without scores of links, which most formats lack."""
    record = doc_to_record(doc)
    return {**record, "relations": [(r["head"], r["modifier"]) for r in record["relations"]]}


@pytest.mark.parametrize("format", LINKING)
@pytest.mark.parametrize("name", NOTES)
def test_doc_format_doc_is_the_same(format: str, name: str, blank: Language, tmp_path: Path) -> None:
    doc = make(blank, name)
    assert write_docs([doc], path_of(format, tmp_path), format).failed == []
    (again,) = read(format, path_of(format, tmp_path), blank)
    assert said(again) == said(doc)
    assert lost_in(FORMATS[format], doc) == {}


@pytest.mark.parametrize("format", LINKING)
def test_provenance_problems_and_failures_come_back(format: str, blank: Language, tmp_path: Path) -> None:
    """Seen in 0.6.1: JSONL, CSV and brat carried none of them."""
    doc = make(blank, "plain")
    set_provenance(doc, engine="bert", pipeline="en_x", version="1.0")
    count_problem(doc, "span snapped to tokens", 2)
    set_failures(doc, [NoAnswer(9, 17, "out of memory")])
    write_docs([doc], path_of(format, tmp_path), format)
    (again,) = read(format, path_of(format, tmp_path), blank)
    assert (again._.provenance, again._.problems, again._.failures) == (doc._.provenance, doc._.problems, doc._.failures)


def test_bio_marks_a_note_as_incomplete(blank: Language, tmp_path: Path) -> None:
    doc = make(blank, "plain")
    set_failures(doc, [NoAnswer(9, 17, "out of memory")])
    write_docs([doc], tmp_path / "n.bio", "bio")
    assert (tmp_path / "n.bio").read_text().startswith("# incomplete\nno\tB-negation\n")
    (again,) = read("bio", tmp_path / "n.bio", blank)
    assert again._.problems == {"note marked as incomplete": 1}


@pytest.mark.parametrize("format", [name for name, format in FORMATS.items() if format.read])
def test_a_format_is_recognised_by_what_was_written(format: str, blank: Language, tmp_path: Path) -> None:
    write_docs([make(blank, "plain")], path_of(format, tmp_path), format)
    assert recognise(path_of(format, tmp_path)).name == format


@pytest.mark.parametrize("format", LINKING)
def test_convert_there_and_back_by_names(format: str, blank: Language, tmp_path: Path) -> None:
    write_docs([make(blank, name) for name in NOTES], tmp_path / "start.jsonl", "jsonl")
    there = convert(tmp_path / "start.jsonl", path_of(format, tmp_path / "there"), None, format)
    back = convert(path_of(format, tmp_path / "there"), tmp_path / "back.jsonl", None, "jsonl")
    assert [(run.done, run.failed, run.problems) for run in (there, back)] == [(len(NOTES), [], [])] * 2
    lines = [sorted((tmp_path / f"{name}.jsonl").read_text().split("\n")) for name in ("start", "back")]
    assert lines[0] == lines[1]


LABEL_STUDIO = {
    "id": 7, "data": {"text": "no fever"}, "annotations": [{"result": [
        {"id": "x", "from_name": "label", "to_name": "text", "type": "labels",
         "value": {"start": 3, "end": 8, "text": "fever", "labels": ["problem"]}},
        {"id": "x", "from_name": "Negation", "to_name": "text", "type": "choices", "value": {"choices": ["yes"]}},
    ]}],
}


def test_label_studio_reads_a_choice_of_a_region_as_an_attribute(blank: Language, tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps([LABEL_STUDIO]))
    (doc,) = read("label-studio", tmp_path / "n.json", blank)
    assert [(r.name, r.value, r.modifier) for r in get_remarks(doc)] == [("Negation", "yes", "negation")]
    assert (doc.user_data["kiwi_note"], doc.ents[0]._.is_negated) == ("7", True)


def test_label_studio_offsets_in_utf16_are_turned_and_counted(blank: Language, tmp_path: Path) -> None:
    region = {"id": "x", "type": "labels", "value": {"start": 3, "end": 8, "text": "fever", "labels": ["problem"]}}
    task = {"data": {"text": "\U0001f600 fever"}, "annotations": [{"result": [region]}]}
    (tmp_path / "n.json").write_text(json.dumps([task]))
    (doc,) = read("label-studio", tmp_path / "n.json", blank)
    assert [(e.start_char, e.text) for e in doc.ents] == [(2, "fever")]
    assert doc._.problems == {"offset in UTF-16 units turned into characters": 1}


@pytest.mark.parametrize(
    "format, record, reason",
    [
        ("label-studio", {"text": "x"}, "task 1: needs 'data' with 'text'. Export the project as JSON, not as JSON-MIN."),
        ("label-studio", {"data": {"text": 3}}, "task 1: 'text' is a number; it must be text."),
        ("doccano", {"text": "x", "entities": [{"id": 0, "label": "problem", "start_offset": 0.5, "end_offset": 1}]},
         "line 1: 'start_offset' is a number with a fraction; it must be a whole number from 0."),
        ("doccano", {"text": "x", "label": [[0, 1]]}, "line 1: 'label' must be a list of [start, end, label]."),
        ("prodigy", {"text": "x", "spans": [], "answer": "reject"},
         "line 1: its answer is not 'accept', so it is no annotation. Answer it again, or leave it."),
        ("prodigy", {"text": "x", "spans": [], "relations": [{"head": 0, "child": 0}]},
         "line 1: a relation needs 'head_span' and 'child_span', as the recipe rel.manual writes them."),
        ("jsonl", {"text": "x", "entities": [{"start": 3.9, "end": 5, "label": "problem"}]},
         "line 1: 'start' is a number with a fraction; it must be a whole number from 0."),
        ("jsonl", {"text": "x", "failures": [[0, 9, "why"]]},
         "line 1: its 'failures' cannot be read: 'failures' lies outside the note."),
        ("jsonl", {"text": "x", "provenance": ["a"]},
         "line 1: its 'provenance' cannot be read: 'provenance' is of another form."),
    ],
)
def test_a_record_of_another_form_is_named_with_its_place(
    format: str, record: dict[str, Any], reason: str, blank: Language, tmp_path: Path
) -> None:
    path = path_of(format, tmp_path)
    path.write_text(json.dumps(record) + "\n")
    (failure,) = read(format, path, blank)
    assert isinstance(failure, Failure) and failure.reason == f"{path.name}, {reason}"


def test_links_may_be_drawn_from_the_modifier(blank: Language, tmp_path: Path) -> None:
    entities = [{"id": 1, "label": "negation", "start_offset": 0, "end_offset": 2},
                {"id": 2, "label": "problem", "start_offset": 3, "end_offset": 8}]
    record = {"id": 9, "text": "no fever", "entities": entities, "relations": [{"id": 3, "from_id": 1, "to_id": 2, "type": "x"}]}
    (tmp_path / "n.jsonl").write_text(json.dumps(record))
    (doc,) = read("doccano", tmp_path / "n.jsonl", blank)
    assert [(r.head.text, r.modifier.text) for r in doc._.relations] == [("fever", "no")]


def test_inception_counts_utf16_and_has_its_types_beside(blank: Language, tmp_path: Path) -> None:
    write_docs([make(blank, "beyond-bmp")], tmp_path, "inception")
    assert re.search(r'<custom:KiwiSpan [^>]*begin="6" end="14" label="problem"', (tmp_path / "b.xmi").read_text())
    assert "webanno.custom.KiwiRelation" in (tmp_path / "TypeSystem.xml").read_text()


def test_inception_refuses_a_character_that_xml_cannot_hold(blank: Language, tmp_path: Path) -> None:
    doc = record_to_doc(blank, {"id": "n", "text": "a\x01"}, SCHEMA)
    done = write_docs([doc, make(blank, "plain")], tmp_path, "inception")
    assert (done.done, done.failed) == (1, ["n: character 1 is U+0001, which XML cannot hold. Write another format"])


def test_inception_names_a_file_that_is_none(blank: Language, tmp_path: Path) -> None:
    write_docs([make(blank, "nothing-found")], tmp_path, "inception")
    (tmp_path / "a.xmi").write_text("<SECRET>")
    failure, doc = read("inception", tmp_path, blank)
    assert failure.name == "a" and failure.reason.startswith("a.xmi: no UIMA CAS XMI of these types (")
    assert ("SECRET" in failure.reason, doc.text) == (False, "fine")


def test_inception_says_which_extra_is_missing(blank: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cassis", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kiwi-spacy\[inception\]'"):
        read("inception", tmp_path, blank)


def test_every_format_stands_in_the_documentation() -> None:
    table = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name, format in FORMATS.items() if format.read and f"| `{name}` |" not in table] == []


def test_jsonl_holds_every_layer(blank: Language) -> None:
    doc = make(blank, "plain")
    set_provenance(doc, engine="bert")
    count_problem(doc, "span snapped to tokens")
    set_failures(doc, [NoAnswer(9, 17, "out of memory")])
    set_remarks(doc, [Remark(3, 8, "problem", "comment", "AnnotatorNotes", "sure")])
    set_sections(doc, [Section("plan", "PLAN", None, 0, 2, 2, 19)])
    set_facts(doc, [Fact("problem", "fever", 3, 8, None, Status(certainty="absent"))])
    doc.spans["others"] = [Span(doc, 0, 1, label="x")]
    doc.user_data["mine"] = {"a": [1, None]}
    doc._.note_date = "2026-03-04"
    set_columns(doc, {"ward": "b"})
    record = json.loads(json.dumps(doc_to_record(doc)))
    assert {layer.name for layer in LAYERS} - set(record) == {"note", "scores", "roles"}
    again = record_to_doc(blank, record, SCHEMA)
    assert doc_to_record(again) == record
    assert (get_sections(again), get_facts(again), again._.note_date) == (get_sections(doc), get_facts(doc), date(2026, 3, 4))


def test_jsonl_says_what_of_user_data_it_loses(blank: Language) -> None:
    doc = make(blank, "plain")
    doc.user_data["mine"] = object()
    assert lost_in(FORMATS["jsonl"], doc) == {"value of user_data that JSON cannot hold": 1}
    assert "user_data" not in doc_to_record(doc)
