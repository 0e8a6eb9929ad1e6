"""Vocabularies in tables: CSV of the user's own, and OMOP's Athena."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ....errors import FormatError
from .term import Rejected, Term, system_uri, types_by_name

COLUMNS = {"code": "code", "term": "term", "synonyms": "synonyms", "type": "type"}
_MUST = ("code", "term")


def open_rows(path: Path, *, delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, cells) of a table, streamed; cells are None where a line is not UTF-8 or too long to be a row.

    RAISES (FormatError): The file is missing.
    """
    csv.field_size_limit(1 << 20)
    try:
        file = path.open("rb")
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}.") from None
    with file:
        bad: list[int] = []

        def lines() -> Iterator[str]:
            for number, raw in enumerate(file, 1):
                try:
                    yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    bad.append(number)
                    yield "\n"

        reader = csv.reader(lines(), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE)
        while True:
            start = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error:
                yield start, None
                continue
            if bad and bad[0] <= reader.line_num:
                bad.clear()
                yield start, None
            elif cells:
                yield start, cells


def _header(
    path: Path, rows: Iterator[tuple[int, list[str] | None]], wanted: Mapping[str, str], must: Iterable[str],
) -> dict[str, int]:
    """Return {our name: column} of a table's first row.

    RAISES (FormatError): A column that must be there is not.
    """
    _, head = next(rows, (1, None))
    names = [name.strip().lower() for name in head or []]
    found = {ours: names.index(theirs.lower()) for ours, theirs in wanted.items() if theirs.lower() in names}
    for name in must:
        if name not in found:
            raise FormatError(
                f"{path}, line 1: no column '{wanted[name]}'.\nColumns there: {', '.join(names) or 'none'}. "
                f"Name the right one, such as --{name}-column {names[0] if names else 'NAME'}."
            )
    return found


def read_csv(
    path: Path, *, columns: Mapping[str, str] | None = None, separator: str = "|", system: str = "", **_: object,
) -> Iterator[Term | Rejected]:
    """Yield the terms of a CSV file with a head line; one row a concept or one a term. A tab in the head makes it tab-separated.

    columns: {"code" | "term" | "synonyms" | "type": the column's name in the file}.
    separator: What stands between synonyms in their cell.
    RAISES (FormatError): The file or a column is missing.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}.") from None
    rows = open_rows(path, delimiter="\t" if b"\t" in first else ",", quoting=True)
    at = _header(path, rows, {**COLUMNS, **(columns or {})}, _MUST)
    for line, cells in rows:
        if cells is None:
            yield Rejected(path.name, line, "not UTF-8, or a cell over a million characters")
            continue
        cells = [cell.strip() for cell in cells]
        code, term = (cells[at[name]] if at[name] < len(cells) else "" for name in _MUST)
        if not code or not term:
            yield Rejected(path.name, line, f"no {'code' if not code else 'term'}")
            continue
        kinds = tuple(filter(None, re.split(r"[\s,;|]+", cells[at["type"]]))) if at.get("type", len(cells)) < len(cells) else ()
        yield Term(code, term, 0, kinds, system)
        if at.get("synonyms", len(cells)) < len(cells):
            for synonym in cells[at["synonyms"]].split(separator):
                if synonym.strip():
                    yield Term(code, synonym.strip(), 1, kinds, system)


_CONCEPT = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "standard_concept", "concept_code", "invalid_reason")


def read_athena(
    folder: Path, *, sources: Sequence[str] = (), language: str = "", **_: object,
) -> Iterator[Term | Rejected]:
    """Yield the standard concepts of a folder from Athena, `CONCEPT.csv`, with `CONCEPT_SYNONYM.csv` where it is there.

    sources: Vocabularies to keep, by `vocabulary_id`; all by default.
    RAISES (FormatError): `CONCEPT.csv` or a column of it is missing.
    """
    folder = Path(folder)
    concepts = folder / "CONCEPT.csv" if folder.is_dir() else folder
    kinds = types_by_name("domains")
    rows = open_rows(concepts, delimiter="\t", quoting=False)
    at = _header(concepts, rows, {name: name for name in _CONCEPT}, _CONCEPT)
    width = max(at.values()) + 1
    for line, cells in rows:
        if cells is None or len(cells) < width or not cells[at["concept_id"]].isdigit():
            yield Rejected(concepts.name, line, "not a row of this table")
            continue
        said = {name: cells[i].strip().strip('"') for name, i in at.items()}
        if said["standard_concept"] != "S" or said["invalid_reason"]:
            yield Rejected(concepts.name, line, "no standard concept", fault=False)
        elif sources and said["vocabulary_id"] not in sources:
            yield Rejected(concepts.name, line, "of another vocabulary", fault=False)
        elif said["domain_id"] not in kinds:
            yield Rejected(concepts.name, line, "of a domain without an entity type", fault=False)
        elif not said["concept_name"] or not said["concept_code"]:
            yield Rejected(concepts.name, line, "no name or no code")
        else:
            yield Term(
                said["concept_code"], said["concept_name"], 0, (kinds[said["domain_id"]],), system_uri(said["vocabulary_id"]),
                omop=int(said["concept_id"]),
            )
    synonyms = concepts.with_name("CONCEPT_SYNONYM.csv")
    if not synonyms.exists():
        return
    wanted = {"id": "concept_id", "name": "concept_synonym_name", "language": "language_concept_id"}
    rows = open_rows(synonyms, delimiter="\t", quoting=False)
    at = _header(synonyms, rows, wanted, ("id", "name"))
    for line, cells in rows:
        whole = cells is not None and len(cells) > max(at["id"], at["name"])
        if cells is None or not whole or not cells[at["id"]].isdigit() or not cells[at["name"]].strip():
            yield Rejected(synonyms.name, line, "not a row of this table")
        elif "language" in at and at["language"] < len(cells) and cells[at["language"]].strip() != (language or "4180186"):
            yield Rejected(synonyms.name, line, "in another language", fault=False)  # 4180186 is English
        else:
            yield Term("", cells[at["name"]].strip().strip('"'), 1, omop=int(cells[at["id"]]))
