"""`kiwi_sections`: the sections of a note, by their headings.

Titles stand in `sections.yml`; a site's file adds to them. Headings are found in their usual forms: on a line of their own,
before a colon, a dash or a full stop, in capitals, numbered, in markdown, and within a line ("PMH: gout. FH: none").
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from ..contract.sections import Section, register_section_extensions, set_sections
from ..errors import RulesError
from .rules import read_rules, word_list

DEFAULT_PATH = Path(__file__).parent / "sections.yml"
_SPEC_KEYS = ("loinc", "titles", "weak", "parts", "part", "examination")
_LIST_KEYS = ("before", "after", "relatives", "documents")
_MAX_TITLE = 80  # characters; the longest title among the packaged ones, with what may stand beside it, has 70
_MAX_WORDS = 16

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
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\][]*\]")
_WORD = re.compile(r"[^\W_]+(?:'s)?|/")
_ENDS = ".:;?!"


@dataclass(frozen=True)
class _Kind:
    loinc: str | None
    parts: bool
    examination: bool
    part: bool  # whether it may divide a section that has parts
    part_of: frozenset[str]  # the sections that it may divide; empty for all


@dataclass(frozen=True)
class Titles:
    """Titles of sections, ready to be looked up. `data` is the file's own form, by which they travel."""

    kinds: Mapping[str, _Kind]
    words: Mapping[tuple[str, ...], tuple[str, bool]]  # a title's words > its key, and whether it is weak
    before: frozenset[str]
    after: frozenset[str]
    relatives: frozenset[str]
    documents: frozenset[str]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class _Heading:
    start: int
    end: int
    title: str
    key: str | None
    bare: bool = False  # alone on its line, without a colon


def title_words(title: str) -> tuple[str, ...]:
    """Return a title's words as titles are compared: no case, full stops or hyphens; "&" is "and".

    >>> title_words("Follow-up & P.M.H./PSH")
    ('follow', 'up', 'and', 'pmh', '/', 'psh')
    """
    plain = title.lower().replace("’", "'").replace(".", "").replace("&", " and ").replace("(es)", "es").replace("(s)", "s")
    return tuple(_WORD.findall(plain))


@lru_cache(maxsize=16)
def load_titles(path: str | None = None) -> Titles:
    """Return the packaged titles, with those of a site's file added.

    RAISES (RulesError): The file cannot be read or contradicts itself; the message names the place.
    """
    data = read_rules(DEFAULT_PATH)
    if path is None:
        return titles_from_dict(data, str(DEFAULT_PATH))
    return titles_from_dict(_add(data, read_rules(Path(path)), path), path)


