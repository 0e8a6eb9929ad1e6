"""Scores of facts, as `kiwi evaluate` and `kiwi compare` show them: status by axis, values by label, headings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..components.cues import AXES
from .fact_gold import DEFAULTS, FactGold
from .facts import VIEWS, Judged, NoteFacts, Rates, View, heading_rates, judge_status, judge_values, status_counts, value_rates


@dataclass(frozen=True)
class FactScores:
    """What was judged of the notes that the tables of gold name; None where the table is missing, or none of its notes here.

    status, values: {view: what gold says beside what was found}. notes: {"status" | "values" | "sections": how many notes}.
    """

    notes: Mapping[str, int]
    status: Mapping[View, list[Judged]] | None = None
    values: Mapping[View, list[Judged]] | None = None
    headings: Rates | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return {"status", "values", "sections"}, those that were judged, plain and ready for JSON.

        Of status each axis has "judged", how many entities, and under each view "accuracy", the share of them that is right,
        and the rates of what is not the axis' default. Of values "all" and each label have rates under each view.
        """
        made: dict[str, Any] = {}
        if self.status is not None:
            made["status"] = {"notes": self.notes["status"], "axes": {axis: _axis(self.status, axis) for axis in AXES}}
        if self.values is not None:
            made["values"] = {
                "notes": self.notes["values"], "all": _values(self.values, None),
                "labels": {label: _values(self.values, label) for label in _labels(self.values)},
            }
        if self.headings is not None:
            made["sections"] = {"notes": self.notes["sections"], **self.headings.to_dict()}
        return made


def _axis(status: Mapping[View, list[Judged]], axis: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "judged": sum(each.what == axis and each.gold is not None for each in status["given"]), "default": DEFAULTS[axis]
    }
    for view in VIEWS:
        accuracy, rates = status_counts(status[view], axis)
        made[view] = {"accuracy": round(accuracy, 4), **rates.to_dict()}
    return made


def _values(values: Mapping[View, list[Judged]], label: str | None) -> dict[str, Any]:
    return {view: value_rates(each for each in values[view] if label in (None, each.what)).to_dict() for view in VIEWS}


def _labels(values: Mapping[View, list[Judged]]) -> list[str]:
    return sorted({each.what for judged in values.values() for each in judged})


def score_facts(gold: FactGold, given: Mapping[str, NoteFacts], found: Mapping[str, NoteFacts]) -> FactScores:
    """Return the scores of facts.

    given, found: {note: facts}, of gold spans and of a pipeline's own. Notes that `given` lacks are not scored; of notes that
    `found` lacks all is missed.
    """
    told = {name: found.get(name, NoteFacts()) for name in given}
    notes = {
        kind: sum(name in given for name in table or ())
        for kind, table in (("status", gold.status), ("values", gold.values), ("sections", gold.headings))
    }
    sides: dict[View, Mapping[str, NoteFacts]] = {"given": given, "exact": told, "relaxed": told}
    return FactScores(
        notes,
        {view: judge_status(gold, side, view) for view, side in sides.items()} if notes["status"] else None,
        {view: judge_values(gold, side, view) for view, side in sides.items()} if notes["values"] else None,
        heading_rates(gold, told) if notes["sections"] else None,
    )


def format_facts(scores: Mapping[str, Any]) -> str:
    """Return the scores of `FactScores.to_dict` as a plain-text table, in percent; empty where nothing was judged.

    Accuracy is the share of entities that have gold's word; F is of what is not an axis' default, of values, or of headings.
    """
    lines = [f"{'':28}{'gold':>7}" + "".join(f"   {view + ' accuracy':>16}{'F':>7}" for view in VIEWS)]
    group = ""
    for kind, name, gold, row in fact_rows(scores):
        if kind != group:
            lines.append(f"{kind}, {scores[kind]['notes']} notes")
            group = kind
        lines.append(_row(f"  {name}", gold, row))
    return "\n".join(lines) if scores else ""


def fact_rows(scores: Mapping[str, Any]) -> list[tuple[str, str, int, Mapping[str, Any]]]:
    """Return the rows of a table of `FactScores.to_dict`: kind ("status" …), name, how many gold has, {view: figures}."""
    rows: list[tuple[str, str, int, Mapping[str, Any]]] = []
    if "status" in scores:
        rows += [("status", axis, row["judged"], row) for axis, row in scores["status"]["axes"].items()]
    if "values" in scores:
        values = {"all": scores["values"]["all"], **scores["values"]["labels"]}
        rows += [("values", label, row["given"]["gold"], row) for label, row in values.items()]
    if "sections" in scores:
        rows.append(("sections", "headings", scores["sections"]["gold"], {"exact": scores["sections"]}))
    return rows


def _row(name: str, gold: int, row: Mapping[str, Any]) -> str:
    cells = ""
    for view in VIEWS:
        said = row.get(view, {})
        accuracy, f = (f"{100 * said[key]:.2f}" if key in said else "" for key in ("accuracy", "f"))
        cells += f"   {accuracy:>16}{f:>7}"
    return f"{name:28}{gold:>7}{cells}".rstrip()
