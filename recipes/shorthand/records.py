"""Drugs with doses of their own, and tests with their units and ranges, as rules of the grammar.

`$drug` names a drug; `$strength`, `$form`, `$route`, `$often` and `$reason` after it are of that drug. `$lab` names a test;
`$value`, `$low`, `$high`, `$unit` and `$range` after it are of that test. `$study`, `$seen` and `$unseen` are of one
region of the body.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .grammar import GrammarError, Growth, Special

_AMOUNTS = re.compile(r"((?:\s+[\d./-]+)+)\s+(\D.*)")  # "160 200 mg/5 mL": numbers, then the unit


@dataclass(frozen=True)
class Drug:
    """A drug: its names; its doses and their unit; what rules write of it; `amount` is the label of the doses."""

    names: tuple[str, ...]
    doses: tuple[str, ...]
    unit: str
    form: str
    route: str
    often: str
    reason: str
    amount: str


@dataclass(frozen=True)
class Lab:
    """A laboratory test: its names and units; what counts as normal; the least and the greatest value, and decimals."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    normal: tuple[float, float]
    extremes: tuple[float, float]
    digits: int


def load_drugs(file: Path) -> dict[str, list[Drug]]:
    """Return the drugs of each group and of each union of groups; a line is `name, name; dose dose unit`."""
    read = yaml.safe_load(file.read_text(encoding="utf-8"))
    unions = read.pop("unions")
    groups: dict[str, list[Drug]] = {}
    for group, spec in read.items():
        said = [spec[key] for key in ("form", "route", "often", "reason")] + [spec.get("amount", "strength")]
        groups[group] = []
        for line in spec["drugs"]:
            names, _, doses = line.partition(";")
            amounts = _AMOUNTS.match(doses)
            if amounts is None:
                raise GrammarError(f"{file.name}, {names}: after the semicolon come doses and their unit.")
            groups[group].append(Drug(_listed(names), tuple(amounts[1].split()), amounts[2].strip(), *said))
    return groups | {union: [drug for group in parts for drug in groups[group]] for union, parts in unions.items()}


def load_labs(file: Path) -> list[Lab]:
    """Return the tests; a line is `name, name; unit, unit; normal low - high; least - greatest; decimals`."""
    labs = []
    for line in yaml.safe_load(file.read_text(encoding="utf-8"))["labs"]:
        names, units, normal, extremes, digits = line.split(";")
        labs.append(Lab(_listed(names), _listed(units), _range(normal), _range(extremes), int(digits)))
    return labs


