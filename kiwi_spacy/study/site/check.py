"""`kiwi check`: what a site with a few dozen annotated notes can expect of the pipelines here, and whether to fine-tune."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language

from ...errors import KiwiError
from ...schema import Schema
from ..annotation.rules import Finding, check_annotations
from ..comparison.calibration import round_up
from ..comparison.compare import Gold, compare
from ..comparison.figures import END_TO_END, FEW, SHOWN_RULES, Result, evaluate_system
from ..comparison.intervals import Difference, as_rows, f1_difference
from ..comparison.systems import Found, Source, read_source, run_pipeline


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning gave in cross-validation: each note annotated by a pipeline tuned on the other folds' notes."""

    base: str
    folds: int
    before: Result
    after: Result
    gains: Mapping[str, Difference]  # of exact F1, by task

    @property
    def pays(self) -> bool:
        """Whether entities get better and it is probably not chance."""
        gain = self.gains["entities"]
        return gain.value > 0 and gain.p is not None and gain.p < 0.05

    def to_dict(self) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        return {
            "base": self.base, "folds": self.folds, "pays": self.pays,
            "failed": [{"note": note, "reason": reason} for note, reason in self.after.found.failed],
            "tasks": [
                {
                    "task": task, "before": _f1(self.before, task), "after": _f1(self.after, task),
                    "difference": round(gain.value, 4), "low": gain.low, "high": gain.high, "p": gain.p, "words": gain.words,
                }
                for task, gain in self.gains.items()
            ],
        }


def _f1(result: Result, task: str) -> float:
    figure = result.figure(task)
    return round(figure.counts.f1("exact"), 4) if figure else 0.0


def split_folds(source: Source, count: int, seed: int = 0) -> list[list[str]]:
    """Return the notes' names in folds of like size; copies of one text stay together.

    RAISES (KiwiError): There are fewer different texts than folds.
    """
    groups = source.groups(seed)
    if len(groups) < count:
        raise KiwiError(f"{len(groups)} different notes are too few for {count} folds. Take fewer folds, or more notes.")
    folds: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(groups, key=len, reverse=True):
        min(folds, key=len).extend(group)
    return folds


def try_finetuning(
    source: Source, before: Result, schema: Schema, *, base: str, folds: int,
    finetune: Callable[[Sequence[str], Path], Path], load: Callable[[str], Language],
    progress: Callable[[str], None] = lambda line: None,
) -> FineTuning:
    """Return what fine-tuning on the other folds gives each fold's notes.

    before (Result): What the base finds. finetune (Callable): Trains on notes of some names, writes below
    a folder that is deleted afterwards, and returns the pipeline's path.
    """
    found: dict[str, Any] = {}
    failed: list[tuple[str, str]] = []
    for number, names in enumerate(split_folds(source, folds), 1):
        progress(f"fine-tuning, fold {number} of {folds}")
        rest = [note.name for note in source.notes if note.name not in names]
        with tempfile.TemporaryDirectory() as folder:  # weights and names of notes, no words of theirs
            nlp = load(str(finetune(rest, Path(folder))))
            part = Source(source.name, [note for note in source.notes if note.name in names], source.label_map)
            here = run_pipeline(nlp, part, schema)
        for i, note in enumerate(part.notes):
            found[note.name] = (here.notes[i], here.scores[i], here.given_gold[i] if here.given_gold else None)
        failed += here.failed
    order = [found[note.name] for note in source.notes]
    given = [each[2] for each in order] if all(each[2] is not None for each in order) else None
    after = evaluate_system(
        f"{base}, fine-tuned", source, Found([each[0] for each in order], [each[1] for each in order], given, failed), schema
    )
    gains = {
        task: f1_difference(*(as_rows([n.tasks[task].total for n in r.notes], "exact") for r in (before, after)))
        for task in END_TO_END
    }
    return FineTuning(base, folds, before, after, gains)


