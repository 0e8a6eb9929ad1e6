"""Titles of sections, from `sections.yml` and a site's file, and what section a title names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RulesError
from .rules import RuleFile, word_list

DEFAULT_PATH = Path(__file__).parent / "sections.yml"
_SPEC_KEYS = ("loinc", "titles", "weak", "parts", "part", "examination")
_LIST_KEYS = ("before", "after", "relatives", "documents")
MAX_TITLE = 80  # characters; the longest title among the packaged ones, with what may stand beside it, has 70
_MAX_WORDS = 16

BRACKETS = re.compile(r"\([^()]*\)|\[[^\][]*\]")
_WORD = re.compile(r"[^\W_]+(?:'s)?|/")


@dataclass(frozen=True)
class _Kind:
    loinc: str | None
    parts: bool
    examination: bool
    part: bool  # whether it may divide a section that has parts
    part_of: frozenset[str]  # the sections that it may divide; empty for all


@dataclass(frozen=True)
class Titles:
    """Titles of sections, ready to be looked up."""

    kinds: Mapping[str, _Kind]
    words: Mapping[tuple[str, ...], tuple[str, bool]]  # a title's words > its key, and whether it is weak
    before: frozenset[str]
    after: frozenset[str]
    relatives: frozenset[str]
    documents: frozenset[str]


def title_words(title: str) -> tuple[str, ...]:
    """Return a title's words as titles are compared: no case, full stops or hyphens; "&" is "and".

    >>> title_words("Follow-up & P.M.H./PSH")
    ('follow', 'up', 'and', 'pmh', '/', 'psh')
    """
    plain = title.lower().replace("’", "'").replace(".", "").replace("&", " and ").replace("(es)", "es").replace("(s)", "s")
    return tuple(_WORD.findall(plain))


def _add(data: dict[str, Any], more: Mapping[str, Any], source: str) -> dict[str, Any]:
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
    return Titles(kinds, words, **lists)


TITLES = RuleFile(DEFAULT_PATH, _add, titles_from_dict)
load_titles = TITLES.load


def look_up(title: str, titles: Titles, *, loose: bool) -> tuple[str, bool] | None:
    """Return the key of a title and whether it is weak, None where it is unknown.

    loose (bool): Of several titles joined by "and", "/" or a comma, one that is known is enough.
    """
    if len(title) > MAX_TITLE:
        return None
    words = title_words(title)
    found = titles.words.get(words)
    if found is not None or " ".join(words) in titles.documents:
        return found
    words = title_words(BRACKETS.sub(" ", title))
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
