"""The word tables of the value parsers, which stand in YAML files beside the code and which a site may extend."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from ...errors import FormatError

FOLDER = Path(__file__).parent
FILES = ("numbers.yml", "units.yml", "results.yml", "drugs.yml", "frequencies.yml", "times.yml")


@dataclass(frozen=True, eq=False)
class Tables:
    """Section > words as `key` writes them > code."""

    sections: Mapping[str, Mapping[str, str]]

    def code(self, section: str, words: str) -> str | None:
        """Return the code of words in a section, None where the section does not know them.

        >>> default_tables().code("routes", "p.o.")
        'oral'
        """
        return self.sections[section].get(key(words))

    def words(self, section: str) -> tuple[str, ...]:
        """Return the words that a section knows, longest first."""
        return tuple(sorted(self.sections[section], key=lambda words: (-len(words), words)))

    def either(self, *sections: str) -> str:
        """Return a pattern of any words that the sections know, longest first, to be matched in lower case.

        >>> default_tables().either("times_words")
        '(?:thrice|twice|once)'
        """
        words = {words for section in sections for words in self.sections[section]}
        return "(?:" + "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word)))) + ")"


def key(words: str) -> str:
    """Return words as the tables hold them: lower case, no full stops, single spaces.

    >>> key(" P. O.")
    'p o'
    """
    return " ".join(words.lower().replace(".", "").split())


@lru_cache(maxsize=1)
def default_tables() -> Tables:
    """Return the packaged tables."""
    return read_tables()


def read_tables(*site: str | Path) -> Tables:
    """Return the packaged tables with the words of a site's files added.

    A file has the form of ours: section > code > list of words. A site's word replaces the packaged meaning of the same word.
    Raises FormatError for an unknown section, a file of another shape, or two meanings of a word in one file.
    """
    packaged: dict[str, dict[str, str]] = {}
    for name in FILES:
        packaged.update(_read(FOLDER / name))
    for path in site:
        for section, words in _read(Path(path)).items():
            if section not in packaged:
                raise FormatError(f"{path}: unknown section '{section}'.\nSections: {', '.join(sorted(packaged))}.")
            packaged[section].update(words)
    return Tables(packaged)


def _read(path: Path) -> dict[str, dict[str, str]]:
    data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    if not isinstance(data, dict) or not all(isinstance(codes, dict) for codes in data.values()):
        raise FormatError(f"{path}: a table of words is a mapping: section > code > list of words.")
    sections: dict[str, dict[str, str]] = {}
    for section, codes in data.items():
        known = sections.setdefault(str(section), {})
        for code, words in codes.items():
            if not isinstance(words, list):
                raise FormatError(f"{path}, {section}, {code}: expected a list of words, found {type(words).__name__}.")
            for word in words:
                if known.setdefault(key(str(word)), str(code)) != str(code):
                    raise FormatError(
                        f"{path}, {section}: '{word}' means both '{known[key(str(word))]}' and '{code}'. Leave it in one list."
                    )
    return sections


# Longer expressions are sentences, not values. The limit also keeps every pattern below harmless on hostile text.
LONGEST = 300

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("–—−‐‑", "-"),
        **dict.fromkeys("’‘′", "'"),
        **dict.fromkeys("″”“", '"'),
        **dict.fromkeys("µμ", "u"),
        **dict.fromkeys("→⇒➔", "->"),
        **{"≤": "<=", "≥": ">=", "≈": "~", "×": "x", "²": "2", "³": "3", "°": " deg ", "º": " deg "},
    }
)


def normalise(words: str) -> str:
    """Return words with plain characters and single spaces, "" where they are too long to be a value. Case is kept.

    >>> normalise("12 – 15 µg ")
    '12 - 15 ug'
    """
    if len(words) > LONGEST:
        return ""
    return re.sub(r"\s+", " ", words.translate(_CHARACTERS)).strip(" ,;:").rstrip(" .,;:")
