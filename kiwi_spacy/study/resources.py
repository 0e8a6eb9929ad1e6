"""What a pipeline costs: time to load, notes and tokens a second, memory, size on disk, model calls a note.

Each measurement runs in a process of its own, so that memory is one pipeline's and no cache is warm.
`python -m kiwi_spacy.study.resources PIPELINE DEVICE` reads texts as JSON from standard input and prints its figures as JSON.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from ..errors import KiwiError

PACKAGES = ("spacy", "spacy-transformers", "spacy-llm", "torch", "transformers", "thinc", "numpy")


@dataclass(frozen=True)
class Cost:
    """What a pipeline took for some notes: medians over passes, but for the memory, which is the most of any.

    load_seconds, seconds: To load, and to annotate the notes. peak_mb: Highest resident size, in 10^6 bytes, the
    libraries included. disk_mb: The pipeline's own files, and the base weights that it needs beside them.
    calls: Windows that the model read, None where it does not say.
    """

    load_seconds: float
    seconds: float
    notes: int
    tokens: int
    peak_mb: float
    disk_mb: float
    calls: int | None

    @property
    def notes_per_second(self) -> float:
        """Notes a second, loading left out."""
        return self.notes / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """Tokens of the pipeline's tokenizer a second, loading left out."""
        return self.tokens / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        rates = {"notes_per_second": self.notes_per_second, "tokens_per_second": self.tokens_per_second}
        calls = None if self.calls is None else self.calls / self.notes
        plain = {**asdict(self), **rates, "calls_per_note": calls}
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in plain.items()}


def measure(pipelines: Sequence[str], texts: Sequence[str], *, passes: int = 3, device: str = "cpu") -> dict[str, Cost]:
    """Return what each pipeline costs on the same texts; the order is another at each pass, and passes alternate.

    RAISES (KiwiError): A pipeline fails; the message names it.
    """
    runs: dict[str, list[Cost]] = {name: [] for name in pipelines}
    for i in range(passes):
        turn = i % len(pipelines)
        for name in [*pipelines[turn:], *pipelines[:turn]]:
            runs[name].append(_run(name, texts, device))
    return {
        name: Cost(
            statistics.median(c.load_seconds for c in costs), statistics.median(c.seconds for c in costs), costs[0].notes,
            costs[0].tokens, max(c.peak_mb for c in costs), costs[0].disk_mb, costs[0].calls,
        )
        for name, costs in runs.items()
    }


def _run(pipeline: str, texts: Sequence[str], device: str) -> Cost:
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, pipeline, device], input=json.dumps(list(texts)), capture_output=True, text=True,
        check=False,
    )
    if done.returncode:
        raise KiwiError(f"'{pipeline}' could not be measured: its process ended with code {done.returncode}.")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def describe_machine() -> dict[str, Any]:
    """Return what the figures were measured on: processor, cores, memory, system, versions."""
    versions = {"python": platform.python_version()}
    for name in ("kiwi-spacy", *PACKAGES):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def disk_size(nlp: Language) -> float:
    """Return the bytes of a loaded pipeline's files and of the base weights outside them, in 10^6."""
    folders = [Path(nlp.path)] if nlp.path else []
    files = {file.resolve() for folder in folders for file in folder.rglob("*") if file.is_file()}
    for _, pipe in nlp.pipeline:
        files.update(file.resolve() for file in getattr(pipe, "base_files", ()))
    return sum(file.stat().st_size for file in files) / 1e6


def _measure_here(pipeline: str, device: str, texts: Sequence[str]) -> Cost:
    began = time.perf_counter()
    nlp = spacy.load(pipeline)
    for _, pipe in nlp.pipeline:
        if device != "cpu" and hasattr(pipe, "to_device"):
            pipe.to_device(device)
    list(nlp.pipe(["."]))  # weights that are read at the first note
    loaded = time.perf_counter()
    before = _calls(nlp)
    tokens = sum(len(doc) for doc in nlp.pipe(texts))
    seconds = time.perf_counter() - loaded
    after = _calls(nlp)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    calls = None if before is None or after is None else after - before
    return Cost(loaded - began, seconds, len(texts), tokens, peak, disk_size(nlp), calls)


def _calls(nlp: Language) -> int | None:
    """Return how many windows the pipeline has read since it was loaded."""
    counted = 0
    known = False
    for _, pipe in nlp.pipeline:
        # Of spacy-transformers' component it is the span getter that knows.
        attrs = getattr(getattr(pipe, "model", None), "attrs", {})
        counters: tuple[Any, ...] = (pipe, attrs.get("get_spans"))
        for counter in counters:
            if hasattr(counter, "windows_read"):
                known, counted = True, counted + counter.windows_read
    return counted if known else None


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
