"""The amount of a drug a day, from what its modifiers come to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..contract.facts import Attribute
from .values import Dose, Strength, Timing, daily_amount

_READ_AS = ("strength", "dose", "frequency")


def amount_a_day(attributes: Mapping[str, Sequence[Attribute]], readers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the amount of a drug a day, None where it does not follow.

    It follows from a dose and a frequency, where the dose counts tablets from the strength too. Without a dose it follows from a
    strength such as 20 mg, which is then what is taken at once; not where a form stands beside it, as "25 mg tablets" does not
    say how many. Of two doses, strengths or frequencies nothing follows, but "every 4 hours" and "as needed" are one frequency.

    attributes: {modifier type: attributes} of one drug. readers: Modifier type > what its words are read as.
    RETURNS: {"parts": an amount for each ingredient, "from": the modifier types that it follows from}.

    >>> twice = Attribute("frequency", "b.i.d.", 14, 20, value={"frequency": 2, "period": 1, "periodUnit": "d"})
    >>> strength = Attribute("strength", "25 mg", 8, 13, value={"words": "25 mg", "parts": [{"value": 25, "unit": "mg"}]})
    >>> readers = {"strength": "strength", "frequency": "frequency"}
    >>> amount_a_day({"strength": (strength,), "frequency": (twice,)}, readers)
    {'parts': [{'value': 50, 'unit': 'mg'}], 'from': ['strength', 'frequency']}
    """
    found: dict[str, list[Attribute]] = {kind: [] for kind in _READ_AS}
    for label, group in attributes.items():
        if readers.get(label) in found:
            found[readers[label]] += group
    formed = any(readers.get(label) == "form" for label in attributes)
    timing = _timing([each.value for each in found["frequency"]])
    if timing is None or any(each.value is None for each in (*found["dose"], *found["strength"])):
        return None
    if len(found["dose"]) > 1 or len(found["strength"]) > 1 or any("steps" in (each.value or {}) for each in _all(found)):
        return None
    strength = Strength.from_dict(found["strength"][0].value or {}) if found["strength"] else None
    if found["dose"]:
        dose = Dose.from_dict(found["dose"][0].value or {})
        amount = daily_amount(dose, timing, strength=strength)
    elif strength is not None and strength.per is None and len(strength.parts) == 1 and not formed:
        part = strength.parts[0]
        dose = Dose(strength.words, part.value, part.high, part.comparator, part.approximate, part.unit)
        amount = daily_amount(dose, timing)
    else:
        return None
    if amount is None:
        return None
    return {**amount.to_dict(), "from": [label for label in attributes if readers.get(label) in found]}


def _all(found: Mapping[str, Sequence[Attribute]]) -> list[Attribute]:
    return [each for group in found.values() for each in group]


def _timing(values: Sequence[dict[str, Any] | None]) -> Timing | None:
    """Return one frequency, with "as needed" of another joined to it."""
    read = [Timing.from_dict(value) for value in values if value is not None]
    often = [timing for timing in read if timing != Timing(timing.words, as_needed=True, as_needed_for=timing.as_needed_for)]
    if len(read) < len(values) or len(often) != 1:
        return None
    return replace(often[0], as_needed=often[0].as_needed or len(read) > 1)
