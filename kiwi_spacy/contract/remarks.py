"""What annotators say of a span besides its label: attributes, comments, codes; kept as plain rows."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Literal

from spacy.tokens import Doc

REMARKS = "kiwi_remarks"  # the key in doc.user_data: rows of Remark's fields
RemarkKind = Literal["attribute", "comment", "code"]


@dataclass(frozen=True, order=True)
class Remark:
    """Something said of the span (start_char, end_char, label): characters of `doc.text`, half-open.

    name, value (str): Such as "Certainty" and "high"; the value is empty where the name says all.
    modifier (str): The modifier that an attribute is read as, which then lies over the span's own words; else empty.
    """

    start_char: int
    end_char: int
    label: str
    kind: RemarkKind
    name: str
    value: str = ""
    modifier: str = ""


def set_remarks(doc: Doc, remarks: Iterable[Remark]) -> None:
    """Keep a Doc's remarks, each once, in reading order."""
    rows = [list(astuple(remark)) for remark in sorted(set(remarks))]
    if rows:
        doc.user_data[REMARKS] = rows
    else:
        doc.user_data.pop(REMARKS, None)


def get_remarks(doc: Doc) -> list[Remark]:
    """Return what is said of a Doc's spans besides their labels, in reading order."""
    return [Remark(*row) for row in doc.user_data.get(REMARKS, ())]
