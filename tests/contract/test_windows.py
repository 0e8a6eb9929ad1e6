"""Windows: no item lost, none over the limit, ended where the caller likes."""

import pytest
import spacy
from spacy.tokens import Doc

from kiwi_spacy.contract.windows import fill_windows, halve, line_borders


@pytest.mark.parametrize(
    ("lengths", "most", "ends", "starts"), [
        ([], 3, [], []),
        ([5], 3, [], [0]),
        ([1, 1, 1], 3, [], [0]),
        ([1, 1, 1, 1], 3, [], [0, 3]),
        ([2, 2, 2], 3, [], [0, 1, 2]),
        ([1, 9, 1], 3, [], [0, 1, 2]),
        ([0, 0, 4, 0], 3, [], [0, 2, 3]),
        ([1] * 6, 4, [[False, True, True, False, False, False]], [0, 3]),
        ([1] * 6, 4, [[False, True, False, False, False, False]], [0, 4]),
        ([1] * 6, 4, [[True, False, False, False, False, False], [False, False, True, False, False, False]], [0, 3]),
        ([1] * 6, 4, [[False, False, True, False, False, False], [False, False, False, True, False, False]], [0, 3]),
        ([1, 1, 1, 4], 4, [[False, False, True, False]], [0, 3]),
        ([1, 1, 1, 1, 4], 4, [[False, False, True, False, False]], [0, 3, 4]),
    ],
    ids=[
        "nothing", "one too long", "all fit", "cut at the limit", "none fit together", "a long one alone", "zeros",
        "an end behind the middle", "an end in the first half is not used", "the second kind where the first gives too little",
        "the first kind though the second gives more", "an end before what does not fit", "cut twice before a long one",
    ],
)
def test_windows_are_filled_up_to_the_limit(lengths: list[int], most: int, ends: list[list[bool]], starts: list[int]) -> None:
    assert fill_windows(lengths, most, ends=ends) == starts


@pytest.mark.parametrize(
    ("words", "most", "borders"), [
        ([], 2, []), (["a", "b", "c"], 2, []), (["a", "\n", "b", "\n"], 2, [2]), (["a", "\n", "b", "\n", "c"], 4, [4]),
        (["a", "b", "c", "\n", "d"], 2, [4]), (["\n", "\n", "\n"], 2, [2]),
    ],
)
def test_lines_stay_whole(words: list[str], most: int, borders: list[int]) -> None:
    doc = Doc(spacy.blank("en").vocab, words=words, spaces=[False] * len(words))
    assert line_borders(doc, most) == borders


@pytest.mark.parametrize(
    ("text", "halves"), [
        ("one\ntwo three", [(0, 4), (4, 13)]), ("one two three", [(0, 8), (8, 13)]), ("onetwothree", [(0, 5), (5, 11)]),
        ("one      ", [(0, 6)]),
    ],
)
def test_halves_part_at_line_ends_before_spaces(text: str, halves: list[tuple[int, int]]) -> None:
    assert halve(text, 0, len(text)) == halves
