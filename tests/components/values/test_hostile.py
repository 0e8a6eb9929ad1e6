"""Any string gives a value or None, and a value keeps its words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .expressions import FOLDER, PARSERS, read_expressions

WORDS = sorted({one.words for path in FOLDER.glob("expressions-*.tsv") for one in read_expressions(path)})
READERS = {kind: parser for kind, parser in PARSERS.items() if kind != "daily"}
PIECES = st.lists(st.sampled_from([piece for words in WORDS for piece in words.split()]), max_size=8).map(" ".join)
CONTEXT = {"anchor": "2024-02-29", "order": None, "reference": "3.5-5.1", "flag": "H"}


@pytest.mark.parametrize("kind", sorted(READERS))
@settings(max_examples=150, deadline=None)
@given(words=st.one_of(st.text(max_size=60), PIECES, st.text("0123456789./-,:% xqhLHsmg><~+*()'\"½°µ→\ud800\x00", max_size=40)))
def test_no_string_raises_and_words_are_kept(kind, words):
    for context in ({}, CONTEXT):
        value = READERS[kind](words, context)
        if value is not None:
            data = value.to_dict()
            assert data.get("words", words) == words
            assert type(value).from_dict(data) == value


@pytest.mark.parametrize("kind", sorted(READERS))
@pytest.mark.parametrize(
    "unit",
    ["1", "1,", "1.", "a ", " ", "-", "(", "((3-5)", "1/", "1 to ", "q4h ", "half ", "1->", "\u0301", "x ", "and ", "[**", "%"],
)
def test_a_long_run_of_anything_is_no_value(kind, unit):
    for length in (299, 100_000):
        READERS[kind]((unit * length)[:length], {})
    assert READERS[kind](unit * 100_000, {}) is None
