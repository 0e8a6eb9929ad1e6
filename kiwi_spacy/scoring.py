"""Exact, relaxed and overlap scores of entities, modifiers and links; pure but for the spaCy scorer at the end."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from spacy import registry
from spacy.tokens import Doc
from spacy.training import Example

from .contract import SpanKey, get_modifiers, get_relations, span_key
from .schema import Schema, load_schema

Rule = Literal["exact", "relaxed", "overlap"]
RULES: tuple[Rule, ...] = ("exact", "relaxed", "overlap")
Link = tuple[SpanKey, SpanKey]  # head, modifier

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class Annotations:
    """What stands in one note. `spans` as (start_char, end_char, label); `links` as (head, modifier)."""

    spans: frozenset[SpanKey] = frozenset()
    links: frozenset[Link] = frozenset()


@dataclass(frozen=True)
class Counts:
    """Items of gold and of the prediction, and how many of each are matched under each rule.

    The numbers found (of gold) and right (of the prediction) differ under `overlap` alone, which
    is many to one; and, for one label, nowhere else, as matched items have equal labels.
    """

    gold: int = 0
    pred: int = 0
    found: Mapping[Rule, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    right: Mapping[Rule, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.gold + other.gold,
            self.pred + other.pred,
            {rule: self.found[rule] + other.found[rule] for rule in RULES},
            {rule: self.right[rule] + other.right[rule] for rule in RULES},
        )

    def precision(self, rule: Rule) -> float:
        """Share of the prediction that is right; 0 where nothing is predicted."""
        return self.right[rule] / self.pred if self.pred else 0.0

    def recall(self, rule: Rule) -> float:
        """Share of gold that is found; 0 where there is no gold."""
        return self.found[rule] / self.gold if self.gold else 0.0

    def f1(self, rule: Rule) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        p, r = self.precision(rule), self.recall(rule)
        return 2 * p * r / (p + r) if p + r else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return {"gold", "pred", rule: {"p", "r", "f"}}, rounded to four digits."""
        rates: dict[str, Any] = {
            rule: {"p": round(self.precision(rule), 4), "r": round(self.recall(rule), 4), "f": round(self.f1(rule), 4)}
            for rule in RULES
        }
        return {"gold": self.gold, "pred": self.pred, **rates}


@dataclass(frozen=True)
class TaskScores:
    """Counts of one task by label; a link's label is `head-modifier`, such as `drug-strength`."""

    labels: dict[str, Counts] = field(default_factory=dict)

    @property
    def total(self) -> Counts:
        """The sum over labels, from which micro averages come."""
        return sum(self.labels.values(), Counts())

    def to_dict(self) -> dict[str, Any]:
        """Return {"all": figures, "labels": {label: figures}}."""
        return {
            "all": self.total.to_dict(), "labels": {label: self.labels[label].to_dict() for label in sorted(self.labels)}
        }


@dataclass(frozen=True)
class Scores:
    """Scores of a set of notes. `relations_given_gold` is there where the caller has links between gold spans."""

    notes: int
    entities: TaskScores
    modifiers: TaskScores
    relations: TaskScores
    relations_given_gold: TaskScores | None = None

    @property
    def tasks(self) -> dict[str, TaskScores]:
        """{task: scores}, in the order in which they are shown."""
        tasks = {"entities": self.entities, "modifiers": self.modifiers, "relations": self.relations}
        if self.relations_given_gold is not None:
            tasks["relations_given_gold"] = self.relations_given_gold
        return tasks

    def to_dict(self) -> dict[str, Any]:
        """Return {task: {"all": figures, "labels": {label: figures}}, "notes": how many}, plain and ready for JSON."""
        return {**{task: scores.to_dict() for task, scores in self.tasks.items()}, "notes": self.notes}


