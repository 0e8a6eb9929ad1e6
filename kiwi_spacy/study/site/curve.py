"""How much annotation is enough: engines trained on growing parts of the same notes, scored on the same others."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language

from ...errors import KiwiError
from ...formats.corpus import read_names
from ...schema import Schema
from ..comparison.figures import END_TO_END, evaluate_system
from ..comparison.plots import plot_curve
from ..comparison.report import TASKS, percent
from ..comparison.systems import Source, read_source, run_pipeline

Train = Callable[[Path, Path], Path]  # (file of note names, folder to write to) > the pipeline's path


def read_corpus(corpus: str, schema: Schema, *, without: Path | None = None) -> Source:
    """Return the notes of all folders and files that a comma joins, but for those that a file names."""
    left_out = read_names(without) or set()
    parts = [read_source(Path(part.strip()), schema) for part in corpus.split(",")]
    return Source("train", [note for part in parts for note in part.notes if note.name not in left_out])


def nested_parts(source: Source, percents: Sequence[int], seed: int = 0) -> dict[int, list[str]]:
    """Return the names of the notes in each part, in percent of all; a larger part holds every smaller one.

    Copies of one text are in the same part, so a part may be a little larger than it says.

    RAISES (KiwiError): A percentage is not between 1 and 100.
    """
    if not percents or not all(0 < each <= 100 for each in percents):
        raise KiwiError("Parts are percentages from 1 to 100, such as 5 10 25 50 100.")
    groups, parts = source.groups(seed), {}
    for each in sorted(set(percents)):
        taken: list[str] = []
        for group in groups:
            if len(taken) < max(1, math.ceil(len(source.notes) * each / 100)):
                taken += group
        parts[each] = taken
    return parts


def learning_curve(
    source: Source, dev: Source, schema: Schema, engines: Mapping[str, tuple[Sequence[int], Train]], output: Path, *,
    load: Callable[[str], Language], seed: int = 0, progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train each engine on parts of a source's notes, score it on others, and return all points.

    A point that is finished is kept in `output` and not computed again; one that was killed goes on at its step.

    engines (Mapping): {name: (parts in percent, how it is trained)}.
    RAISES (KiwiError): A note stands on both sides.
    """
    texts = {note.words for note in source.notes}
    both = [note.name for note in dev.notes if note.words in texts]
    if both:
        raise KiwiError(f"Notes both to train on and to score on: {', '.join(sorted(both)[:5])}. Leave them out by --without.")
    scored_on = hashlib.sha256(repr([(n.text, sorted(n.annotations.spans)) for n in dev.notes]).encode()).hexdigest()[:16]
    curves: dict[str, list[dict[str, Any]]] = {}
    for engine, (percents, train) in engines.items():
        for percentage, names in nested_parts(source, percents, seed).items():
            folder = output / f"{engine}-{percentage}"
            done = folder / "point.json"
            if done.is_file():
                known = json.loads(done.read_text(encoding="utf-8"))
                if known["names"] != names or known["scored_on"] != scored_on:
                    raise KiwiError(f"{done} is of other notes. Take another --output, or delete that folder to begin anew.")
            else:
                progress(f"{engine} on {percentage}%, {len(names)} notes")
                folder.mkdir(parents=True, exist_ok=True)
                listed = folder / "notes.txt"
                listed.write_text("\n".join(names) + "\n", encoding="utf-8")
                found = run_pipeline(load(str(train(listed, folder))), dev, schema, given=False)
                result = evaluate_system(engine, dev, found, schema)
                figures = {f.task: f.to_dict() for f in result.figures if f.label is None}
                point = {
                    "percent": percentage, "notes": len(names), "names": names, "scored_on": scored_on, "figures": figures,
                }
                done.write_text(json.dumps(point, indent=1) + "\n", encoding="utf-8")
            curves.setdefault(engine, []).append(json.loads(done.read_text(encoding="utf-8")))
    return {"scored_on": {"name": dev.name, "notes": len(dev.notes)}, "seed": seed, "curves": curves}


def write_curve(curve: Mapping[str, Any], folder: Path) -> None:
    """Write curve.json, curve.md and a page with the plots, curve.html."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curve.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    (folder / "curve.md").write_text(format_curve(curve), encoding="utf-8")
    drawn = []
    for task in END_TO_END:
        points = {
            engine: [(p["notes"], *(p["figures"][task]["exact"][key] for key in ("f", "low", "high"))) for p in each]
            for engine, each in curve["curves"].items()
        }
        svg = plot_curve(points, TASKS[task], "notes to train on")
        drawn.append(f"<figure>{svg}<figcaption>{TASKS[task]}, exact</figcaption></figure>")
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Learning curve</title><style>:root { color-scheme: '
        "light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; } "
        "svg { width: 100%; max-width: 40rem; height: auto; }</style></head><body><h1>Learning curve</h1>"
    )
    (folder / "curve.html").write_text(page + "".join(drawn) + "</body></html>\n", encoding="utf-8")


def format_curve(curve: Mapping[str, Any]) -> str:
    """Return the points as a Markdown table: exact F1 in percent, with 95% intervals."""
    lines = [
        f"Exact F1 on the {curve['scored_on']['notes']} notes of {curve['scored_on']['name']} (95% interval).", "",
        "| engine | part | notes | " + " | ".join(TASKS[task].lower() for task in END_TO_END) + " |",
        "| --- | ---: | ---: |" + " --- |" * len(END_TO_END),
    ]
    for engine, points in curve["curves"].items():
        for point in points:
            cells = []
            for task in END_TO_END:
                each = point["figures"][task]["exact"]
                around = f" ({percent(each['low'])}–{percent(each['high'])})" if each["low"] is not None else ""
                cells.append(f"**{percent(each['f'])}**{around}")
            lines.append(f"| {engine} | {point['percent']}% | {point['notes']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
