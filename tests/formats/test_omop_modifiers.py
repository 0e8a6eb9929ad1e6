"""`term_modifiers` can be read back, whatever words it holds, and is never cut."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.omop_modifiers import read_modifiers, write_modifiers

WORDS = ["".join(each) for n in range(4) for each in product("a\\,=\n\rnr", repeat=n)]


def test_read_modifiers_gives_back_every_word_of_up_to_three_special_characters():
    pairs = [(word, other) for word, other in zip(WORDS, reversed(WORDS))]
    text, left_out = write_modifiers(pairs, limit=10**6)
    assert (read_modifiers(text), left_out) == (pairs, 0)
    assert [read_modifiers(write_modifiers([pair])[0]) for pair in pairs] == [[pair] for pair in pairs]


@given(st.lists(st.tuples(st.text(), st.text())), st.integers(0, 200))
def test_write_modifiers_keeps_whole_pairs_within_the_limit(pairs, limit):
    text, left_out = write_modifiers(pairs, limit=limit)
    kept = read_modifiers(text)
    rest = iter(pairs)
    assert len(text) <= limit
    assert len(kept) + left_out == len(pairs)
    assert all(pair in rest for pair in kept)


def test_write_modifiers_leaves_out_a_pair_that_does_not_fit_and_takes_a_later_one_that_does():
    assert write_modifiers([("a", "1"), ("b", "x" * 10), ("c", "2")], limit=7) == ("a=1,c=2", 1)


@pytest.mark.parametrize(
    "text", ["a", "a=b=c", "a=b,", ",a=b", "a=b\\", "a=\\x", "a=b\nc", "a=b\n"],
    ids=["no equals sign", "two", "comma at the end", "comma first", "lone backslash", "unknown escape", "line feed", "line end"],
)
def test_read_modifiers_refuses_another_form(text):
    with pytest.raises(FormatError, match="term_modifiers cannot be read from character"):
        read_modifiers(text)