def _add(data: dict[str, Any], more: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the packaged rules with a site's added: a section's lists grow, other settings replace."""
    sections = dict(data["sections"])
    for key, spec in (more.get("sections") or {}).items():
        if not isinstance(spec, dict):
            raise RulesError(f"{source}: {key}: its settings must be keys and values, such as 'titles: [wound check]'.")
        own = dict(sections.get(key, {}))
        for name, value in spec.items():
            grows = name in ("titles", "weak") and isinstance(value, list)
            own[name] = [*own.get(name, []), *value] if grows else value
        sections[key] = own
    lists = {name: [*data.get(name, []), *word_list(f"{source}: {name}", more.get(name, []))] for name in _LIST_KEYS}
    unknown = [name for name in more if name not in ("sections", *_LIST_KEYS)]
    if unknown:
        raise RulesError(f"{source}: unknown key {', '.join(map(str, unknown))}; allowed are: sections, {', '.join(_LIST_KEYS)}.")
    return {"sections": sections, **lists}


def titles_from_dict(data: Mapping[str, Any], source: str = "titles") -> Titles:
    """Return the titles of a parsed file; `source` stands in error messages.

    RAISES (RulesError): A setting that is unknown or of the wrong kind, or one title of two sections.
    """
    kinds: dict[str, _Kind] = {}
    words: dict[tuple[str, ...], tuple[str, bool]] = {}
    for key, spec in (data.get("sections") or {}).items():
        where = f"{source}: {key}"
        unknown = [str(name) for name in spec if name not in _SPEC_KEYS]
        if unknown:
            raise RulesError(f"{where}: unknown key {', '.join(unknown)}; allowed are: {', '.join(_SPEC_KEYS)}.")
        loinc = spec.get("loinc")
        if loinc is not None and not (isinstance(loinc, str) and re.fullmatch(r"\d{1,7}-\d", loinc)):
            raise RulesError(f"{where}: its loinc must be a code such as \"10154-3\", in quotes, or null.")
        flags = {name: spec.get(name, False) for name in ("parts", "examination")}
        for name, flag in flags.items():
            if not isinstance(flag, bool):
                raise RulesError(f"{where}: '{name}' must be true or false.")
        part = spec.get("part", False)
        part_of = frozenset(word_list(f"{where}: part", part)) if not isinstance(part, bool) else frozenset()
        kinds[key] = _Kind(loinc, flags["parts"], flags["examination"], bool(part), part_of)
        weak = word_list(f"{where}: weak", spec.get("weak", []))
        for title in [*word_list(f"{where}: titles", spec.get("titles", [])), *weak]:
            other, _ = words.get(title_words(title), (key, False))
            if other != key:
                raise RulesError(f"{where}: '{title}' is a title of {other} already. Keep it in one of them.")
            words[title_words(title)] = (key, title in weak)
    lists = {name: frozenset(word_list(f"{source}: {name}", data.get(name, []))) for name in _LIST_KEYS}
    return Titles(kinds, words, data=data, **lists)


def find_sections(text: str, titles: Titles | None = None) -> list[Section]:
    """Return a note's sections in order. From the first heading on they tile the text; before it there is none.

    A heading of unknown title (in capitals before a colon, in markdown) begins a section whose `key` is None.

    titles (Titles | None): The packaged ones by default.

    >>> [(s.key, s.title, s.start_char) for s in find_sections("Seen today.\\nPMH: gout. FH: none.\\nPLAN\\nRest.")]
    [('past_medical_history', 'PMH', 16), ('family_history', 'FH', 26), ('plan', 'PLAN', 37)]
    """
    titles = titles or load_titles()
    headings = _without_overlap([*_line_headings(text, titles), *_inner_headings(text, titles)])
    found: list[tuple[_Heading, _Heading | None]] = []  # a heading, and that of the section which it divides
    holder: _Heading | None = None  # the section that parts and unknown headings divide
    for heading in headings:
        kind = titles.kinds[heading.key] if heading.key else None
        divides = holder is not None and (kind is None or (kind.part and (not kind.part_of or holder.key in kind.part_of)))
        if kind is not None and kind.part and heading.bare and not divides:
            continue  # "ANESTHESIA:", and "General" on the next line
        found.append((heading, holder if divides else None))
        if not divides:
            holder = heading if kind is not None and kind.parts else None
    sections: list[Section] = []
    for i, (heading, whole) in enumerate(found):
        end = found[i + 1][0].start if i + 1 < len(found) else len(text)
        kind, above = (titles.kinds.get(str(h.key)) if h else None for h in (heading, whole))
        source = kind if above is None or above.examination else above
        sections.append(
            Section(
                heading.key, heading.title, source.loinc if source else None, heading.start, heading.end, heading.end, end,
                2 if whole else 1, whole.key if whole else None,
            )
        )
    return sections


def _without_overlap(headings: list[_Heading]) -> list[_Heading]:
    kept: list[_Heading] = []
    for heading in sorted(headings, key=lambda h: (h.start, -h.end)):
        if not kept or heading.start >= kept[-1].end:
            kept.append(heading)
    return kept


def _line_headings(text: str, titles: Titles) -> Iterator[_Heading]:
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


def _line_heading(text: str, start: int, end: int, titles: Titles, above: str, first: bool) -> _Heading | None:
    lead = _LEAD.match(text, start, end)
    assert lead is not None  # every group is optional
    bullet = bool(lead["bullet"])
    begin, marked, numbered = lead.end(), bool(lead["hash"] or lead["star"]), bool(lead["number"])
    head = start + len(lead.group()) - len(lead.group().lstrip())
    window = text[begin : min(end, begin + _MAX_TITLE + 20)]
    if not window[:1].isalnum():
        return None

    colon = window.find(":")
    if 0 < colon <= _MAX_TITLE:
        title = window[:colon].strip(" \t*_")
        found = _look_up(title, titles, loose=True)
        after = window[colon + 1 :].lstrip(" \t*_")
        if found is not None and bullet and (found[1] or not titles.kinds[found[0]].part):
            return None  # "- Examination of nose: ..."
        if found is not None and not _is_value(title, after) and (found[1] is False or title[:1].isupper()):
            return _Heading(head, _skip(text, begin + colon + 1, end), title, found[0])
        if found is None and not first and not bullet and _looks_like_title(title, after, titles, marked, numbered):
            return _Heading(head, _skip(text, begin + colon + 1, end), title, None)
        if found is None and not (first or after or above or bullet or numbered) and _is_titled(title):
            return _Heading(head, begin + colon + 1, title, None)

    if bullet:
        return None
    for form in (_DASH, _STOP):
        match = form.match(window)
        if match is None or numbered:
            continue
        found = titles.words.get(title_words(match[1])) if first else _look_up(match[1], titles, loose=False)
        if found is None or found[1]:
            continue
        if form is _STOP and (titles.kinds[found[0]].part or not (above == "" or above[-1] in _ENDS)):
            continue
        return _Heading(head, begin + match.end(), match[1], found[0])

    if end - begin > _MAX_TITLE:
        return None
    title = text[begin:end].strip(" \t*_:#")
    if not title or ":" in title or title[-1] in ".,;" or not title[0].isupper():
        return None
    # A note's first line is often its own title: "PSYCHIATRY INPATIENT NOTE".
    exact = tuple(word for word in title_words(_BRACKETS.sub(" ", title)) if word.isalpha())
    found = titles.words.get(exact) if first else _look_up(title, titles, loose=title.isupper())
    if first and found is not None and titles.kinds[found[0]].part:
        return None
    loud = title.isupper() and _has_long_word(title, 4)
    if found and (not found[1] or (loud and not titles.kinds[found[0]].part)) and (not numbered or title.isupper()):
        return _Heading(head, end, title, found[0], bare=True)
    if found is None and not first and " ".join(title_words(title)) not in titles.documents:
        bold = bool(lead["star"]) and text[begin:end].rstrip().endswith(("**", "__"))
        capitals = title.isupper() and _is_titled(title) and _has_long_word(title, 5)
        if bold or len((lead["hash"] or "").strip()) > 1 or (capitals and not above and not numbered):
            return _Heading(head, end, title, None)
    return None


def _inner_headings(text: str, titles: Titles) -> Iterator[_Heading]:
    """Find headings within a line: known titles before a colon, after the end of a sentence or a gap."""
    for match in _INNER.finditer(text):
        start, title = match.start(), match["title"]
        found = _look_up(title, titles, loose=False)
        if found is None or found[1]:
            continue
        before = text[max(0, start - 3) : start]
        gap = before[-2:].isspace() or "\t" in before
        ended = before[-1:] == " " and before[-2:-1] in (*_ENDS, ")", "]")
        dashed = before[-2:] in ("- ", "– ") and before[:1] == " " and text[max(0, start - 4) : start - 3].isalnum()
        capitals = title.isupper() and sum(map(str.isalpha, title)) > 3 and before[-1:] == " "
        glued = before[-1:] == ","  # two lines of a transcript joined by a comma
        if gap or glued or ended or dashed or capitals:
            yield _Heading(start, match.end(), title, found[0])


def _skip(text: str, place: int, end: int) -> int:
    """Go past what closes a bold heading: `**HPI:**`."""
    return place + 2 if text[place : min(place + 2, end)] in ("**", "__") else place


def _look_up(title: str, titles: Titles, *, loose: bool) -> tuple[str, bool] | None:
    """Return the key of a title and whether it is weak, None where it is unknown.

    loose (bool): Of several titles joined by "and", "/" or a comma, one that is known is enough.
    """
    if len(title) > _MAX_TITLE:
        return None
    words = title_words(title)
    found = titles.words.get(words)
    if found is not None or " ".join(words) in titles.documents:
        return found
    words = title_words(_BRACKETS.sub(" ", title))
    found = _within(words, titles)
    if found is not None:
        return found
    parts = [part for part in _split(words) if part]
    if len(parts) < 2:
        return None
    each = [_within(part, titles) for part in parts]
    known = [one for one in each if one is not None]
    if not known or (not loose and len(known) < len(each)):
        return None
    return known[0] if each[0] is not None or title.isupper() else None


def _within(words: tuple[str, ...], titles: Titles) -> tuple[str, bool] | None:
    """Look for the longest title among words that may stand before and after one."""
    if not words or len(words) > _MAX_WORDS:
        return None
    last = len(words)
    starts = [0]
    while starts[-1] < last and words[starts[-1]] in titles.before:
        starts.append(starts[-1] + 1)
    ends = [last]
    while ends[-1] > 0 and _may_follow(words[ends[-1] - 1], titles):
        ends.append(ends[-1] - 1)
    spans = sorted(((end - start, start, end) for start in starts for end in ends if end > start), reverse=True)
    for _, start, end in spans:
        found = titles.words.get(words[start:end])
        if found is not None:
            return found
    return None


def _may_follow(word: str, titles: Titles) -> bool:
    return word == "/" or word in titles.after or any(map(str.isdigit, word))


def _split(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("/", "and"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts]


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


register_section_extensions()


@Language.factory(
    "kiwi_sections", default_config={"titles": None}, assigns=["doc._.sections", "span._.section"], retokenizes=False
)
def create_sections(nlp: Language, name: str, titles: str | None) -> "SectionFinder":
    """Build the component. Titles are found by it in every Doc; `doc._.sections` holds them.

    titles (str | None): A site's YAML file of titles, in the form of `kiwi_spacy/components/sections.yml`. Its content is
        kept in the pipeline, so that the file need not travel with it.
    """
    return SectionFinder(name, titles)


class SectionFinder:
    """Set `doc._.sections` by a file of titles, whose content travels with the pipeline."""

    def __init__(self, name: str, path: str | None = None) -> None:
        self.name = name
        self._path = path
        # A saved pipeline is built from its config, with the path, before it takes the titles that it was saved with.
        self._titles = load_titles(path) if path is None or Path(path).exists() else None

    @property
    def titles(self) -> Titles:
        """The titles in use.

        RAISES (RulesError): Their file is missing and no saved ones were loaded.
        """
        if self._titles is None:
            self._titles = load_titles(self._path)
        return self._titles

    def __call__(self, doc: Doc) -> Doc:
        """Set the Doc's sections; nothing else of it changes."""
        set_sections(doc, find_sections(doc.text, self.titles))
        return doc

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the titles as bytes."""
        return srsly.msgpack_dumps(dict(self.titles.data))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "SectionFinder":
        """Take the titles that `to_bytes` gave."""
        self._titles = titles_from_dict(srsly.msgpack_loads(data), f"pipeline component '{self.name}'")
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the titles to a folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        srsly.write_json(folder / "titles.json", dict(self.titles.data))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "SectionFinder":
        """Take the titles of a folder that `to_disk` wrote."""
        self._titles = titles_from_dict(srsly.read_json(Path(path) / "titles.json"), f"pipeline component '{self.name}'")
        return self
