"""Changes of a dose, tapers, and doses that differ through the day."""

import re
from dataclasses import dataclass, replace

from .doses import Dose, parse_dose
from .durations import Duration, parse_duration
from .frequencies import Timing, parse_frequency
from .records import Record
from .tables import Tables, default_tables, normalise


@dataclass(frozen=True)
class Step(Record):
    """One dose with what is said of its times and its length."""

    dose: Dose
    frequency: Timing | None = None
    duration: Duration | None = None


@dataclass(frozen=True)
class Steps(Record):
    """kind: "change" (from one dose to the next), "sequence" (one after the other), "split" (each of them daily)."""

    words: str
    kind: str
    steps: tuple[Step, ...]


_CHANGE = re.compile(
    r"(?:(?:was |were |dose |been |has |had |will be |to be )*"
    r"(?:increased|decreased|changed|titrated|reduced|lowered|raised|adjusted|tapered|uptitrated|up|down)? ?)from (.+?) to (.+)",
    re.IGNORECASE,
)


def parse_steps(words: str, *, tables: Tables | None = None) -> Steps | None:
    """Return two or more doses, None where there is one or a part cannot be read for sure.

    >>> [step.dose.value for step in parse_steps("from 20 to 40 mg").steps]
    [20.0, 40.0]
    >>> parse_steps("5 mg in AM & 2.5 mg in PM").kind
    'split'
    """
    tables = tables or default_tables()
    text = normalise(words)
    if match := _CHANGE.fullmatch(text):
        return _steps(words, "change", [match[1], match[2]], tables)
    for kind, between in (
        ("change", r" ?[-=]+> ?"),
        ("sequence", r",? ?(?:and )?\bthen ?(?:to |decrease to |reduce to )?|; ?"),
        ("sequence", r", ?"),
        ("split", r" ?& ?| and | plus |, ?"),
    ):
        parts = re.split(between, text)
        found = _steps(words, kind, parts, tables) if 1 < len(parts) <= 20 else None
        if found and _fits(kind, found, then="then" in text.lower()):
            return found
    return None


def _fits(kind: str, found: Steps, *, then: bool) -> bool:
    """Whether the steps are of this kind.

    A split has a time of the day in each; a sequence says "then", or how long each but the last is.
    """
    if kind == "split":
        return all(
            step.frequency is not None and (step.frequency.when or step.frequency.time_of_day) and not step.duration
            for step in found.steps
        )
    return kind == "change" or then or all(step.duration for step in found.steps[:-1])


def _steps(words: str, kind: str, parts: list[str], tables: Tables) -> Steps | None:
    read = [_step(part.strip(" ,"), tables) for part in parts]
    steps = [step for step in read if step]
    if len(steps) < len(parts):
        return None
    units = {step.dose.unit for step in steps if step.dose.unit}
    if len(units) == 1:
        unit = next(iter(units))
        steps = [replace(step, dose=replace(step.dose, unit=unit)) for step in steps]
    elif any(step.dose.unit is None for step in steps) and units:
        return None
    return Steps(words, kind, tuple(steps))


def _step(text: str, tables: Tables) -> Step | None:
    """The longest dose at the beginning, then how often, then how long."""
    pieces = text.split()
    for end in range(min(len(pieces), 8), 0, -1):
        dose = parse_dose(" ".join(pieces[:end]), tables=tables)
        if dose is None or dose.value is None:
            continue
        rest = " ".join(pieces[end:])
        if not rest:
            return Step(dose)
        if duration := parse_duration(rest, tables=tables):
            return Step(dose, duration=duration)
        timing = parse_frequency(rest, tables=tables)
        if timing is None or timing.bounds is None:
            return Step(dose, timing) if timing else None
        bounds = timing.bounds
        length = parse_duration(f"{bounds.value:g} {bounds.unit}", tables=tables)
        timing = replace(timing, bounds=None)
        return Step(dose, None if timing == Timing(timing.words) else timing, length)
    return None