def load_regions(file: Path) -> dict[str, dict[str, list[str]]]:
    """Return the studies of each region, what they may show and what they may not."""
    regions: dict[str, dict[str, list[str]]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return regions


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


def _range(text: str) -> tuple[float, float]:
    low, high = (float(number) for number in text.split(" - "))
    return low, high


def drug_specials(groups: dict[str, list[Drug]]) -> dict[str, Special]:
    """Return `$drug_GROUP`, one of a group; `$drug`, one of the group `everyday`; and what is said of the one named last.

    `$pick_GROUP` writes nothing, so that a route or a dose can stand before the `$name`.
    """

    def picked(drugs: list[Drug]) -> Special:
        def pick(growth: Growth) -> str:
            free = [drug for drug in drugs if ("drug", drug.names[0]) not in growth.used] or drugs
            drug = growth.choice.choice(free)
            growth.used.add(("drug", drug.names[0]))
            growth.record["drug"] = drug
            growth.record["dose"] = growth.choice.choice(drug.doses)
            return ""

        return pick

    def named(drugs: list[Drug]) -> Special:
        pick = picked(drugs)
        return lambda growth: pick(growth) + name(growth)

    def name(growth: Growth) -> str:
        names: tuple[str, ...] = growth.record["drug"].names
        if len(names) > 1 and growth.choice.random() < 0.04:  # "furosemide (Lasix)" is one name
            return f"{names[0]} ({names[1]})" if growth.choice.random() < 0.7 else f"{names[1]} ({names[0]})"
        return str(growth.choice.choice(names))

    def dose(growth: Growth) -> str:
        unit = growth.record["drug"].unit
        return str(growth.record["dose"]) + ("" if unit == "%" else _gap(growth)) + unit

    def amount(growth: Growth) -> str:
        return str(growth.record["drug"].amount)

    def bare(growth: Growth) -> str:
        return str(growth.record["dose"])

    def next_dose(growth: Growth) -> str:
        """Another dose of the same drug, such as the one that it is raised to."""
        others = [other for other in growth.record["drug"].doses if other != growth.record["dose"]]
        growth.record["dose"] = growth.choice.choice(others or growth.record["drug"].doses)
        return dose(growth)

    def part(name: str) -> Special:
        return lambda growth: growth.grow(str(getattr(growth.record["drug"], name)))

    return {
        "drug": named(groups["everyday"]), "name": name, "dose": dose, "amount": amount, "bare_dose": bare,
        "next_dose": next_dose,
        **{f"drug_{group}": named(drugs) for group, drugs in groups.items()},
        **{f"pick_{group}": picked(drugs) for group, drugs in groups.items()},
        **{said: part(said) for said in ("form", "route", "often", "reason")},
    }


def _gap(growth: Growth) -> str:
    """Between a number and its unit: a note keeps to one way, most of the time."""
    glued = growth.record.setdefault("glued", growth.choice.random() < 0.35)
    return "" if glued else " "


def lab_specials(labs: list[Lab]) -> dict[str, Special]:
    """Return `$lab`, `$lab_two_sided`, which can be too low too, and what is said of the test named last."""

    def named(tests: list[Lab]) -> Special:
        def write(growth: Growth) -> str:
            free = [lab for lab in tests if ("lab", lab.names[0]) not in growth.used] or tests
            lab = growth.choice.choice(free)
            growth.used.add(("lab", lab.names[0]))
            growth.record["lab"] = lab
            growth.record["unit"] = growth.choice.choice(lab.units)
            return growth.choice.choice(lab.names)

        return write

    def number(growth: Growth, low: float, high: float) -> str:
        return f"{growth.choice.uniform(low, high):.{growth.record['lab'].digits}f}"

    def value(growth: Growth) -> str:
        lab: Lab = growth.record["lab"]
        least = max(lab.normal[0], lab.extremes[0])  # of a test whose normal range begins at 0
        return number(growth, *((least, lab.normal[1]) if growth.choice.random() < 0.5 else lab.extremes))

    def low(growth: Growth) -> str:
        lab: Lab = growth.record["lab"]
        return number(growth, lab.extremes[0], lab.normal[0])

    def high(growth: Growth) -> str:
        lab: Lab = growth.record["lab"]
        return number(growth, lab.normal[1], lab.extremes[1])

    def unit(growth: Growth) -> str:
        written: Any = growth.record["unit"]
        return "" if not written else ("" if written == "%" else _gap(growth)) + written

    def normal(growth: Growth) -> str:
        lab: Lab = growth.record["lab"]
        least, most = (f"{bound:.{lab.digits}f}" for bound in lab.normal)
        return f"<{most}" if lab.normal[0] == 0 else least + growth.choice.choice(["-", "-", "-", " - ", " to "]) + most

    two_sided = [lab for lab in labs if lab.normal[0] > 0]
    return {
        "lab": named(labs), "lab_two_sided": named(two_sided), "value": value, "low": low, "high": high, "unit": unit,
        "range": normal,
    }


def study_specials(regions: dict[str, dict[str, list[str]]]) -> dict[str, Special]:
    """Return `$study`, `$seen` and `$unseen`, of one region in a line."""

    def of_region(part: str) -> Special:
        def write(growth: Growth) -> str:
            region = growth.record.setdefault("region", growth.choice.choice(list(regions)))
            said = [word for word in regions[region][part] if (part, word) not in growth.used] or regions[region][part]
            word = growth.choice.choice(said)
            growth.used.add((part, word))
            return word

        return write

    return {part: of_region(part) for part in ("study", "seen", "unseen")}
