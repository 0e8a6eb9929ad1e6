"""What every source yields: a term of a concept, or a row that is not used and why."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...rules import read_rules

SYSTEMS = Path(__file__).parent.parent / "systems.yml"


@dataclass(frozen=True)
class Term:
    """A term of a concept.

    rank: 0 for the concept's name; larger for terms that mean it less surely. The lower one wins where two concepts share a term.
    types: Which entity types the concept serves; none serves all that the vocabulary serves.
    parent: The code above it, by which of two codes with the same term the nearer one is told.
    omop: Its number in OMOP. A term with this alone belongs to the concept that has it.
    """

    code: str
    text: str
    rank: int = 0
    types: tuple[str, ...] = ()
    system: str = ""
    parent: str = ""
    omop: int | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that is not used. `fault` is false where it is left out by choice: suppressed, another language or type."""

    file: str
    line: int
    reason: str
    fault: bool = True


@lru_cache(maxsize=1)
def systems() -> dict[str, Any]:
    """Return the terminologies known by name, as `systems.yml` has them."""
    return read_rules(SYSTEMS)


def system_uri(name: str) -> str:
    """Return the URI of a terminology: of a key of `systems.yml`, of a name in UMLS or Athena, else the name itself.

    >>> system_uri("SNOMEDCT_US")
    'http://snomed.info/sct'
    """
    known = systems()
    key = known["names"].get(name, name)
    return str(known["systems"][key]["uri"]) if key in known["systems"] else name


def types_by_name(section: str) -> dict[str, str]:
    """Return {semantic type or domain: our type}."""
    return {name: kind for kind, names in systems()[section].items() for name in names}


def system_types(name: str) -> tuple[str, ...]:
    """Return the entity types that a terminology serves; none for one that is not known, which serves all.

    >>> system_types("loinc"), system_types("our own")
    (('test',), ())
    """
    known = systems()
    key = known["names"].get(name, name)
    return tuple(known["systems"][key]["types"]) if key in known["systems"] else ()
