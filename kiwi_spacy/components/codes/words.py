"""Terms made comparable: accents, case, hyphens, plurals, British spelling, numerals, and words that mean the same."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..rules import read_rules

PATH = Path(__file__).parent / "words.yml"
_TAG = re.compile(
    r"\s*\((?:disorder|finding|procedure|substance|product|medicinal product|clinical drug|observable entity|"
    r"situation|morphologic abnormality|body structure|organism|event|regime/therapy|physical object|qualifier value|person|"
    r"attribute)\)\s*$"
)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+\d*|%")
_MEMORY = 200_000  # distinct words whose form is kept, about 30 MB; a vocabulary of two million terms has more, seldom used


@dataclass(frozen=True, eq=False)
class Words:
    """The rules of `words.yml`."""

    stop: frozenset[str]
    qualifiers: re.Pattern[str]
    letters: tuple[tuple[str, str], ...]
    endings: tuple[tuple[str, str], ...]
    same: Mapping[str, str]
    roman: Mapping[str, str]
    roman_after: Mapping[str, str]
    roman_words: frozenset[str]
    hyphened: re.Pattern[str]
    decisive: frozenset[str]
    broad: frozenset[str]


@lru_cache(maxsize=1)
def rules() -> Words:
    """Return the packaged rules."""
    data = read_rules(PATH)
    qualifiers = sorted(data["qualifiers"], key=len, reverse=True)
    prefixes = "|".join([r"\w+o", *data["prefixes"]])
    plain = Words(
        frozenset(data["stop"]),
        re.compile(r"\b(?:" + "|".join(re.escape(q).replace(r"\ ", r"\s+") for q in qualifiers) + r")\b"),
        tuple(data["letters"].items()), tuple(data["endings"].items()), {}, data["roman"], data["roman_after"],
        frozenset(data["roman_words"]), re.compile(rf"\b({prefixes})-(?=[a-z]{{3}})"), frozenset(), frozenset(),
    )
    same = _same({**data["same"], **data["numbers"]}, plain)
    whole = Words(**{**{name: getattr(plain, name) for name in plain.__dataclass_fields__}, "same": same})
    sets: dict[str, Any] = {
        name: frozenset(w for each in data[name] for w in _forms(str(each), whole)) for name in ("decisive", "broad")
    }
    return Words(**{**{name: getattr(whole, name) for name in whole.__dataclass_fields__}, **sets})


def _same(groups: Mapping[str, list[str]], plain: Words) -> dict[str, str]:
    """Return word > the words it is compared as, in their singular American form."""
    return {
        _word(word, plain): " ".join(_word(w, plain) for w in str(kept).split())
        for kept, group in groups.items() for word in group
    }


def _forms(text: str, words: Words) -> list[str]:
    found = " ".join(words.same.get(form, form) for form in (_word(w, words) for w in text.split()))
    return found.split()


def _word(word: str, words: Words) -> str:
    """Return a word's singular, in American spelling."""
    for old, new in words.letters:
        word = word.replace(old, new)
    if len(word) > 5:
        for old, new in words.endings:
            if word.endswith(old):
                word = word.removesuffix(old) + new
                break
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("oses", "yses", "ases", "eses", "ises")):
        return word[:-2] + "is" if not word.endswith(("ases", "ises")) else word[:-1]
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=_MEMORY)
def _compared(word: str) -> tuple[str, ...]:
    """Return what a lower-case word without accents is compared as: one word, several, or none for a stop word."""
    words = rules()
    if word in words.stop:
        return ()
    if word[0].isdigit():
        number = word.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", word) else word.replace(",", ".")
        return (number.rstrip("0").rstrip(".") if "." in number and number.count(".") == 1 else number,)
    form = _word(word, words)
    return tuple(words.same.get(form, form).split())


def fold(text: str) -> str:
    """Return text in lower case without accents, with plain quotes and hyphens.

    >>> fold("Ménière’s disease")
    "meniere's disease"
    """
    if text.isascii():
        return text.lower()
    text = text.replace("’", "'").replace("‐", "-").replace("‑", "-").replace("–", "-").replace("ß", "ss")
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def normal(text: str) -> tuple[str, ...]:
    """Return the words of a term as they are compared, in their order.

    >>> normal("Tumours of the renal arteries, type II")
    ('tumor', 'kidney', 'artery', 'type', '2')
    """
    words = rules()
    plain = fold(text).replace("'s", "")
    for old, new in words.letters:  # before hyphens go: gastro-esophageal is gastro-oesophageal
        plain = plain.replace(old, new)
    plain = words.hyphened.sub(r"\1", plain)
    found: list[str] = []
    before = ""
    for token in _TOKEN.findall(plain):
        number = words.roman.get(token) or (words.roman_after.get(token) if before in words.roman_words else None)
        if number:
            found.append(number)
        else:
            found.extend(_compared(token))
        before = token
    return tuple(found)


def key(words: tuple[str, ...] | list[str]) -> str:
    """Return the key under which words are found, whatever their order; each counts once.

    >>> key(normal("Cancer of the breast")) == key(normal("breast cancers"))
    True
    """
    return " ".join(sorted(set(words)))


def variants(term: str) -> Iterator[tuple[str, int]]:
    """Yield the keys of a vocabulary's term, each once, with how far it is from the term: 0 as it stands.

    1 without what stands in brackets; 2 without words such as "unspecified", too. A tag such as "(disorder)" never counts.

    >>> list(variants("Gout (acute), unspecified (disorder)"))
    [('acute gout unspecified', 0), ('gout unspecified', 1), ('gout', 2), ('acute gout', 2)]
    """
    whole = _TAG.sub("", fold(term))
    short = _BRACKETS.sub(" ", whole)
    seen: set[str] = set()
    for text, distance in ((whole, 0), (short, 1), (_unqualified(short), 2), (_unqualified(whole), 2)):
        found = key(normal(text))
        if found and found not in seen:
            seen.add(found)
            yield found, distance


def _unqualified(text: str) -> str:
    return rules().qualifiers.sub(" ", text)


def unqualified(term: str) -> str:
    """Return a term without the words that add nothing to it.

    >>> unqualified("Pneumonia, unspecified organism").strip(" ,")
    'pneumonia'
    """
    return _unqualified(fold(term))
