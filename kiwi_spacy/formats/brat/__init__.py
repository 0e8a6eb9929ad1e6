"""brat standoff: `NAME.txt` with `NAME.ann` beside it, read leniently and reported strictly.

Offsets count the characters of the file as stored: line ends stay as they are (CRLF is two
characters), and a byte order mark stays in the text as one character.
"""

from ..failure import Failure, FailureKind
from .folder import read_folder, read_note, read_text, report_lines
from .note import BOM, BratLink, BratNote, BratRemark, BratSpan, Problem, ProblemKind
from .resolve import parse_ann
from .write import brat_lines, write_brat

__all__ = [
    "BOM", "BratLink", "BratNote", "BratRemark", "BratSpan", "Failure", "FailureKind", "Problem", "ProblemKind", "brat_lines",
    "parse_ann", "read_folder", "read_note", "read_text", "report_lines", "write_brat",
]
