"""The report of a comparison: one page that needs nothing else, the same figures as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..fact_scores import fact_rows
from ..facts import VIEWS
from .calibration import round_up
from .errors import KINDS
from .figures import END_TO_END, FEW, Result, differences
from .intervals import Difference
from .plots import plot_intervals, plot_reliability, plot_thresholds
from .systems import Source

TASKS = {
    "entities": "Entities", "modifiers": "Modifiers", "relations": "Relations, end to end",
    "relations_given_gold": "Relations, gold spans given", "relations_on_matched": "Relations of matched spans",
}


def build_report(
    sources: Sequence[Source], results: Sequence[Sequence[Result]], *, machine: Mapping[str, Any],
    costs: Mapping[str, Mapping[str, Any]] | None = None, precision: float = 0.9, show_text: bool = False,
) -> dict[str, Any]:
    """Return all figures of a comparison, plain and ready for JSON.

    results: Of each source, the systems' results, in one order. costs: {system: figures of its resources}.
    """
    made = []
    for source, systems in zip(sources, results, strict=True):
        pairs = [(a, b) for i, a in enumerate(systems) for b in systems[i + 1 :]]
        made.append({
            "name": source.name,
            "notes": len(source.notes),
            "label_map": source.label_map.name if source.label_map else None,
            "problems": source.problems,
            "systems": [result.to_dict(show_text=show_text, precision=precision) for result in systems],
            "differences": [
                {
                    "first": a.system, "second": b.system,
                    "rows": [
                        {"task": task, "label": label, "rule": rule, **_difference(each)}
                        for task, label, rule, each in differences(a, b)
                    ],
                }
                for a, b in pairs
            ],
        })
    return {"sources": made, "resources": dict(costs or {}), "machine": dict(machine)}


def _difference(each: Difference) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    return {
        "difference": rounded(each.value), "low": rounded(each.low), "high": rounded(each.high), "p": rounded(each.p),
        "words": each.words,
    }


def write_report(
    report: Mapping[str, Any], folder: Path, *, title: str = "Comparison", extra: Mapping[str, Any] | None = None
) -> None:
    """Write report.html, report.md and report.json into a folder; `extra` goes to the templates beside the report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plots = [_plots(source) for source in report["sources"]]
    for suffix in ("html", "md"):
        environment = _environment(suffix)
        template = environment.get_template(f"report.{suffix}.jinja")
        page = template.render(
            report=report, title=title, tasks=TASKS, kinds=KINDS, few=FEW, plots=plots, views=VIEWS, **(extra or {})
        )
        (folder / f"report.{suffix}").write_text(page, encoding="utf-8")


def write_check(report: Mapping[str, Any], folder: Path) -> None:
    """Write the report of `kiwi check` into a folder: report.html, report.md and report.json."""
    opening, findings = {}, {}
    for suffix, key in (("html", ""), ("md", "_md")):
        environment = _environment(suffix)
        opening[f"opening{key}"] = Markup(environment.get_template(f"advice.{suffix}.jinja").render(report=report, tasks=TASKS))
        findings[f"closing{key}"] = Markup(environment.get_template(f"findings.{suffix}.jinja").render(report=report))
    name = report["sources"][0]["name"]
    write_report(report, folder, title=f"What to expect on {name}", extra={**opening, **findings})


def _environment(suffix: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=suffix == "html", undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "up": round_up, "fact_rows": fact_rows}
    return environment


def percent(value: float | None) -> str:
    """Return a rate as percent with one digit, a dash where there is none.

    >>> percent(0.82314)
    '82.3'
    """
    return "–" if value is None else f"{100 * value:.1f}"


def _plots(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (caption, SVG) of a source's plots."""
    systems = source["systems"]
    made = []
    for rule in ("exact", "relaxed"):
        rows = []
        for task, title in TASKS.items():
            values = {
                s["system"]: _interval(s["figures"][task]["all"][rule]) for s in systems if "all" in s["figures"].get(task, {})
            }
            if values:
                rows.append((title, values))
        if rows:
            made.append((f"F1, {rule}, with 95% intervals", plot_intervals(rows, f"F1, {rule}")))
    for task in ("entities", "modifiers"):
        labels = list(dict.fromkeys(label for s in systems for label in s["figures"][task]["labels"]))
        rows = [
            (label, {
                s["system"]: _interval(s["figures"][task]["labels"][label]["exact"])
                for s in systems if label in s["figures"][task]["labels"]
            })
            for label in labels
        ]
        if rows:
            made.append((f"F1 of {task} by label, exact, with 95% intervals", plot_intervals(rows, f"F1 of {task} by label")))
    scored = [task for task in END_TO_END if any(task in s["scores"] for s in systems)]
    if scored:
        bins = {t: {s["system"]: s["scores"][t]["reliability"] for s in systems if t in s["scores"]} for t in scored}
        points = {t: {s["system"]: s["scores"][t]["thresholds"] for s in systems if t in s["scores"]} for t in scored}
        made.append(("How often predictions of a score are right", plot_reliability(bins, "Reliability of scores")))
        made.append(("Precision and recall against a threshold", plot_thresholds(points, "Precision and recall")))
    return made


def _interval(figure: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    return figure["f"], figure["low"], figure["high"]
