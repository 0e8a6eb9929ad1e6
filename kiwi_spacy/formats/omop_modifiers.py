"""The text of `term_modifiers` in OMOP's NOTE_NLP: written from pairs of name and value, and read back.

    modifiers = "" / pair *("," pair)
    pair      = name "=" value
    name      = *(plain / escape)
    value     = *(plain / escape)
    plain     = any character but "\\", ",", "=", line feed, carriage return
    escape    = "\\\\" / "\\," / "\\=" / "\\n" / "\\r"

A name may come more than once; the order of the pairs is kept. The form is that of the one example in OMOP's own documents.
"""

import re
from collections.abc import Iterable

from ..errors import FormatError

LIMIT = 2000  # characters of NOTE_NLP.term_modifiers in CDM 5.4
_ESCAPES = {"\\": "\\\\", ",": "\\,", "=": "\\=", "\n": "\\n", "\r": "\\r"}
_CHARACTERS = {escape: plain for plain, escape in _ESCAPES.items()}
_WORD = r"((?:[^\\,=\n\r]|\\[\\,=nr])*)"
_PAIR = re.compile(f"{_WORD}={_WORD}(,|$(?![\\s\\S]))")


def write_modifiers(pairs: Iterable[tuple[str, str]], *, limit: int = LIMIT) -> tuple[str, int]:
    """Return pairs as one text of at most `limit` characters, and how many pairs were left out.

    No pair is cut. Pairs are taken in their order; one that does not fit is left out, and shorter ones after it may still fit.

    >>> write_modifiers([("certainty", "possible"), ("dose", "2,5 mg")])
    ('certainty=possible,dose=2\\\\,5 mg', 0)
    """
    kept: list[str] = []
    room, left_out = limit, 0
    for name, value in pairs:
        pair = f"{_escape(name)}={_escape(value)}"
        size = len(pair) + bool(kept)
        if size > room:
            left_out += 1
            continue
        kept.append(pair)
        room -= size
    return ",".join(kept), left_out


def read_modifiers(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a text that `write_modifiers` made, in order.

    RAISES (FormatError): It is not of that form; the message names the character, and holds no text.

    >>> read_modifiers("certainty=possible,dose=2\\\\,5 mg")
    [('certainty', 'possible'), ('dose', '2,5 mg')]
    """
    pairs: list[tuple[str, str]] = []
    at, more = 0, bool(text)
    while more:
        found = _PAIR.match(text, at)
        if found is None:
            raise FormatError(
                f"term_modifiers cannot be read from character {at}: no name=value stands there, or a '\\', ',' or '=' in it "
                "is not escaped by '\\'."
            )
        pairs.append((_unescape(found[1]), _unescape(found[2])))
        at, more = found.end(), found[3] == ","
    return pairs


def _escape(word: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in word)


def _unescape(word: str) -> str:
    return re.sub(r"\\[\\,=nr]", lambda found: _CHARACTERS[found[0]], word)
