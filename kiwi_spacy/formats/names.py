"""Names of notes: printable whatever bytes a file's name has, and paths below the output folder."""

import re
from pathlib import PurePosixPath

from ..errors import FormatError

_HIDDEN = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]")
_SHOWN = re.compile(r"\\x([0-9a-f]{2})")


def printable(name: str) -> str:
    """Return a file's name as text that any format can hold; `raw_name` gives the file's name again.

    Bytes that are not UTF-8, control characters and backslashes become a backslash, an x and two digits.

    name (str): As Python reads it from the system, so with half surrogate pairs for bytes that are not UTF-8.

    >>> printable("caf\\udce9 1"), raw_name(printable("caf\\udce9 1")) == "caf\\udce9 1"
    ('caf\\\\xe9 1', True)
    """

    def show(found: re.Match[str]) -> str:
        code = ord(found.group())
        code = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _HIDDEN.sub(show, name)


def raw_name(name: str) -> str:
    """Return the name of the file that `printable` has shown."""

    def hide(found: re.Match[str]) -> str:
        code = int(found.group(1), 16)
        return chr(0xDC00 + code) if code >= 0x80 else chr(code)

    return _SHOWN.sub(hide, name)


def check_name(name: str) -> str:
    """Return a note's name, which is a path below the output folder, without suffix.

    RAISES (FormatError): A note's id would name a file outside the output folder, or none.
    """
    raw = raw_name(name)
    path = PurePosixPath(raw)
    # "a//b" would be a second note of the file "a/b"; and so would a second way to write one byte.
    if path.is_absolute() or ".." in path.parts or not path.name or str(path) != raw or "\0" in raw or printable(raw) != name:
        raise FormatError("its id cannot be a file name below the output folder")
    return name
