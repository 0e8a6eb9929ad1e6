"""What hostile text, broken files, killed runs and long notes do: `python benchmarks/robustness.py [--only strings,growth]`.

strings   2,000 hostile strings through a whole pipeline and every writer, and one character many times
files     300 files, 40 of them broken in 20 ways, through `kiwi extract`
kills     50 kills over four formats, compared with runs that were let alone
growth    exponents of time over notes of 10,000 to 160,000 characters
llama     milliseconds outside the model for one sentence

Exit code 1 where a figure is missed.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import spacy
from broken import BROKEN, make_folder
from growth import best, exponents
from hostile import MARKUP, RUNS, clinical_text, hostile_strings, mark_words, page_lines, round_trip, wrong_in
from killed import kill_runs, rule_pipeline, write_notes
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.contract import NOTE
from kiwi_spacy.engines.llama.exchange import Found, Reply
from kiwi_spacy.formats.outputs import OUTPUTS, Format
from kiwi_spacy.formats.registry import FORMATS
from kiwi_spacy.show import render_html, summary_table

PARTS = ("strings", "files", "kills", "growth", "llama")
MEGABYTE = 1_000_000
MEGABYTE_OF = ("-", "\0", "\u0301", ".", "a", "\U0001f600", " ", "\n", "\ud800")  # a character of each kind: a mark takes seconds
MOST_TIMES = 10.0  # a clinical note's time, that a hostile text of its length may take
MOST_EXPONENT = 1.15
MOST_MILLISECONDS = 5.0
_MISSED: list[str] = []


def figure(line: str, reached: bool) -> None:
    """Print a line with whether its figure is reached."""
    print(f"{'ok  ' if reached else 'MISS'} {line}", flush=True)
    if not reached:
        _MISSED.append(line)


def strings(pipeline: str, number: int, run_size: int) -> None:
    """Print what becomes of hostile strings, of one mark many times, and of both in every writer."""
    nlp = spacy.load(pipeline)
    for name in ("kiwi_sections", "kiwi_facts"):
        if name not in nlp.pipe_names:
            nlp.add_pipe(name)
    nlp.max_length = 2 * MEGABYTE
    wrong: Counter[str] = Counter()
    times = _Times(nlp)
    docs: list[Doc] = []
    for i, text in enumerate(hostile_strings(number, seed=0)):
        try:
            doc = times.of(text)
        except Exception as error:
            wrong.update(["exception", type(error).__name__])
            continue
        wrong.update(wrong_in(text, doc))
        doc.user_data[NOTE] = f"h{i:04d}"
        docs.append(doc)
    figure(f"{number} hostile strings through {', '.join(nlp.pipe_names)}: {_faults(wrong)}", not wrong)
    figure(f"the slowest takes {times.worst:.1f} times a clinical note of its length", times.worst <= MOST_TIMES)
    _written(docs[::8], nlp, "spans as found")
    rng = random.Random(0)
    for doc in docs:
        mark_words(doc, every=rng.randint(1, 6))
    _written(docs, nlp, "spans at random")
    _runs(nlp, run_size)


class _Times:
    """The time of texts in times of a clinical note's of the same length."""

    def __init__(self, nlp: Language) -> None:
        self.nlp, self.worst = nlp, 0.0
        self.known: dict[int, float] = {}
        nlp(clinical_text(2_000))

    def of(self, text: str) -> Doc:
        size = -(-len(text) // 50) * 50  # clinical notes of 50, 100, 150 … characters
        if size not in self.known:
            self.known[size] = best(self.nlp, clinical_text(size))
        start = time.perf_counter()
        doc = self.nlp(text)
        ratio = (time.perf_counter() - start) / self.known[size]
        if ratio > max(self.worst, 2.0):  # once more: another process may have had the core
            ratio = best(self.nlp, text) / best(self.nlp, clinical_text(size))
        self.worst = max(self.worst, ratio)
        return doc


def _written(docs: list[Doc], nlp: Language, kind: str) -> None:
    wrong: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, format in FORMATS.items():
            counts = round_trip(docs, nlp, format, Path(folder) / name)
            refused[name] = counts.pop("refused", 0)
            wrong.update({f"{fault} in {name}": times for fault, times in counts.items() if fault != "equal"})
    for doc in docs:
        for name, output in OUTPUTS.items():
            try:
                output.render(doc.user_data[NOTE], doc)
            except Exception as error:
                wrong[f"{type(error).__name__} in {name}"] += 1
        shown = [re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\ufffd", line) for line in re.split(r"\r\n|\r|\n", doc.text)]
        wrong["changed in a page"] += page_lines(render_html(doc)) != shown
        summary_table(doc)
    said = "; ".join(f"{name} refuses {times} with the reason" for name, times in refused.items() if times)
    faults = +wrong
    what = f"{len(docs)} of them written and read again ({kind}), {', '.join((*FORMATS, 'csv', 'page'))}"
    figure(f"{what}: {_faults(faults)}; {said or 'none refused'}", not faults)


def _faults(wrong: Counter[str]) -> str:
    kinds = {kind: 0 for kind in ("changed text", "wrong offset", "exception")} | wrong
    return ", ".join(f"{times} x {kind}" for kind, times in kinds.items())


def _runs(nlp: Language, size: int) -> None:
    """Print what one mark costs, many times, beside a clinical text: by the whole pipeline, and 1 MB by rules and writers."""
    rules = rule_pipeline()
    rules.max_length = 2 * MEGABYTE

    def read_and_write(text: str) -> Doc:
        doc = rules(text)
        for output in OUTPUTS.values():
            output.render("note", doc)
        return doc

    for name, read, length, marks in (
        (f"{size:,} characters of one mark, whole pipeline", nlp, size, (*RUNS, *MARKUP)),
        ("1 MB of one mark, through tokenizer, rules, facts and writers", read_and_write, MEGABYTE, MEGABYTE_OF),
    ):
        plain = best(read, clinical_text(length), 1)
        ratios: dict[str, float] = {}
        wrong: Counter[str] = Counter()
        for mark in marks:
            text = (mark * length)[:length]
            start = time.perf_counter()
            doc = read(text)
            ratios[mark] = (time.perf_counter() - start) / plain
            wrong.update(wrong_in(text, doc))
        slowest = max(ratios, key=lambda mark: ratios[mark])
        figure(
            f"{name}: {_faults(wrong)}; at most {ratios[slowest]:.1f} times a clinical text of its length ({plain:.1f} s), "
            f"for {slowest!a}", ratios[slowest] <= MOST_TIMES and not wrong,
        )


def files(good: int, broken: int) -> None:
    """Print how many notes of a folder are right, and how many broken files are named."""
    nlp = rule_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        nlp.to_disk(base / "pipeline")
        notes, bad = make_folder(base / "notes", good, broken)
        words = ["extract", base / "notes", "--pipeline", base / "pipeline", "--output", base / "out", "--format", "jsonl"]
        run = subprocess.run(
            [sys.executable, "-m", "kiwi_spacy.cli", *map(str, words)], capture_output=True, text=True, check=False, timeout=300
        )
        lines = (base / "out" / "extracted.jsonl").read_text(encoding="utf-8").splitlines()
    found = {record["id"]: record for record in map(json.loads, lines)}
    right = sum(name in found and found[name] == _record(nlp, name, text) for name, text in notes.items())
    named = {stem for stem in bad if re.search(rf"{stem}\b.*\S", run.stderr) and stem not in found}
    figure(
        f"{good + broken} files, {broken} broken in {min(broken, len(BROKEN))} ways: {right} right, {len(named)} named, "
        f"{len(found) - right} read that should not be, exit code {run.returncode}",
        (right, len(named), len(found), run.returncode) == (good, broken, good, 1),
    )
    for stem in sorted(set(bad) - named):
        print(f"     not named: {bad[stem]}")


def _record(nlp: Language, name: str, text: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(OUTPUTS["jsonl"].render(name, nlp(text)))
    return record


def kills(number: int) -> None:
    """Print how many of the runs that were killed end with the same files."""
    formats: tuple[Format, ...] = ("brat", "jsonl", "docbin", "csv")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        rule_pipeline().to_disk(base / "pipeline")
        notes = write_notes(base / "notes", 80, 2_000)
        for i, format in enumerate(formats):
            share = number // len(formats) + (i < number % len(formats))
            killed, runs, equal = kill_runs(notes, str(base / "pipeline"), format, base / format, kills=share, seed=i)
            figure(f"{format}: {killed} kills in {runs} runs; {equal} of {runs} endings equal, byte for byte", equal == runs)


def growth() -> None:
    """Print the exponents of time."""
    for name, value in exponents(rule_pipeline()):
        figure(f"{name}: exponent {value:.2f}", value <= MOST_EXPONENT)


def llama(pipeline: str) -> None:
    """Print the milliseconds that one sentence takes outside the model, of the packaged model and of a scripted one."""
    nlp = spacy.load(pipeline)
    sentence = "Denies chest pain, but has had a mild fever since Monday."
    component: Any = nlp.get_pipe("kiwi_llm")
    real = component.model
    nlp(sentence)  # reads the weights
    inside = [0.0]
    real.stream = _timed(real.stream, inside)
    total, outside = _outside(nlp, sentence, inside)
    figure(f"{pipeline}, one sentence: {total:.0f} ms, {outside:.2f} ms of them outside the model", outside < MOST_MILLISECONDS)

    def scripted(notes: list[list[Any]]) -> list[list[Reply]]:
        return [[Reply(p.text, Found(((7, 17, "problem", 0.9),))) for p in note] for note in notes]

    component._model = scripted
    total, _ = _outside(nlp, sentence, inside)
    figure(f"a scripted model, one sentence: {total:.2f} ms", total < MOST_MILLISECONDS)


def _timed(stream: Callable[[Any], Iterator[Any]], inside: list[float]) -> Callable[[Any], Iterator[Any]]:
    """Return a model's `stream` that adds the seconds spent in it to `inside`."""

    def timed(prompts: Any) -> Iterator[Any]:
        answers: Any = stream(prompts)
        try:
            while True:
                start = time.perf_counter()
                answer = next(answers, None)
                inside[0] += time.perf_counter() - start
                if answer is None:
                    return
                yield answer
        finally:
            start = time.perf_counter()
            answers.close()  # frees the model's keys and values, some milliseconds
            inside[0] += time.perf_counter() - start

    return timed


def _outside(nlp: Language, sentence: str, inside: list[float]) -> tuple[float, float]:
    """Return the milliseconds of a sentence, and those outside the model: the medians of nine times."""
    found = []
    for _ in range(9):
        inside[0] = 0.0
        start = time.perf_counter()
        nlp(sentence)
        total = time.perf_counter() - start
        found.append((1000 * total, 1000 * (total - inside[0])))
    return sorted(t for t, _ in found)[4], sorted(o for _, o in found)[4]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, by commas")
    parser.add_argument("--pipeline", default="en_kiwi_bert", help="reads the hostile strings")
    parser.add_argument("--llama", default="en_kiwi_llama", help="reads the sentence")
    parser.add_argument("--strings", type=int, default=2_000, help="hostile strings")
    parser.add_argument("--run-size", type=int, default=5_000, help="characters of one mark, through the whole pipeline")
    parser.add_argument("--kills", type=int, default=50, help="kills over the four formats")
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}; these are: {', '.join(PARTS)}")
    parts: dict[str, Callable[[], None]] = {
        "strings": lambda: strings(given.pipeline, given.strings, given.run_size), "files": lambda: files(260, 40),
        "kills": lambda: kills(given.kills), "growth": growth, "llama": lambda: llama(given.llama),
    }
    for part in PARTS:
        if part in chosen:
            start = time.perf_counter()
            parts[part]()
            print(f"     {part}: {time.perf_counter() - start:.0f} s", flush=True)
    sys.exit(1 if _MISSED else 0)


if __name__ == "__main__":
    main()