def check(
    gold: Gold, pipelines: Sequence[str], schema: Schema, *, load: Callable[[str], Language],
    finetune: Callable[[Sequence[str], Path], Path] | None = None, base: str = "", folds: int = 2,
    precision: float = 0.9, show_text: bool = False, text_dir: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Return a report of annotated notes: slips, what to expect of the pipelines, rare labels, thresholds, fine-tuning.

    finetune (Callable | None): As of `try_finetuning`, of `base`, which is one of the pipelines; None leaves it.
    RAISES (KiwiError): There is nothing to check.
    """
    progress("annotations")
    findings = check_annotations(gold.path, schema, text_dir=text_dir)
    source = read_source(gold.path, schema, notes=gold.notes, label_map=gold.label_map, name=gold.name, text_dir=text_dir)
    kept: dict[str, Result] = {}

    def remember(result: Result) -> None:
        kept[result.system] = result

    report = compare(
        pipelines, [gold], schema, load=load, cost_notes=0, precision=precision, show_text=show_text, progress=progress,
        sources=[source], watch=remember,
    )
    report["findings"] = [_plain(finding) for finding in findings]
    report["counts"] = dict(Counter(finding.severity for finding in findings))
    report["rare"] = _rare(source, schema)
    report["finetuning"] = None
    report["folds"] = folds
    report["texts"] = len(source.groups(0))
    if finetune is not None and report["texts"] >= folds:
        report["finetuning"] = try_finetuning(
            source, kept[base], schema, base=base, folds=folds, finetune=finetune, load=load, progress=progress,
        ).to_dict()
    report["advice"] = advise(report)
    return report


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "file": finding.file, "line": finding.line, "kind": finding.kind, "severity": finding.severity,
        "message": finding.message, "start": finding.start_char, "end": finding.end_char,
    }


def _rare(source: Source, schema: Schema) -> dict[str, int]:
    """Return the labels with too few annotations to know how well they are found, and how many there are."""
    counts = Counter(span[2] for note in source.notes for span in note.annotations.spans)
    return {label: counts[label] for label in [*schema.entities, *schema.modifiers] if counts[label] < FEW}


def advise(report: Mapping[str, Any]) -> list[str]:
    """Return what follows from the figures of `check`, in sentences."""
    lines = []
    errors = report["counts"].get("error", 0)
    if errors:
        lines.append(
            f"{errors} places in the annotations contradict the guide or the schema: mend them first, then run this again."
        )
    source = report["sources"][0]
    systems = source["systems"]
    for system in systems:
        row = system["figures"]["entities"]["all"]
        for rule in SHOWN_RULES:
            each = row[rule]
            if each["low"] is not None:
                lines.append(
                    f"{system['system']}: on notes like these expect an F1 of entities, {rule}, between "
                    f"{100 * each['low']:.0f} and {100 * each['high']:.0f} percent."
                )
        chosen = system["scores"].get("entities")
        if chosen and chosen["threshold"]:
            lines.append(
                f"{system['system']}: entities with scores from {round_up(chosen['threshold']['threshold'], 2)} are right in "
                f"{100 * chosen['threshold']['p']:.0f} of 100 cases on these notes, and are "
                f"{100 * chosen['threshold']['r']:.0f} percent of all."
            )
    for pair in source["differences"]:
        row = next(r for r in pair["rows"] if r["task"] == "entities" and r["label"] is None and r["rule"] == "exact")
        better = pair["second"] if row["difference"] > 0 else pair["first"]
        if row["p"] is not None:
            lines.append(
                f"The difference of {pair['first']} and {pair['second']} on entities is {row['words']}"
                + (f": take {better}." if row["p"] < 0.05 else ": take the quicker one, by `kiwi compare`.")
            )
    if report["rare"]:
        lines.append(
            f"Fewer than {FEW} annotations, so nothing is known of: "
            + ", ".join(f"{label} ({count})" for label, count in report["rare"].items()) + "."
        )
    tuning = report["finetuning"]
    if report["texts"] < report["folds"]:
        lines.append(f"{report['texts']} different notes are too few for {report['folds']} folds: fine-tuning was not tried.")
    if tuning:
        row = next(r for r in tuning["tasks"] if r["task"] == "entities")
        lines.append(
            f"Fine-tuning {tuning['base']} on these notes changes entities from {100 * row['before']:.1f} to "
            f"{100 * row['after']:.1f} F1 in {tuning['folds']} folds, {row['words']}: "
            + ("it pays." if tuning["pays"] else "these notes do not show that it pays.")
        )
    return lines
