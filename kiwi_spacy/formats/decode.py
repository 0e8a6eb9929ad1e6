"""Bytes of a note > text; what is not UTF-8 is recognised and refused, never guessed."""

import codecs

from ..errors import FormatError, KiwiError

# The longer marks first: UTF-32's begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 4096  # bytes looked at for the pattern of NULs


def check_encoding(name: str) -> str:
    """Return the name of an encoding of text.

    RAISES (KiwiError): Python knows none of this name.
    """
    try:
        b"text".decode(name)  # of nothing Python decodes nothing, by any name
    except LookupError:
        raise KiwiError(f"'{name}' is no encoding. Name one that Python knows, such as latin-1, cp1252 or utf-16-le.") from None
    except UnicodeError:  # known, and of other bytes
        return name
    return name


def decode(data: bytes, encoding: str | None = None) -> str:
    """Return the text of a note, with every character that it has; offsets count from its first.

    A byte order mark of UTF-16 or UTF-32 is obeyed and is no part of the text; one of UTF-8 is its first character.

    encoding (str | None): What data that is not UTF-8 is in. UTF-8 is always tried first, as Latin-1 and its like
        would accept it too, and change every letter with an accent.
    RAISES (FormatError): The data is in neither; the message says where, and what to do.

    >>> decode(b"caf\\xe9", "latin-1") == decode("caf\\u00e9".encode()) == "caf\\u00e9"
    True
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return _strict(data, name)
    wide = _wide(data[:_HEAD])
    given = codecs.lookup(encoding).name if encoding else ""
    if wide is not None:
        if not given.startswith(("utf-16", "utf-32")):
            raise FormatError(f"it looks like {wide} without a byte order mark. If it is, --encoding {wide} reads it")
        return _strict(data, given)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if not given:
            raise FormatError(f"not UTF-8 at byte {error.start}. Name what it is in: --encoding latin-1, say") from None
        if given.startswith(("utf-16", "utf-32")):  # which would read any other bytes as Chinese
            raise FormatError(f"neither UTF-8, at byte {error.start}, nor {given}") from None
    return _strict(data, given)


def _strict(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        raise FormatError(f"not {name} at byte {error.start}") from None


def _wide(head: bytes) -> str | None:
    """Return the encoding whose characters fill two or four bytes, as the places of NULs tell; None where they tell of none.

    >>> _wide("fever".encode("utf-16-be")), _wide(b"fe\\0ver"), _wide(bytes(9))
    ('utf-16-be', None, None)
    """
    nulls = [sum(byte == 0 for byte in head[i::4]) / max(1, len(head[i::4])) for i in range(4)]
    found = [share > 0.6 for share in nulls]
    names = {
        (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
    }
    return names.get((found[0], found[1], found[2], found[3])) if len(head) >= 4 else None
