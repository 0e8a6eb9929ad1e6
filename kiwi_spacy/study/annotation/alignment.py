"""Two copies of one note, laid out differently: which character of one is which of the other. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile

Block = tuple[int, int, int]  # start in a, start in b, how many items are equal from there

_WORD = re.compile(r"\w+|([^\w\s])\1*")  # a rule of 80 dashes is one word; every character but white space is in one
_RUN = 3  # words that are matched as one at first: single words recur so often that difflib takes seconds over a note
_LARGEST = 160_000  # pairs of items; a gap of more (400 words by 400) holds other text, and difflib would crawl
_ALIKE = 0.75  # ratio of difflib from which words are taken for spellings of each other: "recieve", "receive" has 0.86


def align_texts(a: str, b: str) -> list[int]:
    """Return, for each character of `b`, the offset of the same character in `a`, and -1 where `a` has none.

    White space and where lines end count for nothing, and have -1. Words are aligned first, then,
    between those, the characters of words that are alike, such as "hyper-tension" and "hypertension".
    What is found rises strictly, and equal characters alone are paired.

    >>> align_texts("no pain", "NOTE: no" + chr(10) + "pain")
    [-1, -1, -1, -1, -1, -1, 0, 1, -1, 3, 4, 5, 6]
    """
    to_a = [-1] * len(b)
    words_a, words_b = list(_WORD.finditer(a)), list(_WORD.finditer(b))
    if "".join(a.split()) == "".join(b.split()):  # layout alone differs
        _put(to_a, _offsets(words_a), _offsets(words_b))
        return to_a
    blocks = _word_blocks([word.group() for word in words_a], [word.group() for word in words_b])
    for i, j, length in blocks:
        _put(to_a, _offsets(words_a[i : i + length]), _offsets(words_b[j : j + length]))
    for i, i_end, j, j_end in _gaps(blocks, len(words_a), len(words_b)):
        chars_a, chars_b = _offsets(words_a[i:i_end]), _offsets(words_b[j:j_end])
        if 0 < len(chars_a) * len(chars_b) <= _LARGEST:
            matcher = _matcher([a[at] for at in chars_a], [b[at] for at in chars_b])
            if matcher.ratio() >= _ALIKE:
                for k, m, length in matcher.get_matching_blocks():
                    _put(to_a, chars_a[k : k + length], chars_b[m : m + length])
    return to_a


def invert(to_a: Sequence[int], length: int) -> list[int]:
    """Return the alignment the other way round: for each of `length` characters of `a` its offset in `b`, or -1.

    >>> invert([-1, 0, 2], 3)
    [1, -1, 2]
    """
    to_b = [-1] * length
    for at_b, at_a in enumerate(to_a):
        if at_a >= 0:
            to_b[at_a] = at_b
    return to_b


def carry_span(start: int, end: int, to_other: Sequence[int]) -> tuple[int, int] | None:
    """Return a span's offsets in the other text, half-open; None where one of its ends is not in that text.

    start, end (int): Half-open; a span that begins or ends with white space is for `trim_span` first.

    >>> carry_span(2, 4, [-1, -1, 0, 1, 2]), carry_span(0, 4, [-1, -1, 0, 1, 2])
    ((0, 2), None)
    """
    first, last = to_other[start], to_other[end - 1]
    return None if first < 0 or last < 0 else (first, last + 1)


def trim_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return a span without white space at its ends; None where it holds nothing else.

    >>> trim_span("a  cough ", 2, 9), trim_span("a  cough ", 1, 3)
    ((3, 8), None)
    """
    words = text[start:end]
    start, end = end - len(words.lstrip()), start + len(words.rstrip())
    return (start, end) if start < end else None


def _word_blocks(a: list[str], b: list[str]) -> list[Block]:
    """Return the runs of words that two texts have in common, in order.

    >>> _word_blocks("note : no pain today".split(), "no pain at all".split())
    [(2, 0, 2)]
    """
    head = _common_start(a, b)
    tail = _common_start(a[head:][::-1], b[head:][::-1])
    end_a, end_b = len(a) - tail, len(b) - tail
    runs_a, runs_b = _runs(a[head:end_a]), _runs(b[head:end_b])
    starts = [(i + head, j + head, n) for i, j, n in _matcher(runs_a, runs_b).get_matching_blocks() if n]
    blocks: list[Block] = [(0, 0, head)]
    for (i, j, length), (i_next, j_next, _) in zip(starts, [*starts[1:], (end_a, end_b, 0)]):
        # The last run of a block goes on for two words more, which the next block may claim.
        blocks.append((i, j, min(length + _RUN - 1, i_next - i, j_next - j)))
    blocks.append((end_a, end_b, tail))
    for i, i_end, j, j_end in list(_gaps(blocks, len(a), len(b))):
        if 0 < (i_end - i) * (j_end - j) <= _LARGEST:
            between = _matcher(a[i:i_end], b[j:j_end]).get_matching_blocks()
            blocks += [(i + k, j + m, length) for k, m, length in between]
    return sorted(block for block in blocks if block[2])


def _matcher(a: Sequence[object], b: Sequence[object]) -> SequenceMatcher:
    return SequenceMatcher(None, a, b, autojunk=False)  # autojunk would drop each word that recurs in a long note


def _common_start(a: Sequence[str], b: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b)))


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[i:] for i in range(_RUN))))


def _gaps(blocks: Iterable[Block], length_a: int, length_b: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start in a, end in a, start in b, end in b) of what lies before, between and after the blocks."""
    i = j = 0
    for i_next, j_next, length in [*blocks, (length_a, length_b, 0)]:
        if i_next > i or j_next > j:
            yield i, i_next, j, j_next
        i, j = i_next + length, j_next + length


def _offsets(words: Iterable[re.Match[str]]) -> list[int]:
    return [at for word in words for at in range(word.start(), word.end())]


def _put(to_a: list[int], offsets_a: Iterable[int], offsets_b: Iterable[int]) -> None:
    for at_a, at_b in zip(offsets_a, offsets_b, strict=True):
        to_a[at_b] = at_a
