"""The figures of a system on annotated notes: scores with intervals, tests of differences, errors by kind, scores' worth."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...schema import Schema
from ...scoring import Annotations, Counts, Rule, Scores, as_written, links_of, score_notes, spans_of
from .calibration import Scored, calibration_error, reliability, threshold_for, thresholds
from .errors import KINDS, Kind, Mistake, find_mistakes
from .intervals import Difference, Interval, as_rows, f1_difference, f1_interval
from .systems import Found, GoldNote, Source, on_matched

SHOWN_RULES: tuple[Rule, ...] = ("exact", "relaxed")
FEW = 20  # gold items of a label below which its figure is marked: one item is then 5 points of recall
END_TO_END = ("entities", "modifiers", "relations")  # the tasks that are done without gold
POINTS = 60  # of a curve over thresholds
EXAMPLES = 5  # places shown of each kind of mistake


@dataclass(frozen=True)
class Figure:
    """One row of the report: a task, or one label of it. `intervals` holds F1 under each rule."""

    task: str
    label: str | None
    counts: Counts
    intervals: Mapping[Rule, Interval]

    @property
    def few(self) -> bool:
        """Whether gold has too few of them for the figure to mean much."""
        return self.counts.gold < FEW

    def to_dict(self) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        rates = self.counts.to_dict()
        rules: dict[str, Any] = {
            rule: {**rates[rule], "low": _round(each.low), "high": _round(each.high)} for rule, each in self.intervals.items()
        }
        return {"gold": self.counts.gold, "pred": self.counts.pred, "few": self.few, **rules}


@dataclass(frozen=True)
class Place:
    """Where a mistake stands: note, offsets of gold and of the prediction. The text is kept apart and shown only if asked."""

    note: str
    gold: Any
    pred: Any
    text: str = field(repr=False, default="")

    def to_dict(self, show_text: bool) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        return {"note": self.note, "gold": self.gold, "pred": self.pred, **({"text": self.text} if show_text else {})}


@dataclass(frozen=True)
class Group:
    """Mistakes of one kind and label."""

    task: str
    kind: Kind
    label: str
    other: str | None
    count: int
    places: tuple[Place, ...]


@dataclass
class Result:
    """What one system did on one source."""

    system: str
    source: str
    figures: list[Figure]
    notes: list[Scores]  # each of one note, in order
    kinds: dict[str, dict[Kind, int]]
    groups: list[Group]
    scored: dict[str, tuple[list[Scored], int]]  # task > items with scores, how many gold has
    found: Found

    def figure(self, task: str, label: str | None = None) -> Figure | None:
        """Return the row of a task or of one of its labels."""
        return next((f for f in self.figures if f.task == task and f.label == label), None)

    def to_dict(self, *, show_text: bool = False, precision: float = 0.9) -> dict[str, Any]:
        """Return it plain and ready for JSON; note text only where it is asked for."""
        tasks: dict[str, Any] = {}
        for figure in self.figures:
            task = tasks.setdefault(figure.task, {"labels": {}})
            if figure.label is None:
                task["all"] = figure.to_dict()
            else:
                task["labels"][figure.label] = figure.to_dict()
        return {
            "system": self.system,
            "figures": tasks,
            "mistakes": self.kinds,
            "commonest": [
                {
                    "task": g.task, "kind": g.kind, "label": g.label, "predicted": g.other, "count": g.count,
                    "places": [place.to_dict(show_text) for place in g.places],
                }
                for g in self.groups
            ],
            "scores": {task: _scores_dict(items, gold, precision) for task, (items, gold) in self.scored.items()},
            "failed": [{"note": note, "reason": reason} for note, reason in self.found.failed],
            "problems": self.found.problems,
            "facts": self.found.facts.to_dict() if self.found.facts else {},
        }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _scores_dict(items: list[Scored], gold: int, precision: float) -> dict[str, Any]:
    points = thresholds(items, gold)
    step = max(1, len(points) // POINTS)
    wanted = threshold_for(items, gold, precision)
    return {
        "predictions": len(items),
        "calibration_error": _round(calibration_error(items)),
        "reliability": [{"count": b.count, "score": round(b.score, 4), "right": round(b.right, 4)} for b in reliability(items)],
        "thresholds": [
            {"threshold": round(p.threshold, 4), "p": round(p.precision, 4), "r": round(p.recall, 4)} for p in points[::step]
        ],
        "wanted_precision": precision,
        "threshold": wanted and {"threshold": wanted.threshold, "p": round(wanted.precision, 4), "r": round(wanted.recall, 4)},
    }


def evaluate_system(system: str, source: Source, found: Found, schema: Schema) -> Result:
    """Return the figures of one system on one source."""
    pairs = [(note.annotations, pred) for note, pred in zip(source.notes, found.notes, strict=True)]
    notes = []
    for i, (gold, pred) in enumerate(pairs):
        given = [found.given_gold[i]] if found.given_gold is not None else None
        notes.append(score_notes([(gold, pred)], schema, given_gold=given))
    figures = figures_of(notes)
    if source.label_map is not None:
        matched = [score_notes([on_matched(gold, pred, schema)], schema) for gold, pred in pairs]
        figures += [Figure("relations_on_matched", f.label, f.counts, f.intervals)
                    for f in figures_of(matched) if f.task == "relations"]
    mistakes = [(note, mistake) for note, (gold, pred) in zip(source.notes, pairs)
                for mistake in find_mistakes(gold, pred, schema)]
    kinds: dict[str, dict[Kind, int]] = {task: {} for task in END_TO_END}
    for (task, kind), times in sorted(Counter((m.task, m.kind) for _, m in mistakes).items()):
        kinds[task][kind] = times
    scored = _scored(pairs, found, schema)
    return Result(system, source.name, figures, notes, kinds, _groups(mistakes), scored, found)


def figures_of(notes: Sequence[Scores]) -> list[Figure]:
    """Return the figures of scored notes: each task's, then each of its labels', by how many gold has."""
    figures = []
    for task in notes[0].tasks if notes else ():
        tables = [note.tasks[task] for note in notes]
        labels = sorted({label for table in tables for label in table.labels})
        rows = {None: [table.total for table in tables]} | {
            label: [table.labels.get(label, Counts()) for table in tables] for label in labels
        }
        made = [
            Figure(task, label, sum(counts, Counts()), {rule: f1_interval(as_rows(counts, rule)) for rule in SHOWN_RULES})
            for label, counts in rows.items()
        ]
        figures += sorted(made, key=lambda figure: (figure.label is not None, -figure.counts.gold, figure.label or ""))
    return figures


def differences(first: Result, second: Result) -> list[tuple[str, str | None, Rule, Difference]]:
    """Return what the second has more than the first on the same notes, as (task, label, rule, difference)."""
    made: list[tuple[str, str | None, Rule, Difference]] = []
    for task in first.notes[0].tasks:
        if task not in second.notes[0].tasks:
            continue
        tables = [[note.tasks[task] for note in result.notes] for result in (first, second)]
        labels = sorted({label for table in tables for each in table for label in each.labels})
        for rule in SHOWN_RULES:
            rows = [as_rows([each.total for each in table], rule) for table in tables]
            made.append((task, None, rule, f1_difference(*rows)))
        for label in labels:
            rows = [as_rows([each.labels.get(label, Counts()) for each in table], "exact") for table in tables]
            made.append((task, label, "exact", f1_difference(*rows)))
    return made


def _scored(
    pairs: Sequence[tuple[Annotations, Annotations]], found: Found, schema: Schema
) -> dict[str, tuple[list[Scored], int]]:
    """Return {task: (predicted items with their scores, gold items)}; tasks without scores are left out."""
    kinds: dict[str, Callable[[Annotations], set[Any]]] = {
        "entities": lambda note: spans_of(note, schema.entities),
        "modifiers": lambda note: spans_of(note, schema.modifiers),
        "relations": lambda note: links_of(note, schema),
    }
    made = {}
    for task, items_of in kinds.items():
        items, total = [], 0
        for (gold, pred), scores in zip(pairs, found.scores):
            wanted = items_of(as_written(gold, schema))
            total += len(wanted)
            # What the scorer would not count has no place here either.
            counted = items_of(pred)
            items += [Scored(scores[item], item in wanted) for item in sorted(counted) if item in scores]
        if items:
            made[task] = (items, total)
    return made


def _groups(mistakes: Sequence[tuple[GoldNote, Mistake]]) -> list[Group]:
    """Return the mistakes by kind and label, the commonest first, with their first places."""
    grouped: dict[tuple[str, Kind, str, str | None], list[tuple[GoldNote, Mistake]]] = defaultdict(list)
    for note, mistake in mistakes:
        other = str(mistake.pred[-1]) if mistake.kind == "wrong type" and mistake.pred else None
        grouped[mistake.task, mistake.kind, mistake.label, other].append((note, mistake))
    made = []
    for (task, kind, label, other), here in grouped.items():
        places = tuple(
            Place(note.name, mistake.gold, mistake.pred, _text(note, mistake)) for note, mistake in here[:EXAMPLES]
        )
        made.append(Group(task, kind, label, other, len(here), places))
    order = list(KINDS)
    return sorted(made, key=lambda g: (-g.count, g.task, order.index(g.kind), g.label, g.other or ""))


def _text(note: GoldNote, mistake: Mistake) -> str:
    """Return what gold and prediction span, as one line."""
    places = [
        span for item in (mistake.gold, mistake.pred) if item is not None
        for span in ([item] if len(item) == 3 else list(item))
    ]
    start, end = min(span[0] for span in places), max(span[1] for span in places)
    return " ".join(note.text[start:end].split())