def score_notes(
    pairs: Iterable[tuple[Annotations, Annotations]],
    schema: Schema | None = None,
    *,
    given_gold: Iterable[tuple[Annotations, Annotations]] | None = None,
) -> Scores:
    """Score predictions against gold, micro-averaged over notes; a pair is one note's (gold, prediction).

    Three rules: `exact`, same borders and label; `relaxed`, overlapping and of one label, one to one
    (a maximum matching); `overlap`, the same but many to one. A link is right when both its spans
    are, whichever stands first, and links between anything but an entity and a modifier do not count.
    Spans whose label the schema lacks do not count; labels are compared without case.

    schema (Schema | None): Says which labels are entities and modifiers; the packaged one by default.
    given_gold (Iterable | None): Pairs whose predicted links join gold spans; their links are scored
        as the task `relations_given_gold`.

    >>> gold = Annotations(frozenset({(0, 5, "problem"), (9, 14, "problem")}))
    >>> found = Annotations(frozenset({(0, 14, "problem")}))
    >>> scores = score_notes([(gold, found)])
    >>> [scores.entities.total.recall(rule) for rule in RULES]
    [0.0, 0.5, 1.0]
    """
    schema = schema or load_schema()
    rows: dict[str, dict[str, Counts]] = {"entities": {}, "modifiers": {}, "relations": {}}
    notes = 0
    for gold, pred in pairs:
        notes += 1
        gold, pred = as_written(gold, schema), as_written(pred, schema)
        for task, labels in (("entities", schema.entities), ("modifiers", schema.modifiers)):
            _count(rows[task], spans_of(gold, labels), spans_of(pred, labels), _span_label, _spans_meet)
        _count(rows["relations"], links_of(gold, schema), links_of(pred, schema), _link_label, _links_meet)
    linked: dict[str, Counts] | None = None
    if given_gold is not None:
        linked = {}
        for gold, pred in given_gold:
            gold, pred = as_written(gold, schema), as_written(pred, schema)
            _count(linked, links_of(gold, schema), links_of(pred, schema), _link_label, _links_meet)
    return Scores(
        notes, TaskScores(rows["entities"]), TaskScores(rows["modifiers"]), TaskScores(rows["relations"]),
        TaskScores(linked) if linked is not None else None,
    )


def as_written(annotations: Annotations, schema: Schema) -> Annotations:
    """Give each label the case that it has in the schema."""
    known = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}

    def same(span: SpanKey) -> SpanKey:
        return span[0], span[1], known.get(span[2].lower(), span[2])

    return Annotations(
        frozenset(map(same, annotations.spans)), frozenset((same(head), same(tail)) for head, tail in annotations.links)
    )


def spans_of(annotations: Annotations, labels: Collection[str]) -> set[SpanKey]:
    """Return the spans of some labels."""
    return {span for span in annotations.spans if span[2] in labels}


def links_of(annotations: Annotations, schema: Schema) -> set[Link]:
    """Return the links of an entity and a modifier, as (head, modifier) whichever way they are written."""
    return {
        (head, modifier) for link in annotations.links for head, modifier in (link, link[::-1])
        if head[2] in schema.entities and modifier[2] in schema.modifiers
    }


def _span_label(span: SpanKey) -> str:
    return span[2]


def _link_label(link: Link) -> str:
    return f"{link[0][2]}-{link[1][2]}"


def _spans_meet(one: SpanKey, other: SpanKey) -> bool:
    return one[2] == other[2] and one[0] < other[1] and other[0] < one[1]


def _links_meet(one: Link, other: Link) -> bool:
    return _spans_meet(one[0], other[0]) and _spans_meet(one[1], other[1])


def _count(
    rows: dict[str, Counts], gold: set[Item], pred: set[Item], label: Callable[[Item], str],
    meet: Callable[[Item, Item], bool],
) -> None:
    """Add one note to `rows`. Items that meet have one label, so each label is a problem of its own."""
    by_label: dict[str, tuple[set[Item], set[Item]]] = {}
    for side, items in enumerate((gold, pred)):
        for item in items:
            by_label.setdefault(label(item), (set(), set()))[side].add(item)
    for name, (wanted, given) in by_label.items():
        near = {w: [g for g in given if meet(w, g)] for w in wanted}
        same, matched = len(wanted & given), _matching_size(near)
        rows[name] = rows.get(name, Counts()) + Counts(
            len(wanted),
            len(given),
            {"exact": same, "relaxed": matched, "overlap": sum(bool(n) for n in near.values())},
            {"exact": same, "relaxed": matched, "overlap": len({g for n in near.values() for g in n})},
        )


