"""Numbers in figures and in words."""

import math
import re
from functools import lru_cache

from .tables import Tables, default_tables

# "1,204" is one number only where every comma is followed by three figures.
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
# 6/10 and 5/325 are no fractions; 1/2 alone is one only where the caller says so.
_FRACTIONS = {
    "1/2": 0.5,
    "1/3": 1 / 3,
    "2/3": 2 / 3,
    "1/4": 0.25,
    "3/4": 0.75,
    "½": 0.5,
    "⅓": 1 / 3,
    "⅔": 2 / 3,
    "¼": 0.25,
    "¾": 0.75,
}
_MIXED = re.compile(r"(?<![\d/.,])(\d{1,4})(?: (1/2|1/3|2/3|1/4|3/4)(?![\d/.])| ?([½⅓⅔¼¾]))")
_TWICE = re.compile(r"(?<![\d/.,])(\d{1,4}(?:\.\d+)?) ?\(\1\)(?=[ -]|$)")
_SIGN = re.compile(r"[½⅓⅔¼¾]")
_FRACTION = re.compile(r"(?<![\d/.,])(?:1/2|1/3|2/3|1/4|3/4)(?![\d/.])")
_AND_A_HALF = re.compile(r"(?<![\d/.,])(\d{1,4}) and (?:an? |1[ -])?half\b")
_HALF = re.compile(r"(?<![\d/.,])(?:\b(?:an?|1)[ -])?\bhalf\b(?: (?:of )?an?\b)?")


def parse_number(text: str) -> float | None:
    """Return the number that figures say, None where they are none or too large to hold.

    >>> parse_number("1,204"), parse_number(".5"), parse_number("1,20")
    (1204.0, 0.5, None)
    """
    if not re.fullmatch(NUMBER, text):
        return None
    number = float(text.replace(",", ""))
    return number if math.isfinite(number) else None


def written(number: float) -> str:
    """Return a number in figures, without an exponent.

    >>> written(2.0), written(0.125)
    ('2', '0.125')
    """
    return f"{number:.6f}".rstrip("0").rstrip(".")


def figures(text: str, *, fractions: bool = False, tables: Tables | None = None) -> str:
    """Return text with number words as figures. `fractions` also reads 1/2, which is a ratio among results.

    >>> figures("one and a half to twenty-one tablets"), figures("half a tablet"), figures("1/2 tab", fractions=True)
    ('1.5 to 21 tablets', '0.5 tablet', '0.5 tab')
    """
    tables = tables or default_tables()
    pattern, values = _number_words(tables)

    def value(match: re.Match[str]) -> str:
        tens, ones, word, hundred = match.group("tens", "ones", "word", "hundred")
        number = values[tens.lower()] + values[ones.lower()] if tens else values[word.lower()]
        return str(number * 100 if hundred else number)

    text = pattern.sub(value, text)
    text = _MIXED.sub(lambda match: written(int(match[1]) + _FRACTIONS[match[2] or match[3]]), text)
    text = _SIGN.sub(lambda match: written(_FRACTIONS[match[0]]), text)
    if fractions:
        text = _FRACTION.sub(lambda match: written(_FRACTIONS[match[0]]), text)
    # "one (1) tablet", "every 8 (eight) hours"
    text = _TWICE.sub(r"\1", text)
    text = _AND_A_HALF.sub(lambda match: written(int(match[1]) + 0.5), text)
    return _HALF.sub("0.5", text)


@lru_cache(maxsize=8)
def _number_words(tables: Tables) -> tuple[re.Pattern[str], dict[str, int]]:
    values = {words: int(code) for words, code in tables.sections["numbers"].items()}
    tens = "|".join(word for word, value in values.items() if 20 <= value < 100)
    ones = "|".join(word for word, value in values.items() if 1 <= value < 10)
    words = "|".join(tables.words("numbers"))
    return re.compile(rf"(?i)\b(?:(?P<tens>{tens})[ -](?P<ones>{ones})|(?P<word>{words}))(?P<hundred> hundred)?\b"), values
