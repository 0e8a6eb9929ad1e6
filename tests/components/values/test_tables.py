"""The word tables: valid codes, one meaning a word, and a site's own words."""

import pytest
from lark.exceptions import LarkError
from ucumvert import get_ucum_parser

from kiwi_spacy.components.values import (
    default_tables,
    parse_dose,
    parse_frequency,
    parse_result,
    parse_route,
    read_tables,
    read_unit,
)
from kiwi_spacy.components.values.tables import LONGEST, normalise
from kiwi_spacy.errors import FormatError

UNIT_SECTIONS = ("units", "litres", "denominators", "lab_numerators", "lab_units", "drug_units", "periods")
CODES = sorted({code for section in UNIT_SECTIONS for code in default_tables().sections[section].values()})


@pytest.mark.parametrize("code", CODES)
def test_every_unit_is_ucum(code):
    get_ucum_parser().parse(code)


def test_ucum_refuses_what_is_no_unit():
    with pytest.raises(LarkError):
        get_ucum_parser().parse("mcg")


@pytest.mark.parametrize(
    ("words", "unit"),
    [
        ("mg/dl", "mg/dL"),
        ("mcg/kg/min", "ug/kg/min"),
        ("k/ul", "10*3/uL"),
        ("iu/l", "[iU]/L"),
        ("units/l", "U/L"),
        ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
        ("mg/24h", "mg/(24.h)"),
    ],
)
def test_a_joined_unit_is_ucum_too(words, unit):
    assert read_unit(words, "result") == unit
    get_ucum_parser().parse(unit)


def test_units_of_a_drug_are_never_enzyme_units():
    assert (read_unit("units/hr", "drug"), read_unit("U/kg", "drug"), read_unit("units", "drug")) == (
        "{unit}/h",
        "{unit}/kg",
        "{unit}",
    )
    assert read_unit("units", "result") is None


def test_a_site_adds_words_and_changes_a_meaning(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text("routes:\n  gastrostomy: [via button, peg]\nfrequencies:\n  2/1d: [breakfast and tea]\n", encoding="utf-8")
    tables = read_tables(path)
    assert parse_route("via button", tables=tables).codes == ("gastrostomy",)
    assert parse_route("via button") is None
    assert parse_frequency("breakfast and tea", tables=tables).frequency == 2
    assert parse_dose("2 tabs", tables=tables).unit == "{tablet}"


def test_an_unknown_section_of_a_site_is_refused(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text("rout:\n  oral: [x]\n", encoding="utf-8")
    with pytest.raises(FormatError, match="unknown section 'rout'"):
        read_tables(path)


def test_a_word_with_two_meanings_is_refused(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text("routes:\n  oral: [gt]\n  gastrostomy: [G.T.]\n", encoding="utf-8")
    with pytest.raises(FormatError, match="means both 'oral' and 'gastrostomy'"):
        read_tables(path)


def test_a_frequency_that_is_none_is_refused(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text("frequencies:\n  twice: [bidd]\n", encoding="utf-8")
    with pytest.raises(FormatError, match="'twice' is no frequency"):
        parse_frequency("bidd", tables=read_tables(path))


@pytest.mark.parametrize("text", ["- just a list\n", "routes: oral\n", "routes:\n  oral: po\n"])
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    path = tmp_path / "site.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError):
        read_tables(path)


def test_a_number_before_a_point_keeps_it_and_a_sentence_is_no_value():
    assert (normalise(".5 mg."), normalise("5" * (LONGEST + 1))) == (".5 mg", "")
    assert parse_result("." + "82").value.value == 0.82
