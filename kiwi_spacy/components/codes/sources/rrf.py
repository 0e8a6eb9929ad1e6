"""Vocabularies in rich release format: RxNorm and UMLS."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ....errors import FormatError
from .term import Rejected, Term, system_uri, systems, types_by_name

# Columns of RXNCONSO.RRF and MRCONSO.RRF, which are laid out alike.
_CUI, _LANGUAGE, _STATUS, _PREFERRED, _SOURCE, _KIND, _CODE, _TEXT, _SUPPRESS = 0, 1, 2, 6, 11, 12, 13, 14, 16
_WIDTH = 18


def _rows(path: Path) -> Iterator[tuple[int, list[str] | None]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}.") from None
    with file:
        for line, raw in enumerate(file, 1):
            try:
                yield line, raw.decode("utf-8").rstrip("\r\n").split("|")
            except UnicodeDecodeError:
                yield line, None


def _kept(path: Path, language: str, sources: Sequence[str]) -> Iterator[tuple[int, list[str]] | Rejected]:
    """Yield the rows of a language and of wanted sources that are not suppressed."""
    for line, cells in _rows(path):
        if cells is None:
            yield Rejected(path.name, line, "not UTF-8")
        elif len(cells) < _WIDTH:
            yield Rejected(path.name, line, f"{len(cells)} columns, where {_WIDTH} are needed")
        elif cells[_LANGUAGE] != language:
            yield Rejected(path.name, line, "in another language", fault=False)
        elif cells[_SUPPRESS] not in ("N", ""):
            yield Rejected(path.name, line, "suppressed", fault=False)
        elif sources and cells[_SOURCE] not in sources:
            yield Rejected(path.name, line, "of another source", fault=False)
        elif not cells[_CUI] or not cells[_TEXT].strip():
            yield Rejected(path.name, line, "no code or no term")
        else:
            yield line, cells


def read_rxnorm(path: Path, *, language: str = "", **_: object) -> Iterator[Term | Rejected]:
    """Yield RxNorm's own terms of `RXNCONSO.RRF`, or of the folder that holds it, by RXCUI.

    RAISES (FormatError): The file is missing.
    """
    path = Path(path)
    path = path / "RXNCONSO.RRF" if path.is_dir() else path
    wanted = {kind: rank for rank, kind in enumerate(systems()["rxnorm_terms"])}
    spellings = wanted["SY"]
    for row in _kept(path, language or "ENG", ("RXNORM",)):
        if isinstance(row, Rejected):
            yield row
            continue
        line, cells = row
        if cells[_KIND] not in wanted:
            yield Rejected(path.name, line, "of a term type that is not used", fault=False)
            continue
        rank = 0 if wanted[cells[_KIND]] < spellings else 1
        yield Term(cells[_CUI], cells[_TEXT].strip(), rank, ("drug",), system_uri("rxnorm"))


def read_umls(
    folder: Path, *, language: str = "", sources: Sequence[str] = (), codes: str = "cui", **_: object,
) -> Iterator[Term | Rejected]:
    """Yield the terms of a folder of UMLS that holds `MRCONSO.RRF` and `MRSTY.RRF`.

    sources: Sources to keep, by SAB, such as SNOMEDCT_US; all by default.
    codes: "cui" for UMLS' own codes, "source" for those of the sources.
    RAISES (FormatError): A file is missing, or not sorted by CUI, as it is in every release.
    """
    folder = Path(folder)
    folder = folder if folder.is_dir() else folder.parent
    path = folder / "MRCONSO.RRF"
    kinds = _Kinds(folder / "MRSTY.RRF")
    last = ""
    for row in _kept(path, language or "ENG", sources):
        if isinstance(row, Rejected):
            yield row
            continue
        line, cells = row
        if cells[_CUI] < last:
            raise FormatError(f"{path}, line {line}: not sorted by its first column. Take the file as it was released.")
        last = cells[_CUI]
        served = kinds.of(last)
        yield from kinds.rejected()
        if not served:
            yield Rejected(path.name, line, "of a semantic type without an entity type", fault=False)
            continue
        named = cells[_STATUS] == "P" and cells[_PREFERRED] == "Y"
        if codes == "source":
            rank = 0 if cells[_KIND] in ("PT", "IN", "SCD", "MH", "LN") else 1
            yield Term(cells[_CODE], cells[_TEXT].strip(), rank, served, system_uri(cells[_SOURCE]))
        else:
            yield Term(last, cells[_TEXT].strip(), 0 if named else 1, served, system_uri("umls"))


class _Kinds:
    """Entity types by CUI, read along with the terms: both files are sorted, so neither is held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names = types_by_name("semantic_types")
        self._faults: list[Rejected] = []
        self._rows = self._read()
        self._next = next(self._rows, None)
        self._last: tuple[str, tuple[str, ...]] = ("", ())

    def _read(self) -> Iterator[tuple[str, str]]:
        last = ""
        for line, cells in _rows(self.path):
            if cells is None or len(cells) < 2:
                self._faults.append(Rejected(self.path.name, line, "not a row of this table"))
                continue
            if cells[0] < last:
                raise FormatError(f"{self.path}, line {line}: not sorted by its first column. Take the file as it was released.")
            last = cells[0]
            yield cells[0], cells[1]

    def of(self, cui: str) -> tuple[str, ...]:
        """Return the entity types of a concept; ask in the order of the file."""
        if self._last[0] == cui:
            return self._last[1]
        found: list[str] = []
        while self._next is not None and self._next[0] <= cui:
            if self._next[0] == cui and self._next[1] in self._names:
                found.append(self._names[self._next[1]])
            self._next = next(self._rows, None)
        self._last = (cui, tuple(dict.fromkeys(found)))
        return self._last[1]

    def rejected(self) -> list[Rejected]:
        """Return the rows since the last call that could not be read."""
        faults, self._faults = self._faults, []
        return faults
