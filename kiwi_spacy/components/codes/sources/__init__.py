"""The formats that a vocabulary is read from; each gives a stream of terms and of rows that it could not use."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .icd10cm import read_icd10cm
from .obo import read_obo
from .rrf import read_rxnorm, read_umls
from .tables import read_athena, read_csv
from .term import Rejected, Term

Reader = Callable[..., Iterator[Term | Rejected]]
READERS: Mapping[str, Reader] = {
    "csv": read_csv, "rxnorm": read_rxnorm, "umls": read_umls, "athena": read_athena, "hpo": read_obo, "icd10cm": read_icd10cm,
}


def read_source(format: str, source: Any, **options: Any) -> Iterator[Term | Rejected]:
    """Return the terms of a source in one of the formats; `options` are those of its reader."""
    return READERS[format](source, **options)


__all__ = ["READERS", "Reader", "Rejected", "Term", "read_source"]
