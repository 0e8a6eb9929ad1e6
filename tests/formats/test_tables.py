"""Arrow tables: explicit columns, the rows of Docs, and what pandas, Polars and DuckDB make of them."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.components.facts import derive_facts
from kiwi_spacy.contract import NOTE, set_columns, set_modifiers, set_relations
from kiwi_spacy.contract.facts import set_facts
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.formats.tables import Type, describe
from kiwi_spacy.tables import TABLES, schema_of, to_batch

DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def note(text: str, ents: dict[str, str], links: dict[str, tuple[str, str]], name: str = "n1") -> Doc:
    """A Doc of words > entity type, and words > (modifier type, words of its entity)."""
    doc = spacy.blank("en").make_doc(text)

    def span(words: str, label: str) -> Span:
        start = text.index(words)
        found = doc.char_span(start, start + len(words), label=label)
        assert found is not None
        return found

    doc.set_ents([span(words, label) for words, label in ents.items()])
    by_words = {ent.text: ent for ent in doc.ents}
    linked = [(by_words[head], span(words, label), 0.5) for words, (label, head) in links.items()]
    set_modifiers(doc, [modifier for _, modifier, _ in linked])
    set_relations(doc, linked)
    doc.user_data[NOTE] = name
    return doc


def cells(doc: Doc, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in to_batch([doc], table).to_pylist()]


LASIX = note(
    "Lasix 20 mg tablet p.o. 40 mg b.i.d. for 7 days", {"Lasix": "drug"}, {
        "20 mg": ("strength", "Lasix"), "tablet": ("form", "Lasix"), "p.o.": ("route", "Lasix"), "40 mg": ("dosage", "Lasix"),
        "b.i.d.": ("frequency", "Lasix"), "for 7 days": ("duration", "Lasix"),
    },
)


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_and_one_with_rows_have_the_same_written_schema(table: str, nlp: Language) -> None:
    docs = [nlp("denies fever, mild cough"), LASIX, RESULT]
    assert to_batch([], table).schema.equals(schema_of(table), check_metadata=True)
    assert to_batch(docs, table).schema.equals(schema_of(table), check_metadata=True)
    assert to_batch([], table).num_rows == 0


RESULT = note(
    "K < 3.1 mmol/L (3.5-5.1)", {"K": "test"}, {"< 3.1 mmol/L": ("labvalue", "K"), "3.5-5.1": ("reference_range", "K")},
)


@pytest.mark.parametrize("table", TABLES)
def test_every_row_fills_exactly_the_written_columns(table: str) -> None:
    own = {column.name for column in TABLES[table].columns}
    docs = [LASIX, RESULT, note("severe fever", {"fever": "problem"}, {"severe": ("severity", "fever")})]
    rows = [row for doc in docs for row in TABLES[table].rows(doc)]
    assert rows and all(set(row) == own for row in rows)


def test_a_medication_is_one_row_with_words_and_values() -> None:
    columns = ("note", "text", "strength", "strength_value", "strength_unit", "dose_value", "dose_unit")
    assert cells(LASIX, "medications", *columns) == [
        ("n1", "Lasix", "20 mg", 20.0, "mg", 40.0, "mg")
    ]
    assert cells(LASIX, "medications", "form", "route", "frequency", "times", "period", "period_unit", "duration_days") == [
        ("tablet", "p.o.", "b.i.d.", 2, 1.0, "d", 7.0)
    ]


def test_of_two_doses_the_words_are_joined_and_no_value_is_taken() -> None:
    doc = note("Lasix 20 mg, 40 mg", {"Lasix": "drug"}, {"20 mg": ("dosage", "Lasix"), "40 mg": ("dosage", "Lasix")})
    assert cells(doc, "medications", "dose", "dose_value", "dose_unit") == [("20 mg; 40 mg", None, None)]


@pytest.mark.parametrize(
    "words, expected",
    [
        ("40 mg", (40.0, "mg", False)), ("about 40 mg", (40.0, "mg", True)), ("sliding scale", (None, None, None)),
        ("10 mEq per 1000 mL", (None, None, None)),
    ],
    ids=["exact", "about", "no number", "in an amount of another"],
)
def test_a_dose_says_whether_its_words_say_about(words: str, expected: tuple[Any, ...]) -> None:
    doc = note(f"Lasix {words}", {"Lasix": "drug"}, {words: ("dosage", "Lasix")})
    assert cells(doc, "medications", "dose_value", "dose_unit", "dose_approximate") == [expected]


def test_the_amount_a_day_stands_beside_the_dose() -> None:
    assert cells(LASIX, "medications", "daily_value", "daily_high", "daily_unit") == [(80.0, None, "mg")]
    assert [json.loads(found) for (found,) in cells(LASIX, "facts", "daily")] == [
        {"parts": [{"value": 80, "unit": "mg"}], "from": ["strength", "dosage", "frequency"]}
    ]
    assert cells(RESULT, "facts", "daily") == [(None,)]


def test_the_notes_date_stands_in_each_row() -> None:
    doc = note("fever", {"fever": "problem"}, {})
    doc._.note_date = "2024-03-15"
    assert cells(doc, "problems", "note_date") == [(date(2024, 3, 15),)]
    assert cells(RESULT, "results", "note_date") == [(None,)]


def test_a_result_says_whether_its_words_say_about() -> None:
    doc = note("K about 3.1 mmol/L", {"K": "test"}, {"about 3.1 mmol/L": ("labvalue", "K")})
    assert cells(doc, "results", "value", "approximate") == [(3.1, True)]
    assert cells(RESULT, "results", "approximate") == [(False,)]


def test_a_result_has_comparator_value_unit_range_and_interpretation() -> None:
    columns = ("text", "result_start_char", "comparator", "value", "unit", "reference_low", "reference_high", "interpretation")
    assert cells(RESULT, "results", *columns) == [("K", 2, "<", 3.1, "mmol/L", 3.5, 5.1, "L")]


def test_a_problem_has_its_status_and_a_negated_one_is_absent() -> None:
    doc = note("denies severe fever", {"fever": "problem"}, {"denies": ("negation", "fever"), "severe": ("severity", "fever")})
    assert cells(doc, "problems", "start_char", "end_char", "status", "severity") == [(14, 19, "absent", "severe")]
    assert cells(doc, "entities", "label", "negated", "uncertain") == [("problem", True, False)]
    assert cells(doc, "relations", "label", "score", "head_text", "modifier_text") == [
        ("negation", 0.5, "fever", "denies"), ("severity", 0.5, "fever", "severe"),
    ]


def test_kept_facts_give_the_rows_that_derived_ones_give() -> None:
    kept = Doc(LASIX.vocab).from_bytes(LASIX.to_bytes())
    set_facts(kept, derive_facts(kept))
    assert to_batch([kept], "facts").equals(to_batch([LASIX], "facts"))


def test_half_a_surrogate_pair_becomes_a_replacement_and_offsets_stay() -> None:
    doc = note("a cough", {"cough": "problem"}, {}, name="n\ud800")
    assert cells(doc, "problems", "note", "start_char") == [("n\ufffd", 2)]


def test_a_table_of_no_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(KiwiError, match="'drugs' is not a table; these are: facts, entities, modifiers"):
        to_batch([], "drugs")


def test_pandas_polars_and_duckdb_read_the_same_rows() -> None:
    batch = to_batch([LASIX, RESULT], "facts")
    table = pa.Table.from_batches([batch])
    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    assert frame["text"].to_list() == ["Lasix", "K"]
    assert table.to_pandas()["text"].tolist() == ["Lasix", "K"]
    assert duckdb.sql("select text from batch").fetchall() == [("Lasix",), ("K",)]
    assert pandas.DataFrame(batch.to_pylist())["start_char"].tolist() == [0, 0]


def test_the_page_of_the_docs_lists_every_column_as_it_is() -> None:
    assert DOCS.read_text(encoding="utf-8").endswith(describe())


def test_columns_of_the_input_stand_at_the_end() -> None:
    doc = note("fever", {"fever": "problem"}, {})
    set_columns(doc, {"ward": "b", "status": 3})
    carried: dict[str, Type] = {"ward": "string", "status": "int64", "left": "date32"}
    (row,) = to_batch([doc], "problems", carried).to_pylist()
    assert list(row.items())[-3:] == [("ward", "b"), ("input_status", 3), ("left", None)]
