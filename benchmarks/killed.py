"""Runs of `kiwi extract` that are killed, again and again, and what they leave in the end."""

import os
import random
import signal
import time
from pathlib import Path

import spacy
from hostile import clinical_text
from spacy.language import Language

from kiwi_spacy.cli import app
from kiwi_spacy.contract import MODIFIERS
from kiwi_spacy.formats.outputs import Format
from kiwi_spacy.schema import load_schema

_WORDS = (("pain", "fever", "cough", "edema", "disease"), ("no", "denies", "without"))


def rule_pipeline() -> Language:
    """Return a pipeline that marks a few words, with sections and facts: it needs no weights."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})
    schema = load_schema()
    label = next(iter(schema.entities))
    modifier = next(name for name in schema.allowed(label))
    for name, kind, words, config in (
        ("entities", label, _WORDS[0], {"spans_key": None, "annotate_ents": True}),
        ("modifiers", modifier, _WORDS[1], {"spans_key": MODIFIERS}),
    ):
        ruler = nlp.add_pipe("span_ruler", name=name, config=config)
        ruler.add_patterns([{"label": kind, "pattern": [{"LOWER": word}]} for word in words])  # type: ignore[attr-defined]
    nlp.add_pipe("kiwi_facts")
    return nlp


def write_notes(folder: Path, number: int, size: int) -> Path:
    """Write notes of a number of characters to a folder."""
    folder.mkdir(parents=True)
    text = clinical_text(number * size)
    for i in range(number):
        (folder / f"n{i:03d}.txt").write_text(text[i * size : (i + 1) * size], encoding="utf-8")
    return folder


def start(notes: Path, pipeline: str, output: Path, format: Format) -> int:
    """Start `kiwi extract` in a fork of this process, which has imported all: kills fall into the run. Return its id."""
    child = os.fork()
    if child:
        return child
    code = 9
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        words = ["extract", notes, "--pipeline", pipeline, "--output", output, "--format", format, "--batch-size", 8]
        app([str(word) for word in words], standalone_mode=False)
        code = 0
    finally:
        os._exit(code)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kill_runs(notes: Path, pipeline: str, format: Format, folder: Path, *, kills: int, seed: int) -> tuple[int, int, int]:
    """Kill runs at random moments, up to three times each, let them end, and compare them with a run that was let alone.

    A quarter of the moments are in the last tenth, where files are put in order.
    RETURNS (tuple[int, int, int]): Kills, runs, runs that ended with the same files, byte for byte.
    """
    rng = random.Random(seed)
    begun = time.perf_counter()
    _end(start(notes, pipeline, folder / "whole", format))
    seconds = time.perf_counter() - begun
    wanted = files(folder / "whole")
    killed = runs = equal = 0
    while killed < kills:
        output = folder / f"run-{runs}"
        runs += 1
        for _ in range(min(3, kills - killed)):
            run = start(notes, pipeline, output, format)
            part = rng.uniform(0.9, 1.05) if rng.random() < 0.25 else rng.uniform(0, 0.9)
            time.sleep(part * seconds)
            os.kill(run, signal.SIGKILL)  # not yet waited for, so the id is still its own
            killed += _end(run) == -signal.SIGKILL
        _end(start(notes, pipeline, output, format))
        equal += files(output) == wanted
    return killed, runs, equal


def _end(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
