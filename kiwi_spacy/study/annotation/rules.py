"""Check a folder of brat annotations against the annotation guide and the schema.

Errors contradict the guide or the schema, or lose an annotation on reading. Warnings nearly always are slips. Hints
are places worth a look. Findings name labels, ids and offsets, never the words of a note.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import spacy

from ...formats.brat import BratLink, BratNote, BratSpan, Failure, Problem, ProblemKind, read_folder
from ...formats.docs import make_doc
from ...schema import Schema
from ...tokenizer import build_tokenizer

Severity = Literal["error", "warning", "hint"]

RULES: dict[str, str] = {
    "unreadable-file": "A note and its annotations can be opened and are UTF-8.",
    "no-text": "Every .ann file has the .txt file of its note.",
    "no-annotations": "Every .txt file has an .ann file, an empty one where the note holds nothing to mark.",
    "empty": "A note that holds something to mark has marks in its .ann file.",
    "unreadable-line": "Every line of an .ann file is a span, a link or another form that brat knows.",
    "outside-note": "A span begins and ends within its note, and begins before it ends.",
    "repeated-id": "No two annotations of a note share an id.",
    "unknown-label": "Labels are those of the schema.",
    "pieces": "A span is one stretch of the note, without a gap.",
    "no-words": "A span comes with its words, by which its place can be checked.",
    "other-words": "The words beside a span are the note's words at that place.",
    "missing-end": "A link joins spans that are there.",
    "wrong-ends": "A link joins one entity and one modifier, never two of a kind.",
    "pair": "An entity takes only the modifiers that the schema allows it.",
    "unknown-attribute": "An attribute says a modifier of the schema, or is kept as a remark alone.",
    "left-out": "Equivalences, and comments on anything but a span, cannot be kept.",
    "turned-link": "A link names the entity first and the modifier second.",
    "repeated-link": "A link is written once.",
    "far-link": "A link seldom leaves its sentence, so one that crosses an empty line is worth a look.",
    "overlap": "Entities never overlap.",
    "inside": "Only modifiers with 'inside: true' in the schema may lie in an entity or overlap it.",
    "unlinked": "A modifier is marked only where an entity it modifies is marked; some dates and times stand alone.",
    "repeated-span": "The same place is marked once with the same label.",
    "white-space": "A span neither begins nor ends with white space.",
    "punctuation": "A phrase leaves out the comma, stop or list mark beside it and keeps both brackets of a pair or none.",
    "article": "An entity includes the article or possessive before it.",
    "line-end": "A phrase stands on one line, unless the lines of the note are wrapped.",
    "part-of-word": "A span begins and ends where words do, as the tokenizer cuts them; pipelines widen it to whole words.",
    "cut-phrase": "A phrase such as 'pain in the chest' is one entity, and the modifier lies inside it.",
    "split-name": "A name with its other name in brackets, such as 'DM (diabetes mellitus)', is one entity.",
    "unmarked": "What is an entity in one place is one in another, unless it is part of a longer name or merely in passing.",
    "two-labels": "The same words are entities of one label, unless they mean two things.",
}
_WARNINGS = frozenset({
    "empty", "pieces", "no-words", "turned-link", "repeated-link", "unlinked", "repeated-span", "punctuation", "article",
    "line-end", "part-of-word", "left-out",
})
_HINTS = frozenset({"unknown-attribute", "far-link", "cut-phrase", "split-name", "unmarked", "two-labels"})

# What to do about a problem that the reader reports; the others say it themselves.
_MENDS: dict[ProblemKind, str] = {
    "unreadable-line": "Correct the line or delete it.",
    "outside-note": "Correct its offsets, or put back the note as it was when it was annotated.",
    "repeated-id": "Give one of them an id of its own.",
    "pieces": "Mark one phrase, or a span for each piece.",
    "no-words": "Open the note in brat, look at the span and save it.",
    "other-words": "Correct the offsets, or put back the note as it was when it was annotated.",
    "missing-end": "Correct the id, or delete the line.",
    "wrong-ends": "Link each of the two to its own partner, or delete the link.",
}
_ARTICLES = ("the", "a", "an", "his", "her", "their", "my", "our", "your", "its")
_ALSO_OBJECTS = frozenset({"A", "Her"})  # "gave her aspirin", "hepatitis A": these count where a sentence begins
_ENDS_SENTENCE = frozenset(".:;!?")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_OPENING = {closing: opening for opening, closing in _BRACKETS.items()}
_LINE_END = re.compile(r"\r\n?|\n")
_LIST_MARK = re.compile(r"[-*•]\s")
_SENTENCE_STOP = re.compile(r"(?:\d|[)\]}]|[^\W\d_]{5})\.$")  # after a number, a bracket or a whole word; not in "b.i.d."
_IN_OR_OF = re.compile(r"[ \t]+(?:in|of)[ \t]+(?:(?:" + "|".join(_ARTICLES) + r")[ \t]+)?", re.IGNORECASE)
_LONGEST_NAME = 30  # tokens; longer spans do not recur
_OFTEN = 3  # marks of a name before a place without a mark is worth a look


@dataclass(frozen=True)
class Finding:
    """One place that a rule points at; `line` counts from 1 in `file`, and is 0 where the whole file is meant."""

    file: str
    line: int
    kind: str
    message: str
    start_char: int | None
    end_char: int | None
    severity: Severity

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


def check_annotations(folder: Path, schema: Schema, *, text_dir: Path | None = None) -> list[Finding]:
    """Return what the rules find in a folder of brat annotations, by file and line.

    Findings are in the .ann file, but for places without a mark, which are in the .txt file.

    text_dir (Path | None): Where the texts are, when they are not beside the annotations.
    RAISES (FormatError): A folder is missing, or holds no note.
    """
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    findings: list[Finding] = []
    notes: list[_Note] = []
    for item in read_folder(folder, text_dir, schema=schema):
        if isinstance(item, Failure):
            place = f"{item.file}, line {item.line}: " if item.line else f"{item.file}: "
            findings.append(_finding(item.file, item.line, item.kind, item.reason.removeprefix(place)))
            continue
        doc = make_doc(nlp, item.text)
        note = _Note(item, [(t.idx, t.idx + len(t)) for t in doc if not t.is_space], schema)
        notes.append(note)
        findings += map(_reported, item.reported)
        for check in _CHECKS:
            findings += check(note)
    findings += _check_names(notes)
    return sorted(findings, key=lambda f: (f.file, f.line, f.start_char or 0, f.kind, f.message))


class _Note:
    """A note with what several rules ask: entities by place, links by id, tokens that are not white space."""

    def __init__(self, note: BratNote, tokens: list[tuple[int, int]], schema: Schema) -> None:
        self.name, self.text, self.spans, self.written = note.name, note.text, note.spans, note.written
        self.is_empty = not note.spans and not note.reported
        self.schema = schema
        self.starts, self.ends = [a for a, _ in tokens], [b for _, b in tokens]
        self.by_id = {span.id: span for span in note.spans}
        self.linked = {id_ for link in note.written for id_ in (link.head, link.modifier)}
        entities = {(s.start_char, s.end_char, s.label): s for s in reversed(note.spans) if s.label in schema.entities}
        self.entities = [entities[key] for key in sorted(entities)]
        self.line_ends = [(m.start(), m.end()) for m in _LINE_END.finditer(note.text)]
        self.empty_lines = [b for (_, a), (b, _) in zip(self.line_ends, self.line_ends[1:]) if not note.text[a:b].strip()]

    def words(self, span: BratSpan) -> str:
        return self.text[span.start_char : span.end_char]

    def find(self, kind: str, span: BratSpan, message: str, severity: Severity | None = None) -> Finding:
        return _finding(f"{self.name}.ann", span.line, kind, message, span.start_char, span.end_char, severity)

    def find_link(self, kind: str, link: BratLink, message: str) -> Finding:
        return _finding(f"{self.name}.ann", link.line, kind, message)

    def token_range(self, start_char: int, end_char: int) -> tuple[int, int]:
        """The tokens that have a character between the two, as a half-open range."""
        return bisect_right(self.ends, start_char), bisect_left(self.starts, end_char)

    def token(self, i: int) -> str:
        return self.text[self.starts[i] : self.ends[i]]


_Mark = tuple[_Note, BratSpan]
_Name = tuple[str, ...]


def _finding(
    file: str, line: int, kind: str, message: str, start_char: int | None = None, end_char: int | None = None,
    severity: Severity | None = None,
) -> Finding:
    by_kind: Severity = "warning" if kind in _WARNINGS else "hint" if kind in _HINTS else "error"
    return Finding(file, line, kind, message, start_char, end_char, severity or by_kind)


def _reported(problem: Problem) -> Finding:
    message = f"{problem.what} {_MENDS.get(problem.kind, '')}".strip()
    return _finding(problem.file, problem.line, problem.kind, message, problem.start_char, problem.end_char)


def _place(span: BratSpan) -> str:
    return f"{span.id} ('{span.label}', {span.start_char}-{span.end_char})"


def _check_file(note: _Note) -> Iterator[Finding]:
    if note.is_empty:
        message = "The file holds no annotation. Annotate the note, or leave it so if there is nothing to mark."
        yield _finding(f"{note.name}.ann", 0, "empty", message)


def _check_links(note: _Note) -> Iterator[Finding]:
    first: dict[tuple[str, str], BratLink] = {}
    heads = Counter(modifier for _, modifier in {(link.head, link.modifier) for link in note.written})
    for link in note.written:
        head, modifier = note.by_id[link.head], note.by_id[link.modifier]
        if link.turned:
            yield note.find_link("turned-link", link, (
                f"{link.id} goes from the modifier {modifier.id} to the entity {head.id}. "
                f"Write {head.id} first and {modifier.id} second."
            ))
        earlier = first.setdefault((head.id, modifier.id), link)
        if earlier is not link:
            yield note.find_link("repeated-link", link, (
                f"{link.id} joins {head.id} and {modifier.id}, as does {earlier.id} on line {earlier.line}. Delete one."
            ))
            continue
        left, right = sorted((head, modifier), key=lambda span: span.start_char)
        i = bisect_left(note.empty_lines, left.end_char)
        if i < len(note.empty_lines) and note.empty_lines[i] < right.start_char:
            yield note.find_link("far-link", link, (
                f"{link.id} joins {_place(head)} and {_place(modifier)} across an empty line. "
                "See whether the two belong together."
            ))
        # A modifier of several entities is the end of a list and cannot lie in all of them.
        alone = note.schema.modifiers[modifier.label].inside and heads[modifier.id] == 1
        if alone and _IN_OR_OF.fullmatch(note.text, head.end_char, modifier.start_char):
            yield note.find("cut-phrase", head, (
                f"{_place(head)} ends before the 'in' or 'of' that leads to its modifier {_place(modifier)}. "
                f"Widen {head.id} to {modifier.end_char} if the two are one phrase; {modifier.id} may lie inside it."
            ))


def _check_overlaps(note: _Note) -> Iterator[Finding]:
    reaching: list[BratSpan] = []  # for each entity, which of it and those before ends last
    for entity in note.entities:
        last = reaching[-1] if reaching else None
        if last and entity.start_char < last.end_char:
            yield note.find("overlap", entity, (
                f"{_place(entity)} overlaps {_place(last)} of line {last.line}; entities never overlap. "
                "Keep the one that the guide asks for, or cut one of them."
            ))
        reaching.append(last if last and last.end_char >= entity.end_char else entity)
    starts = [entity.start_char for entity in note.entities]
    for span in note.spans:
        if span.label in note.schema.modifiers and not note.schema.modifiers[span.label].inside:
            i = bisect_left(starts, span.end_char)
            if i and reaching[i - 1].end_char > span.start_char:
                may = ", ".join(name for name, label in note.schema.modifiers.items() if label.inside) or "none"
                yield note.find("inside", span, (
                    f"{_place(span)} lies in the entity {_place(reaching[i - 1])} or overlaps it. "
                    f"Modifiers that may: {may}. "
                    f"Take the words out of one of the two, or set 'inside: true' for '{span.label}' in the schema."
                ))


def _check_modifiers(note: _Note) -> Iterator[Finding]:
    for span in note.spans:
        label = note.schema.modifiers.get(span.label)
        if label is None or span.id in note.linked:
            continue
        # The guide lets dates and times stand alone. In a schema they are what any entity may take and what has no role.
        alone = len(label.modifies) == len(note.schema.entities) and label.role is None
        heads = ", ".join(name for name in note.schema.entities if name in label.modifies)
        yield note.find("unlinked", span, (
            f"{_place(span)} is linked to no entity. Link it to its {heads}; "
            + ("leave it if it is a date or time of the note." if alone else "delete it if none is marked.")
        ), "hint" if alone else None)


def _check_spans(note: _Note) -> Iterator[Finding]:
    first: dict[tuple[int, int, str], BratSpan] = {}
    for span in note.spans:
        earlier = first.setdefault((span.start_char, span.end_char, span.label), span)
        if earlier is not span:
            yield note.find("repeated-span", span, (
                f"{_place(span)} is there already, as {earlier.id} on line {earlier.line}. "
                f"Move the links of {span.id} to {earlier.id} and delete {span.id}."
            ))
            continue
        words = note.words(span)
        start, end = span.end_char - len(words.lstrip()), span.start_char + len(words.rstrip())
        if start >= end:
            yield note.find("white-space", span, f"{_place(span)} holds white space alone. Delete it.")
            continue
        if (start, end) != (span.start_char, span.end_char):
            message = f"{_place(span)} has white space at an end. Shrink it to {start}-{end}."
            yield note.find("white-space", span, message)
        yield from _check_ends(note, span, start, end)
        i = bisect_left(note.line_ends, (start, 0))
        if i < len(note.line_ends) and note.line_ends[i][0] < end:
            yield note.find("line-end", span, (
                f"{_place(span)} goes on after the end of a line. Mark a phrase for each line, "
                "unless the note's lines are wrapped."
            ))


def _check_ends(note: _Note, span: BratSpan, start: int, end: int) -> Iterator[Finding]:
    """Check the words at start_char to end_char, the span less the white space at its ends."""
    cut_start, cut_end = _punctuation(note.text, start, end)
    if cut_start < cut_end and (cut_start, cut_end) != (start, end):
        yield note.find("punctuation", span, (
            f"{_place(span)} takes in punctuation that is not of the phrase. Shrink it to {cut_start}-{cut_end}."
        ))
    first, last = note.token_range(start, end)
    if first < last and (note.starts[first], note.ends[last - 1]) != (start, end):
        whole = f"{note.starts[first]}-{note.ends[last - 1]}"
        yield note.find("part-of-word", span, (
            f"{_place(span)} begins or ends within a word. Widen it to {whole}; pipelines read it so."
        ))


def _punctuation(text: str, start: int, end: int) -> tuple[int, int]:
    """Return start_char and end_char without the punctuation that is not of the phrase.

    Signs that carry meaning stay: those of numbers (`<5`, `-1`, `2+`, `.5`), question marks and the stops of abbreviations.

    >>> _punctuation("- folate, B12 (b.i.d.),", 0, 9), _punctuation("- folate, B12 (b.i.d.),", 10, 23)
    ((2, 8), (10, 22))
    """
    before = None
    while before != (start, end) and start < end:
        before = start, end
        closing = _BRACKETS.get(text[start])
        opening = _OPENING.get(text[end - 1])
        if text[start] in ",;:" or (closing and text.find(closing, start, end) < 0):
            start += 1
        elif _LIST_MARK.match(text, start):
            start += 2
        elif (
            text[end - 1] in ",;:" or (opening and text.find(opening, start, end) < 0)
            or _SENTENCE_STOP.search(text, max(start, end - 6), end)
        ):
            end -= 1
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
    return start, end


def _check_entities(note: _Note) -> Iterator[Finding]:
    covered = _covered(note)
    for entity in note.entities:
        first, last = note.token_range(entity.start_char, entity.end_char)
        if 0 < first < last and not covered(first - 1, first) and _is_article(note, first - 1):
            yield note.find("article", entity, (
                f"{_place(entity)} leaves out the article or possessive before it. "
                f"Widen it to start at {note.starts[first - 1]}."
            ))
    for left, right in zip(note.entities, note.entities[1:]):
        between = note.text[left.end_char : min(right.start_char, left.end_char + 5)]
        if left.label == right.label and between.strip() == "(" and note.text.startswith(")", right.end_char):
            yield note.find("split-name", left, (
                f"{_place(left)} and {_place(right)}, in brackets after it, are of one label. "
                f"If they are two names of one thing, widen {left.id} to {right.end_char + 1} and delete {right.id}."
            ))


def _is_article(note: _Note, i: int) -> bool:
    """Whether token i is an article or possessive of the word that follows it on its line."""
    word = note.token(i)
    if word.lower() not in _ARTICLES or _LINE_END.search(note.text, note.ends[i], note.starts[i + 1]):
        return False
    starts_line = i == 0 or bool(_LINE_END.search(note.text, note.ends[i - 1], note.starts[i]))
    starts_sentence = starts_line or note.token(i - 1) in _ENDS_SENTENCE
    if word.lower() == "her" or word == "A":
        return word in _ALSO_OBJECTS and starts_sentence
    return True


def _covered(note: _Note) -> Callable[[int, int], bool]:
    """Return a function that says whether any of the tokens of a half-open range is in a span."""
    changes = [0] * (len(note.starts) + 1)
    for span in note.spans:
        first, last = note.token_range(span.start_char, span.end_char)
        changes[first] += 1
        changes[last] -= 1
    sums = [0, *accumulate(depth > 0 for depth in accumulate(changes))]
    return lambda first, last: sums[last] > sums[first]


_CHECKS: tuple[Callable[[_Note], Iterator[Finding]], ...] = (
    _check_file, _check_links, _check_overlaps, _check_modifiers, _check_spans, _check_entities,
)


def _check_names(notes: list[_Note]) -> Iterator[Finding]:
    """Compare how the same words are marked over all notes."""
    marks: dict[_Name, dict[str, list[_Mark]]] = defaultdict(lambda: defaultdict(list))
    for note in notes:
        for entity in note.entities:
            first, last = note.token_range(entity.start_char, entity.end_char)
            while first < last and note.token(first).lower() in _ARTICLES:
                first += 1
            if first < last <= first + _LONGEST_NAME:
                marks[_name(note, first, last)][entity.label].append((note, entity))
    usual: dict[_Name, list[_Mark]] = {}
    for name, by_label in marks.items():
        label = max(by_label, key=lambda label: len(by_label[label]))
        if len(by_label[label]) < _OFTEN:
            continue
        if len(by_label) == 1:
            usual[name] = by_label[label]
        for other, found in by_label.items():
            for note, entity in found if other != label else ():
                yield note.find("two-labels", entity, (
                    f"The words of {_place(entity)} are marked '{other}' {_times(found)} in these notes "
                    f"and '{label}' {_times(by_label[label])}. See which label is right here."
                ))
    yield from _check_unmarked(notes, usual)


def _check_unmarked(notes: list[_Note], usual: dict[_Name, list[_Mark]]) -> Iterator[Finding]:
    """Look for names that are marked elsewhere, always with one label, and that no span touches here.

    A name that stands without a mark more than half as often as with one is a common word, and passed over.
    """
    lengths: dict[str, set[int]] = defaultdict(set)
    for name in usual:
        lengths[name[0]].add(len(name))
    places: dict[_Name, list[tuple[_Note, int, int]]] = defaultdict(list)
    for note in notes:
        covered, last = _covered(note), 0
        for i in range(len(note.starts)):
            word = note.token(i)
            for length in sorted(lengths.get(word, set()) | lengths.get(word.lower(), set()), reverse=True):
                j = min(i + length, len(note.starts))
                name = _name(note, i, j)
                if i >= last and name in usual and not covered(i, j) and _is_whole(note, i, j):
                    places[name].append((note, i, j))
                    last = j
                    break
    for name, found in places.items():
        marked_note, marked = usual[name][0]
        for note, i, j in found if 2 * len(found) <= len(usual[name]) else ():
            start, end = note.starts[i], note.ends[j - 1]
            yield _finding(f"{note.name}.txt", bisect_left(note.line_ends, (start, 0)) + 1, "unmarked", (
                f"The words at {start}-{end} are marked '{marked.label}' {_times(usual[name])} in these notes, as in "
                f"{marked_note.name}.ann, line {marked.line}, but not here. "
                "Mark them, unless they are part of a longer name or said in passing."
            ), start, end)


def _name(note: _Note, first: int, last: int) -> tuple[str, ...]:
    """The tokens of a range, in lower case unless they are short: "US" is not "us"."""
    words = tuple(map(note.token, range(first, last)))
    return words if sum(map(len, words)) <= 3 else tuple(word.lower() for word in words)


def _is_whole(note: _Note, first: int, last: int) -> bool:
    """Whether a range of tokens is joined to no word beside it, and is no heading."""
    start, end = note.starts[first], note.ends[last - 1]
    if end - start < 2:  # "Mrs. K" is no potassium
        return False
    beside = note.text[max(0, start - 1) : start] + note.text[end : end + 1]
    return not any(c.isalnum() or c in "-/:" for c in beside)


def _times(marks: list[tuple[_Note, BratSpan]]) -> str:
    return "once" if len(marks) == 1 else f"{len(marks)} times"
