"""Where a note's headings stand: at the start of a line, alone on one, or within a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .titles import BRACKETS, MAX_TITLE, Titles, look_up, title_words

_LINE = re.compile(r"[^\n\r\x0b\x0c\x85\u2028\u2029]+")
_LEAD = re.compile(
    r"[ \t\xa0]*(?P<bullet>[-•·*▪◦][ \t]+)?(?P<hash>#{1,6}[ \t]*)?(?P<star>\*\*|__)?"
    r"(?P<number>(?:\(?\d{1,2}[.)]|[IVX]{1,4}[.)]|[A-Za-z][.)])[ \t]+)?"
)
_DASH = re.compile(r"([A-Za-z][A-Za-z/&(), ]{1,50}?)[ \t]+[-–—]+(?=\s)")
_STOP = re.compile(r"([A-Z][A-Za-z/ ]{2,30}?)\.(?=[ \t]+[A-Z0-9])")
_INNER = re.compile(
    r"(?<=[ \t,])(?P<title>[A-Z][A-Za-z&'/-]{0,24}(?: (?:[A-Za-z&'/-]{1,20}|\([^()\n]{1,30}\))){0,5}(?:\((?:ES|S|es|s)\))?)"
    r"[ \t]?:(?!\d)"
)
_ENDS = ".:;?!"


@dataclass(frozen=True)
class Heading:
    start: int
    end: int
    title: str
    key: str | None
    bare: bool = False  # alone on its line, without a colon


def find_headings(text: str, titles: Titles) -> list[Heading]:
    """Return a note's headings in reading order; no two overlap."""
    return _without_overlap([*_line_headings(text, titles), *_inner_headings(text, titles)])


def _without_overlap(headings: list[Heading]) -> list[Heading]:
    kept: list[Heading] = []
    for heading in sorted(headings, key=lambda h: (h.start, -h.end)):
        if not kept or heading.start >= kept[-1].end:
            kept.append(heading)
    return kept


def _line_headings(text: str, titles: Titles) -> Iterator[Heading]:
    """Find headings at the start of a line, or alone on it."""
    above = ""  # the line before, "" where it is blank
    place, first = 0, True
    for line in _LINE.finditer(text):
        if text.count("\n", place, line.start()) > 1:
            above = ""
        place = line.end()
        words = line.group().strip()
        if not words:
            above = ""
            continue
        heading = _line_heading(text, line.start(), line.end(), titles, above, first)
        if heading is not None:
            yield heading
        above, first = words, False


