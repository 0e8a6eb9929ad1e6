"""ICD-10-CM from the tabular list that the package `simple-icd-10-cm` carries, or from a file of the same form."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from xml.etree import ElementTree

from ....errors import FormatError, KiwiError
from .term import Rejected, Term, system_uri

_SEE = re.compile(r"(.+?)\s*\(([A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?)(?:\.?-)?\)")
NOTES = {"inclusionTerm": 1, "includes": 1, "excludes1": 3, "excludes2": 3}


def carried_list() -> tuple[Path, str]:
    """Return the tabular list that is installed, and which release it is.

    The file is found without importing the package, which would parse it.

    RAISES (KiwiError): The package is not installed.
    """
    try:
        files = distribution("simple-icd-10-cm").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name.startswith("icd10c-tabular") and file.name.endswith(".xml"):
            return Path(str(file.locate())), file.stem.removeprefix("icd10c-tabular-")
    raise KiwiError(
        "ICD-10-CM is not installed. Install it by `pip install 'kiwi-spacy[codes]'`, or name a vocabulary of your own: "
        "see `kiwi vocabulary build --help`."
    )


def read_icd10cm(path: Path | None = None, **_: object) -> Iterator[Term | Rejected]:
    """Yield the codes of a tabular list with their inclusion terms, streamed.

    Another code's notes on what it excludes name terms, too: "old myocardial infarction (I25.2)" is a term of I25.2.
    Codes have no seventh character: the list gives the rule for it, not the codes.

    path (Path | None): The XML file of the Centers for Disease Control; by default the one that is installed.
    RAISES (FormatError): The file is missing or no tabular list.
    """
    path = Path(path) if path else carried_list()[0]
    uri = system_uri("icd10cm")
    open_codes: list[str] = []
    seen = 0
    try:
        for event, element in ElementTree.iterparse(str(path), events=("start", "end")):
            if element.tag != "diag":
                continue
            if event == "start":
                open_codes.append("")
                continue
            open_codes.pop()
            seen += 1
            code, name = (element.findtext(tag, "").strip() for tag in ("name", "desc"))
            if not code or not name:
                yield Rejected(path.name, seen, "a code without its name")
                continue
            yield Term(code, name, 0, (), uri, _parent(code))
            for tag, rank in NOTES.items():
                for note in element.findall(f"{tag}/note"):
                    text = " ".join((note.text or "").split())
                    see = _SEE.fullmatch(text) if rank == 3 else None
                    if see:
                        yield Term(see[2], see[1], rank, (), uri, _parent(see[2]))
                    elif rank < 3 and text:
                        yield Term(code, text, rank, (), uri, _parent(code))
            element.clear()
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}.") from None
    except ElementTree.ParseError as error:
        raise FormatError(f"{path}, line {error.position[0]}: not XML.") from None
    if not seen:
        raise FormatError(f"{path}: no codes. It must be the tabular list of ICD-10-CM in XML.")


def _parent(code: str) -> str:
    """Return the code above another, "" above a category.

    >>> _parent("I82.40"), _parent("I82.4"), _parent("I82")
    ('I82.4', 'I82', '')
    """
    return code[:-1].rstrip(".") if len(code) > 3 else ""
