"""What a clinician's lists say of a fact: its words by kind, and what they come to. Pages and tables both stand on this."""

from collections.abc import Mapping
from typing import Any

from .facts import Attribute, Fact

PROBLEM, DRUG, TEST, RESULT = "problem", "drug", "test", "labvalue"


def flat(text: str) -> str:
    """Return text on one line.

    >>> flat("chest\\n  pain")
    'chest pain'
    """
    return " ".join(text.split())


def words(fact: Fact, *labels: str) -> str:
    """Return the words of a fact's modifiers of these types, joined by "; "; empty where it has none."""
    return "; ".join(flat(found.text) for label in labels for found in fact.attributes.get(label, ()))


def value(fact: Fact, label: str) -> Mapping[str, Any]:
    """Return what the one modifier of a type comes to; empty where there is none, several, or one that was not read.

    Of several no value is taken, as none of them is the fact's alone; all stand in `fact.attributes`.
    """
    found = fact.attributes.get(label, ())
    return (found[0].value or {}) if len(found) == 1 else {}


def results_of(fact: Fact) -> tuple[Attribute, ...]:
    """Return the results of a test, in reading order; empty of anything else."""
    return tuple(fact.attributes.get(RESULT, ())) if fact.type == TEST else ()
