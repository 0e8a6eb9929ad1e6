"""Cutting a note into windows: one greedy rule for engines and training, each with its own measure of length."""

from collections.abc import Sequence
from itertools import accumulate

from spacy.tokens import Doc


def fill_windows(lengths: Sequence[int], most: int, *, ends: Sequence[Sequence[bool]] = ()) -> list[int]:
    """Return the items at which windows begin, in order; together the windows hold every item.

    A window takes items while their lengths add up to at most `most`; an item that is longer stands alone. It ends before
    that where a kind of end gives it more than half of `most`: at the last end of the first kind that does.

    lengths (Sequence[int]): Of each item, in any unit.
    ends (Sequence): For each kind of end, the best kind first: whether it comes right after each item.

    >>> fill_windows([1, 1, 1, 1, 1], 4, ends=[[False, False, True, False, False]])
    [0, 3]
    """
    before = [0, *accumulate(lengths)]  # length of what stands before each item
    starts = [0] if lengths else []
    last = [0] * len(ends)  # of each kind, the item after its last end
    for i in range(len(lengths)):
        while starts[-1] < i and before[i + 1] - before[starts[-1]] > most:
            enough = (place for place in last if place > starts[-1] and before[place] - before[starts[-1]] > most // 2)
            starts.append(next(enough, i))
        for kind, marks in enumerate(ends):
            if marks[i]:
                last[kind] = i + 1
    return starts


def line_borders(doc: Doc, max_tokens: int) -> list[int]:
    """Return the tokens at which windows of whole lines begin, the first one left out; a longer line stays whole."""
    edges = [0, *(i + 1 for i, token in enumerate(doc) if "\n" in token.text)]
    if edges[-1] < len(doc):
        edges.append(len(doc))
    starts = fill_windows([end - start for start, end in zip(edges, edges[1:])], max_tokens)
    return [edges[line] for line in starts[1:]]


def halve(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a stretch of characters near its middle: at a line end, else at white space, else anywhere; blank parts are left out.

    >>> halve("one two three", 0, 13)
    [(0, 8), (8, 13)]
    """
    middle, quarter = (start + end) // 2, (end - start) // 4
    found = (text.rfind(mark, start + quarter, middle + quarter) for mark in ("\n", " "))
    place = next((at + 1 for at in found if at >= 0), middle)
    return [(a, b) for a, b in ((start, place), (place, end)) if text[a:b].strip()]
