"""Plots as SVG to be put into a page: text and axes take the page's own colour, so they can be read in light, dark and print."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...extras import extra

with extra("study"):
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

# Of Okabe and Ito, for eyes of all kinds; dark enough for white paper and light enough for a dark page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKS = ("o", "s", "^", "D", "v", "P")
_INK = "#010203"  # drawn in this, shown in the page's colour


@contextmanager
def _figure(width: float, height: float, columns: int = 1) -> Iterator[tuple[Figure, Any]]:
    style: Any = {
        "text.parse_math": False, "svg.fonttype": "none",
        "svg.hashsalt": "kiwi", "font.family": "sans-serif", "font.size": 9, "text.color": _INK,
        "axes.labelcolor": _INK, "axes.edgecolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False,
        "axes.spines.right": False, "legend.frameon": False, "grid.color": _INK, "grid.alpha": 0.15,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)[0]
        yield figure, axes


def _svg(figure: Figure, title: str) -> str:
    """Return a figure as an SVG element, without a background, in the page's colour."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", drawn, count=1)  # the page sets the width, the view box the rest
    return drawn.replace(_INK, "currentColor")


def _systems(curves: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return all systems in order, so that each has one colour in every panel."""
    return list(dict.fromkeys(system for systems in curves.values() for system in systems))


def _shown(name: str) -> str:
    """Return a name that a legend shows: matplotlib leaves out those that begin with an underscore."""
    return f"\u200b{name}" if name.startswith("_") else name


def _legend(figure: Figure) -> None:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        found |= dict(zip(names, handles))
    figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=2)


def plot_intervals(rows: Sequence[tuple[str, Mapping[str, tuple[float, float | None, float | None]]]], title: str) -> str:
    """Draw figures with their intervals, a line for each row, a mark for each system.

    rows: (name of the row, {system: (value, low, high)}), from top to bottom.
    """
    systems = list(dict.fromkeys(name for _, values in rows for name in values))
    with _figure(7, 0.6 + 0.28 * len(rows) + 0.2 * len(systems)) as (figure, (axes,)):
        for k, system in enumerate(systems):
            shift = 0.5 * ((k + 0.5) / len(systems) - 0.5)
            for i, (_, values) in enumerate(rows):
                if system not in values:
                    continue
                value, low, high = values[system]
                if low is not None and high is not None:
                    axes.plot([low, high], [i + shift] * 2, color=COLOURS[k % len(COLOURS)], linewidth=1.5)
                axes.plot(
                    value, i + shift, MARKS[k % len(MARKS)], color=COLOURS[k % len(COLOURS)], markersize=5,
                    label=_shown(system) if i == next(j for j, (_, v) in enumerate(rows) if system in v) else None,
                )
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.set_xlabel("F1, with 95% interval")
        figure.legend(loc="outside upper left", ncols=3)
        return _svg(figure, title)


def plot_reliability(curves: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]], title: str) -> str:
    """Draw the share of right predictions against their scores: {task: {system: bins of `count`, `score`, `right`}}."""
    with _figure(3 * len(curves) + 0.5, 3.2, len(curves)) as (figure, panels):
        order = _systems(curves)
        for axes, (task, systems) in zip(panels, curves.items()):
            axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
            for system, bins in systems.items():
                k = order.index(system)
                axes.plot(
                    [b["score"] for b in bins], [b["right"] for b in bins], marker=MARKS[k % len(MARKS)], markersize=4,
                    color=COLOURS[k % len(COLOURS)], label=_shown(system),
                )
            axes.set(xlim=(0, 1), ylim=(0, 1), title=task, xlabel="score")
        panels[0].set_ylabel("share right")
        _legend(figure)
        return _svg(figure, title)


def plot_thresholds(curves: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]], title: str) -> str:
    """Draw precision and recall against the threshold: {task: {system: points of `threshold`, `p`, `r`}}."""
    with _figure(3 * len(curves) + 0.5, 3.2, len(curves)) as (figure, panels):
        order = _systems(curves)
        for axes, (task, systems) in zip(panels, curves.items()):
            for system, points in systems.items():
                at = [p["threshold"] for p in points]
                colour = COLOURS[order.index(system) % len(COLOURS)]
                axes.plot(at, [p["p"] for p in points], color=colour, label=f"{_shown(system)}, precision")
                axes.plot(at, [p["r"] for p in points], color=colour, linestyle="--", label=f"{_shown(system)}, recall")
            axes.set(xlim=(0, 1), ylim=(0, 1), title=task, xlabel="threshold")
            axes.grid()
        _legend(figure)
        return _svg(figure, title)


def plot_curve(curves: Mapping[str, Sequence[tuple[float, float, float | None, float | None]]], title: str, x_label: str) -> str:
    """Draw learning curves: {system: (amount of data, F1, low, high)}, rising amounts on a scale of logarithms."""
    with _figure(6, 3.6) as (figure, (axes,)):
        for k, (system, points) in enumerate(curves.items()):
            colour, amounts = COLOURS[k % len(COLOURS)], [point[0] for point in points]
            axes.plot(amounts, [point[1] for point in points], marker=MARKS[k % len(MARKS)], color=colour, label=_shown(system))
            known = [point for point in points if point[2] is not None]
            axes.fill_between(
                [p[0] for p in known], [p[2] for p in known], [p[3] for p in known], color=colour, alpha=0.15, linewidth=0
            )
        axes.set_xscale("log", base=2)
        every = sorted({point[0] for points in curves.values() for point in points})
        axes.set_xticks(every, [f"{amount:g}" for amount in every])
        axes.minorticks_off()
        axes.set(ylim=(0, 1), xlabel=x_label, ylabel="F1 on the same notes, with 95% interval")
        axes.grid()
        axes.legend(loc="lower right")
        return _svg(figure, title)
