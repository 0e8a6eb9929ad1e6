"""Values as plain data and back."""

import json

import pytest

from kiwi_spacy.components.values import NoValue, Quantity, Range, Result, Trend

from .expressions import FOLDER, PARSERS, read_expressions

EXPRESSIONS = [expression for path in sorted(FOLDER.glob("expressions-*.tsv")) for expression in read_expressions(path)]


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_values_survive_json(kind):
    values = [PARSERS[kind](one.words, one.context) for one in EXPRESSIONS if one.kind == kind]
    read = [value for value in values if value is not None]
    assert read
    assert [type(value).from_dict(json.loads(json.dumps(value.to_dict()))) for value in read] == read


def test_a_result_is_flat_and_leaves_out_what_it_does_not_say():
    result = Result("6.1 H", Quantity(6.1), Range(3.5, 5.0), "H")
    assert result.to_dict() == {
        "words": "6.1 H",
        "type": "quantity",
        "value": 6.1,
        "reference": {"low": 3.5, "high": 5},
        "interpretation": "H",
    }


def test_a_trend_keeps_the_type_of_each_of_its_values():
    trend = Trend((Quantity(1.0), Quantity(2.5)))
    assert trend.to_dict() == {"type": "trend", "values": [{"type": "quantity", "value": 1}, {"type": "quantity", "value": 2.5}]}


def test_no_value_says_why():
    assert NoValue("pending").to_dict() == {"type": "no_value", "reason": "pending"}
