"""`kiwi compare`: any systems on any annotated notes, in one run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language

from ...errors import KiwiError
from ...formats.corpus import own_schema
from ...schema import Schema
from .figures import Result, evaluate_system
from .report import build_report
from .resources import describe_machine, measure
from .systems import Source, read_predictions, read_source, run_pipeline


@dataclass(frozen=True)
class Gold:
    """Where annotated notes are; `notes` and `label_map` as of `read_source`."""

    path: Path
    notes: Path | None = None
    label_map: str | None = None
    name: str | None = None


def parse_gold(text: str, notes: Path | None = None, label_map: str | None = None) -> Gold:
    """Return what "FOLDER,notes=FILE,map=MAP,name=NAME" says; what is left out is `notes`, `label_map` and the folder's name.

    RAISES (KiwiError): A setting is unknown.

    >>> parse_gold("notes/ward,map=maccrobat").label_map
    'maccrobat'
    """
    path, *settings = text.split(",")
    found: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if key not in ("notes", "map", "name") or not equals or not value:
            raise KiwiError(f"--gold {text}: '{setting}' is none of notes=FILE, map=MAP, name=NAME.")
        found[key] = value
    own_notes = found.get("notes")
    return Gold(Path(path), Path(own_notes) if own_notes else notes, found.get("map", label_map), found.get("name"))


def compare(
    pipelines: Sequence[str], golds: Sequence[Gold], schema: Schema, *, load: Callable[[str], Language],
    predictions: Mapping[str, Path] | None = None, cost_notes: int = 4, passes: int = 3, device: str = "cpu",
    precision: float = 0.9, show_text: bool = False, progress: Callable[[str], None] = lambda line: None,
    sources: Sequence[Source] | None = None, watch: Callable[[Result], None] = lambda result: None,
) -> dict[str, Any]:
    """Return the report of pipelines and folders of brat predictions on the same annotated notes.

    load (Callable): Gives a pipeline by its name. predictions (Mapping): {name of an outside system: folder}; with
    several sources each has its predictions below, in a folder of the source's name, or is left out of it.
    cost_notes (int): How many notes to measure resources on; 0 leaves it. progress (Callable): Gets a line before each part.
    sources (Sequence[Source] | None): What `golds` holds, where it is read already. watch (Callable): Gets each result.
    RAISES (KiwiError): A source or a system is missing, or two have one name.
    """
    predictions = dict(predictions or {})
    _distinct([*pipelines, *predictions], "systems")
    if not pipelines and not predictions:
        raise KiwiError("There is nothing to compare: name a --pipeline, or --predictions NAME=FOLDER.")
    if sources is None:
        sources = [read_source(g.path, schema, notes=g.notes, label_map=g.label_map, name=g.name) for g in golds]
    _distinct([source.name for source in sources], "sources", "Give one another name: --gold FOLDER,name=NAME.")
    results: list[list[Result]] = [[] for _ in sources]
    for name in pipelines:
        nlp = load(name)
        own = own_schema(nlp)
        if own is not None and {*own.entities, *own.modifiers} != {*schema.entities, *schema.modifiers}:
            raise KiwiError(
                f"'{name}' has the labels of the schema '{own.name}', not of '{schema.name}'. Give its own by --schema."
            )
        for source, into in zip(sources, results):
            progress(f"{name} on {source.name}, {len(source.notes)} notes")
            into.append(evaluate_system(name, source, run_pipeline(nlp, source, schema), schema))
            watch(into[-1])
        del nlp
    for name, folder in predictions.items():
        for source, into in zip(sources, results):
            place = folder / source.name if len(sources) > 1 else folder
            if len(sources) > 1 and not place.is_dir():
                progress(f"{name} has no folder '{place}', so it is left out of {source.name}")
                continue
            into.append(evaluate_system(name, source, read_predictions(place, source, schema), schema))
    costs = {}
    if cost_notes and pipelines:
        progress(f"resources, {passes} passes over {min(cost_notes, len(sources[0].notes))} notes")
        costs = measure(pipelines, typical_texts(sources[0], cost_notes), passes=passes, device=device)
    progress("intervals, tests and plots")
    return build_report(
        sources, results, machine=describe_machine(device), costs={name: cost.to_dict() for name, cost in costs.items()},
        precision=precision, show_text=show_text,
    )


def _distinct(names: Iterable[str], what: str, mend: str = "Name each once.") -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise KiwiError(f"Two {what} are called '{name}'. {mend}")
        seen.add(name)


def typical_texts(source: Source, count: int) -> list[str]:
    """Return the texts of the notes whose lengths are nearest the median."""
    notes = sorted(source.notes, key=lambda note: (len(note.text), note.name))
    first = max(0, (len(notes) - count) // 2)
    return [note.text for note in notes[first : first + count]]
