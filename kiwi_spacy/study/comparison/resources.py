"""What a pipeline costs: time to load, notes and tokens a second, memory, size on disk, model calls a note.

Each pipeline runs in a process of its own, so that memory is its alone; note texts go there by a pipe, never by a file.
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
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from ...errors import KiwiError
from ...run import memory

_MARK = "kiwi-figures:"
PACKAGES = ("spacy", "spacy-transformers", "spacy-llm", "torch", "transformers", "thinc", "numpy")


@dataclass(frozen=True)
class Cost:
    """What a pipeline took for some notes: the median of several passes, but for the memory, which is the most of any.

    load_seconds, seconds: To load (the libraries are imported already), and to annotate the notes. peak_mb: Highest
    resident size, in 10^6 bytes, the libraries included. disk_mb: The pipeline's own files, and the base weights that it
    needs beside them. calls: Windows that the model read, None where it does not say.
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
    """Return what each pipeline costs on the same texts; they take turns, in another order at each pass.

    RAISES (KiwiError): A pipeline fails; the message names it.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pipelines}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_Process(name, texts, device)) for name in pipelines}
        loads = {name: process.answer() for name, process in processes.items()}  # one after the other
        for i in range(passes):
            turn = i % len(pipelines)
            for name in [*pipelines[turn:], *pipelines[:turn]]:
                runs[name].append(processes[name].answer())
    return {
        name: Cost(
            loads[name]["load_seconds"], statistics.median(run["seconds"] for run in made), len(texts), made[0]["tokens"],
            max(run["peak_mb"] for run in made), loads[name]["disk_mb"], made[0]["calls"],
        )
        for name, made in runs.items()
    }


class _Process:
    """A process that loads a pipeline at the first question and annotates the texts at each further one."""

    def __init__(self, pipeline: str, texts: Sequence[str], device: str) -> None:
        self.pipeline, self.texts, self.device = pipeline, list(texts), device

    def __enter__(self) -> "_Process":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kiwi_spacy.study.comparison.resources", self.pipeline, self.device], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()  # closes its input, at which it ends

    def answer(self) -> dict[str, Any]:
        """Ask, and return its figures."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(self.texts) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which the next line sees
        for line in self.process.stdout:
            if line.startswith(_MARK):  # a library may print, too
                found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
                return found
        raise KiwiError(f"'{self.pipeline}' could not be measured: its process ended with code {self.process.wait()}.")


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Return what the figures were measured on: device, processor, cores, memory, system, versions."""
    versions = {"python": platform.python_version()}
    for name in ("kiwi-spacy", *PACKAGES):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "device": device,
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
    files = {file.resolve() for file in Path(nlp.path).rglob("*") if file.is_file()} if nlp.path else set()
    for _, pipe in nlp.pipeline:
        files.update(file.resolve() for file in getattr(pipe, "base_files", ()))
    return sum(file.stat().st_size for file in files) / 1e6


def _serve(pipeline: str, device: str) -> None:
    """Load at the first line of standard input; annotate the texts of each further line; print figures for each."""
    sys.stdin.readline()
    memory.keep()  # as `kiwi extract` does
    if device != "cpu":
        spacy.require_gpu(0)  # type: ignore[attr-defined]
    began = time.perf_counter()
    nlp = spacy.load(pipeline)
    for _, pipe in nlp.pipeline:
        if device != "cpu" and hasattr(pipe, "to_device"):
            pipe.to_device(device)
    list(nlp.pipe(["."]))  # weights that are read at the first note
    _print({"load_seconds": time.perf_counter() - began, "disk_mb": disk_size(nlp)})
    for line in sys.stdin:
        texts = json.loads(line)
        before, began = _calls(nlp), time.perf_counter()
        tokens = sum(len(doc) for doc in nlp.pipe(texts))
        seconds, after = time.perf_counter() - began, _calls(nlp)
        calls = None if before is None or after is None else after - before
        _print({"seconds": seconds, "tokens": tokens, "peak_mb": _peak() / 1e6, "calls": calls})


def _peak() -> int:
    """Return the highest resident size of this process, in bytes."""
    try:  # not ru_maxrss, which on Linux begins at the size of the process that started this one
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _print(figures: dict[str, Any]) -> None:
    print(_MARK + json.dumps(figures), flush=True)


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
    _serve(sys.argv[1], sys.argv[2])