def _matching_size(near: Mapping[Item, list[Item]]) -> int:
    """Return how many pairs a maximum one-to-one matching has (augmenting paths, after Kuhn).

    Which pairs it makes may vary, their number cannot, so no order needs to be agreed on.
    The search keeps its own stack: a note of a thousand chained spans would exhaust Python's.

    >>> _matching_size({"a": [1, 2], "b": [1]})
    2
    """
    partner: dict[Item, Item] = {}  # predicted > gold
    for start in near:
        reached: dict[Item, Item] = {}  # predicted > the gold item from which the search came to it
        waiting = [start]
        while waiting:
            here = waiting.pop()
            free = None
            for other in near[here]:
                if other in reached:
                    continue
                reached[other] = here
                if other not in partner:
                    free = other
                    break
                waiting.append(partner[other])
            if free is not None:
                _augment(partner, reached, free, start)
                break
    return len(partner)


def _augment(partner: dict[Item, Item], reached: Mapping[Item, Item], free: Item, start: Item) -> None:
    held = {gold: pred for pred, gold in partner.items()}
    while True:
        gold = reached[free]
        partner[free] = gold
        if gold == start:
            return
        free = held[gold]


def format_table(scores: Scores) -> str:
    """Return a plain-text table: a block per task, a row per label, P, R and F1 in percent under each rule."""
    head = f"{'':28}{'gold':>7}{'pred':>7}" + "".join(f"   {rule + ' P':>9}{'R':>7}{'F':>7}" for rule in RULES)
    lines = [head]
    for task, result in scores.tasks.items():
        named = [(task, result.total), *((f"  {label}", result.labels[label]) for label in sorted(result.labels))]
        for name, row in named:
            cells = "".join(
                f"   {100 * row.precision(rule):>9.2f}{100 * row.recall(rule):>7.2f}{100 * row.f1(rule):>7.2f}"
                for rule in RULES
            )
            lines.append(f"{name:28}{row.gold:>7}{row.pred:>7}{cells}")
    return "\n".join(lines)


def doc_annotations(doc: Doc) -> Annotations:
    """Return a Doc's entities, modifiers and links as plain offsets into `doc.text`."""
    spans = [*doc.ents, *get_modifiers(doc)]
    return Annotations(
        frozenset(span_key(span) for span in spans), frozenset(r.key[:2] for r in get_relations(doc))
    )


def score_examples(examples: Iterable[Example], *, schema: Schema | None = None) -> dict[str, Any]:
    """Score spaCy Examples by characters, so predicted and reference may be tokenized differently.

    RETURNS (dict): `kiwi_entities_f` and `_p`, `_r`, `kiwi_entities_relaxed_f` and so on for modifiers
        and relations; `kiwi_entities_per_type` {label: {"p", "r", "f"}}, exact. None where the task has
        neither gold nor prediction.
    """
    scores = score_notes(
        ((doc_annotations(eg.reference), doc_annotations(eg.predicted)) for eg in examples), schema
    )
    result: dict[str, Any] = {}
    for task, each in scores.tasks.items():
        total = each.total
        known = bool(total.gold or total.pred)
        shown: tuple[tuple[Rule, str], ...] = (("exact", ""), ("relaxed", "_relaxed"))
        for rule, infix in shown:
            for letter, rate in (("p", total.precision), ("r", total.recall), ("f", total.f1)):
                result[f"kiwi_{task}{infix}_{letter}"] = rate(rule) if known else None
        result[f"kiwi_{task}_per_type"] = {
            label: {"p": row.precision("exact"), "r": row.recall("exact"), "f": row.f1("exact")}
            for label, row in sorted(each.labels.items())
        }
    return result


@registry.scorers("kiwi.Scorer.v1")
def create_scorer(schema: str | None = None) -> Callable[..., dict[str, Any]]:
    """Return a spaCy scorer for entities, modifiers and links, exact and relaxed.

    schema (str | None): A schema file; by default the schema of the component that asks, else the packaged one.
    """
    return partial(_score, schema)


def _score(file: str | None, examples: Iterable[Example], *, schema: Schema | None = None, **kwargs: Any) -> dict[str, Any]:
    """Score by the file's schema, else by that of the component; the file is read only now, as a saved pipeline may lack it."""
    named = load_schema(file) if file is not None and (schema is None or Path(file).is_file()) else schema
    return score_examples(examples, schema=named)
