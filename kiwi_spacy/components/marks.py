"""Cues of status in a text: where they stand, and the stretch that each holds for."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.sections import Section, section_at
from .cues import REACH, Cues, Rule, Terms, load_cues
from .sentences import Words, split_words

_BREAKS = frozenset(",:()")
_AFTER_PHRASE = frozenset((*",.;)/", "but", "and", "however"))
_JOINS = frozenset(("and", "or", "nor", "vs", "versus", "/", "&"))


@dataclass(frozen=True)
class Mark:
    """A cue in a text: its own place, and the stretch that it holds for; characters, half-open."""

    rule: Rule
    start_char: int
    end_char: int
    scope_start_char: int
    scope_end_char: int


class Marks:
    """The cues of one text, to be asked for those that reach a place."""

    def __init__(
        self, marks: Sequence[Mark], stops: Sequence[tuple[int, int, str]], ends: Sequence[int] = (), borders: Sequence[int] = (),
        silent: Sequence[Mark] = (),
    ) -> None:
        self.marks = sorted(marks, key=lambda mark: mark.scope_start_char)
        self._starts = [mark.scope_start_char for mark in self.marks]
        self._longest = max((mark.scope_end_char - mark.scope_start_char for mark in marks), default=0)
        self._pseudo = sorted((mark for mark in marks if mark.rule.axis is None), key=lambda mark: mark.start_char)
        self._by_place = sorted(marks, key=lambda mark: mark.start_char)
        self._own_starts = [mark.start_char for mark in self._by_place]
        self._widest = max((mark.end_char - mark.start_char for mark in marks), default=0)
        self._stops = sorted(stops, key=lambda stop: stop[0])
        self._stop_starts = [stop[0] for stop in self._stops]
        self._ends = ends  # where full stops and ";" end sentences
        self._borders = borders
        self._silent = [(mark.start_char, mark.end_char, mark.rule.value) for mark in silent]

    def reaching(self, start_char: int, end_char: int) -> Iterator[Mark]:
        """Yield the cues whose scope holds any character of a stretch."""
        first = bisect_left(self._starts, start_char - self._longest)
        for mark in self.marks[first : bisect_right(self._starts, end_char - 1)]:
            if mark.scope_end_char > start_char and mark.rule.axis is not None:
                yield mark

    def over(self, start_char: int, end_char: int) -> list[Mark]:
        """Return the cues whose own words share characters with a stretch."""
        first = bisect_left(self._own_starts, start_char - self._widest)
        return [
            mark for mark in self._by_place[first : bisect_left(self._own_starts, end_char)]
            if mark.end_char > start_char and mark.rule.axis is not None
        ]

    def pseudo_around(self, start_char: int, end_char: int) -> Mark | None:
        """Return the pseudo-cue whose words hold a stretch."""
        i = bisect_right(self._pseudo, start_char, key=lambda mark: mark.start_char) - 1
        return self._pseudo[i] if i >= 0 and self._pseudo[i].end_char >= end_char else None

    def is_silent(self, start_char: int, end_char: int, value: str) -> bool:
        """Whether a stretch shares words with a cue of a value whose word another cue takes: "no findings to suggest"."""
        i = bisect_left(self._silent, (end_char,)) - 1
        return i >= 0 and self._silent[i][1] > start_char and self._silent[i][2] == value

    def border_between(self, start_char: int, end_char: int) -> bool:
        """Whether a section begins within a stretch."""
        return bisect_left(self._borders, start_char) < bisect_right(self._borders, end_char)

    def ends_between(self, start_char: int, end_char: int, axis: str, value: str) -> bool:
        """Whether a sentence, or the scope of a value on an axis, ends within a stretch."""
        if bisect_left(self._ends, start_char) < bisect_left(self._ends, end_char):
            return True
        for i in range(bisect_left(self._stop_starts, start_char), bisect_left(self._stop_starts, end_char)):
            _, end, ended = self._stops[i]
            if end <= end_char and ended in ("", axis, value):
                return True
        return False


def find_marks(text: str, cues: Cues | None = None, *, sections: Sequence[Section] = ()) -> Marks:
    """Return the cues of a text with their scopes, in time that grows with the text alone.

    sections (Sequence[Section]): Of the text. No scope passes from one to the next, and headings are no cues.

    >>> [(m.rule.id, m.scope_start_char, m.scope_end_char) for m in find_marks("No fever but chills").marks if m.rule.axis]
    [('negation', 3, 8)]
    """
    cues = cues or load_cues()
    borders = [section.heading_start for section in sections]
    words = split_words(text, borders)
    found = [each for each in _match(words, cues.terms) if not _is_heading(words.start_char[each[1]], sections)]
    stops = [(first, last, axis) for axis, first, last in _match(words, cues.stops)]
    stops += [(first, last, str(rule.axis)) for rule, first, last in found if rule.ends]
    ends: dict[int, set[str]] = {}  # word > the axes whose scopes end before it; "" is all of them
    starts: dict[int, set[str]] = {}  # word > the axes whose scopes, coming from behind, end at it
    for first, last, axis in stops:
        ends.setdefault(first, set()).add(axis)
        starts.setdefault(last, set()).add(axis)
    _end_at_clauses(words, ends, cues.verbs)
    marks = [_mark(words, rule, first, last, ends, starts) for rule, first, last in found]
    denials = [mark for mark in marks if mark.rule.direction == "after" and mark.rule.value in ("absent", "refused")]
    silent = [mark for mark in marks if mark.rule.yields and _within(mark, denials)]
    marks = [mark for mark in marks if not (mark.rule.yields and _within(mark, denials))]
    full = [
        words.start_char[i] for i in range(len(words.lower) - 1)
        if words.lower[i] in ".;" and words.sentence[i] != words.sentence[i + 1]
    ]
    stretches = [(words.start_char[first], words.end_char[last - 1], axis) for first, last, axis in stops]
    return Marks(marks, stretches, full, borders, silent)


def _is_heading(place: int, sections: Sequence[Section]) -> bool:
    section = section_at(sections, place)
    return section is not None and place < section.heading_end


def _within(mark: Mark, others: Sequence[Mark]) -> bool:
    """Whether a cue lies in the scope of another; `others` are in order."""
    i = bisect_right(others, mark.start_char, key=lambda other: other.scope_start_char)
    return any(other.scope_start_char <= mark.start_char < other.scope_end_char for other in others[max(0, i - 5) : i])


def _match(words: Words, terms: Terms) -> list[tuple[Any, int, int]]:
    """Find terms from left to right, the longest first; what a term took is not looked at again."""
    found: list[tuple[Any, int, int]] = []
    lower, sentence, count = words.lower, words.sentence, len(words.lower)
    i = 0
    while i < count:
        nodes = terms.step([terms.tree], lower[i])
        end, best, j = i, [], i + 1
        while nodes:
            fitting = [w for n in nodes for w in n.get("", ()) if not isinstance(w, Rule) or _stands_right(words, w, i, j)]
            if fitting:
                end, best = j, fitting
            if j >= count or sentence[j] != sentence[i]:
                break
            nodes = terms.step(nodes, lower[j])
            j += 1
        found += [(what, i, end) for what in best]
        i = max(end, i + 1)
    return found


def _stands_right(words: Words, rule: Rule, first: int, last: int) -> bool:
    """Whether a term stands where its rule wants it: at the start of a clause, the end of a phrase, glued to a word."""
    sentence, count = words.sentence, len(words.lower)
    if rule.at == "start":
        return first == 0 or sentence[first - 1] != sentence[first] or words.lower[first - 1] in ",:"
    if rule.at == "end":
        return last == count or sentence[last] != sentence[last - 1] or words.lower[last] in _AFTER_PHRASE
    if rule.at == "sign":
        if last >= count or sentence[last] != sentence[first] or not words.lower[last][0].isalpha():
            return False
        glued = words.glued[last] and not words.glued[first]
        return (glued or words.lower[first] == "(") and not _is_bullet(words, first)
    return True


def _is_bullet(words: Words, first: int) -> bool:
    """Whether a sign begins its line and no other sign stands in it: "-lisinopril" in a list of drugs."""
    sentence = words.sentence
    if first > 0 and sentence[first - 1] == sentence[first]:
        return False
    i = first + 1
    while i < len(sentence) and sentence[i] == sentence[first] and i - first < REACH:
        if words.lower[i] in "-+−–" and not words.glued[i] and i + 1 < len(sentence) and words.glued[i + 1]:
            return False
        i += 1
    # Signs in the lines around it: "+cough", then "-fever".
    before = first > 1 and _sign_begins(words, first - 1)
    return not before


def _sign_begins(words: Words, last: int) -> bool:
    """Whether the sentence that ends with a word begins with a glued plus."""
    i = last
    while i > 0 and words.sentence[i - 1] == words.sentence[last] and last - i < REACH:
        i -= 1
    return words.lower[i] == "+"


def _mark(
    words: Words, rule: Rule, first: int, last: int, ends: Mapping[int, set[str]], starts: Mapping[int, set[str]]
) -> Mark:
    """Give a cue its scope."""
    low, high = first, last  # words, half-open
    if rule.axis is None:
        low, high = _around(words, first, last)
        return Mark(
            rule, words.start_char[first], words.end_char[last - 1], words.start_char[low], words.end_char[high - 1]
        )
    if rule.direction in ("after", "both"):
        high = _forward(words, rule, last, ends)
    if rule.direction in ("before", "both"):
        low = _backward(words, rule, first, starts)
    scope_low = last if rule.direction == "after" else low
    scope_high = first if rule.direction == "before" else high
    if scope_low >= scope_high:
        return Mark(rule, words.start_char[first], words.end_char[last - 1], words.end_char[last - 1], words.end_char[last - 1])
    return Mark(
        rule, words.start_char[first], words.end_char[last - 1], words.start_char[scope_low], words.end_char[scope_high - 1]
    )


def _stops_here(places: Mapping[int, set[str]], at: int, rule: Rule) -> bool:
    ended = places.get(at, ())
    return "" in ended or rule.axis in ended or rule.value in ended


def _end_at_clauses(words: Words, ends: dict[int, set[str]], verbs: frozenset[str]) -> None:
    """End what is denied at a comma behind which a clause begins: "no fever, and the wound was clean"."""
    for i, word in enumerate(words.lower):
        if word != ",":
            continue
        for j in range(i + 1, min(i + 8, len(words.lower))):
            later = words.lower[j]
            if words.sentence[j] != words.sentence[i] or later in (",", "or", "nor", ":", "(", "who", "which", "that", "if"):
                break
            if later == "and" and j > i + 1:
                break
            if later in verbs:
                ends.setdefault(i, set()).add("absent")
                break


def _around(words: Words, first: int, last: int) -> tuple[int, int]:
    """Return the words that a pseudo-cue speaks of: to the next comma, "and" or "or" on either side."""
    low, high, number = first, last, words.sentence[first]
    while low > 0 and first - low < REACH and words.sentence[low - 1] == number and not _parts(words.lower[low - 1]):
        low -= 1
    while high < len(words.lower) and high - last < REACH and words.sentence[high] == number and not _parts(words.lower[high]):
        high += 1
    return low, high


def _parts(word: str) -> bool:
    return word in _BREAKS or word in _JOINS


def _forward(words: Words, rule: Rule, start: int, ends: Mapping[int, set[str]]) -> int:
    """Return where a scope that begins at a word ends."""
    limit = min(len(words.lower), start + (rule.scope if isinstance(rule.scope, int) else REACH))
    i = start
    while i < limit and words.sentence[i] == words.sentence[start - 1]:
        if (i > start or rule.direction == "both") and _stops_here(ends, i, rule):
            break
        if isinstance(rule.scope, int) and words.lower[i] == ",":
            break
        if rule.scope in ("phrase", "item") and words.lower[i] in "()" and i > start:
            break
        if rule.scope == "phrase" and words.lower[i] == "," and not _list_goes_on(words, i, limit):
            break
        if rule.scope == "item" and _parts(words.lower[i]):
            break
        i += 1
    return i


def _list_goes_on(words: Words, comma: int, limit: int) -> bool:
    """Whether "or" or "vs" joins what follows a comma to what stands before it: "possible ulcer, gastritis or reflux"."""
    if comma + 1 < limit and words.lower[comma + 1] in ("or", "vs", "versus"):
        return True
    for i in range(comma + 1, min(comma + 6, limit)):
        if words.lower[i] in (",", ".", ":", "and") or words.sentence[i] != words.sentence[comma]:
            return False
        if words.lower[i] in ("or", "vs", "versus"):
            return True
    return False


def _backward(words: Words, rule: Rule, start: int, starts: Mapping[int, set[str]]) -> int:
    """Return where a scope that ends before a word begins."""
    limit = max(0, start - (rule.scope if isinstance(rule.scope, int) else REACH))
    i = start
    joined = False
    while i > limit and words.sentence[i - 1] == words.sentence[start]:
        if i < start and _stops_here(starts, i, rule):
            break
        word = words.lower[i - 1]
        if rule.scope == "item" and i < start and _parts(word):
            break
        if rule.scope == "phrase" and word in _BREAKS and i < start and not (word == "," and joined) and word not in ")(":
            break
        joined = joined or word in _JOINS
        i -= 1
    return i