def _line_heading(text: str, start: int, end: int, titles: Titles, above: str, first: bool) -> Heading | None:
    lead = _LEAD.match(text, start, end)
    assert lead is not None  # every group is optional
    bullet = bool(lead["bullet"])
    begin, marked, numbered = lead.end(), bool(lead["hash"] or lead["star"]), bool(lead["number"])
    head = start + len(lead.group()) - len(lead.group().lstrip())
    window = text[begin : min(end, begin + MAX_TITLE + 20)]
    if not window[:1].isalnum():
        return None

    colon = window.find(":")
    if 0 < colon <= MAX_TITLE:
        title = window[:colon].strip(" \t*_")
        found = look_up(title, titles, loose=True)
        after = window[colon + 1 :].lstrip(" \t*_")
        if found is not None and bullet and (found[1] or not titles.kinds[found[0]].part):
            return None  # "- Examination of nose: ..."
        if found is not None and not _is_value(title, after) and (found[1] is False or title[:1].isupper()):
            return Heading(head, _skip(text, begin + colon + 1, end), title, found[0])
        if found is None and not first and not bullet and _looks_like_title(title, after, titles, marked, numbered):
            return Heading(head, _skip(text, begin + colon + 1, end), title, None)
        if found is None and not (first or after or above or bullet or numbered) and _is_titled(title):
            return Heading(head, begin + colon + 1, title, None)

    if bullet:
        return None
    for form in (_DASH, _STOP):
        match = form.match(window)
        if match is None or numbered:
            continue
        found = titles.words.get(title_words(match[1])) if first else look_up(match[1], titles, loose=False)
        if found is None or found[1]:
            continue
        if form is _STOP and (titles.kinds[found[0]].part or not (above == "" or above[-1] in _ENDS)):
            continue
        return Heading(head, begin + match.end(), match[1], found[0])

    if end - begin > MAX_TITLE:
        return None
    title = text[begin:end].strip(" \t*_:#")
    if not title or ":" in title or title[-1] in ".,;" or not title[0].isupper():
        return None
    # A note's first line is often its own title: "PSYCHIATRY INPATIENT NOTE".
    exact = tuple(word for word in title_words(BRACKETS.sub(" ", title)) if word.isalpha())
    found = titles.words.get(exact) if first else look_up(title, titles, loose=title.isupper())
    if first and found is not None and titles.kinds[found[0]].part:
        return None
    loud = title.isupper() and _has_long_word(title, 4)
    if found and (not found[1] or (loud and not titles.kinds[found[0]].part)) and (not numbered or title.isupper()):
        return Heading(head, end, title, found[0], bare=True)
    if found is None and not first and " ".join(title_words(title)) not in titles.documents:
        bold = bool(lead["star"]) and text[begin:end].rstrip().endswith(("**", "__"))
        capitals = title.isupper() and _is_titled(title) and _has_long_word(title, 5)
        if bold or len((lead["hash"] or "").strip()) > 1 or (capitals and not above and not numbered):
            return Heading(head, end, title, None)
    return None


def _inner_headings(text: str, titles: Titles) -> Iterator[Heading]:
    """Find headings within a line: known titles before a colon, after the end of a sentence or a gap."""
    for match in _INNER.finditer(text):
        start, title = match.start(), match["title"]
        found = look_up(title, titles, loose=False)
        if found is None or found[1]:
            continue
        before = text[max(0, start - 3) : start]
        gap = before[-2:].isspace() or "\t" in before
        ended = before[-1:] == " " and before[-2:-1] in (*_ENDS, ")", "]")
        dashed = before[-2:] in ("- ", "– ") and before[:1] == " " and text[max(0, start - 4) : start - 3].isalnum()
        capitals = title.isupper() and sum(map(str.isalpha, title)) > 3 and before[-1:] == " "
        glued = before[-1:] == ","  # two lines of a transcript joined by a comma
        if gap or glued or ended or dashed or capitals:
            yield Heading(start, match.end(), title, found[0])


def _skip(text: str, place: int, end: int) -> int:
    """Go past what closes a bold heading: `**HPI:**`."""
    return place + 2 if text[place : min(place + 2, end)] in ("**", "__") else place


def _is_value(title: str, after: str) -> bool:
    """Whether a single letter and a number are a vital sign ("P: 88") and no heading."""
    return len(title) == 1 and re.match(r"\d{2,3}(?![\d-])(?! ?(?:y|-?year|mo))", after) is not None


def _looks_like_title(title: str, after: str, titles: Titles, marked: bool, numbered: bool) -> bool:
    """Whether words before a colon, of no known title, are a heading: in capitals, or bold or with # and alone."""
    words = title_words(title)
    if numbered or not 0 < len(words) <= 6 or set(words) & titles.relatives:
        return False
    if marked and not after:
        return True
    return title.isupper() and _has_long_word(title, 4) and re.match(r"[\d<>=+~.-]", after) is None


def _has_long_word(title: str, letters: int) -> bool:
    return any(len(word) >= letters for word in re.findall(r"[^\W\d_]+", title))


def _is_titled(title: str) -> bool:
    """Whether a line is short and begins as a title does."""
    return 0 < len(title.split()) <= 5 and title[0].isupper() and title[-1].isalpha()
