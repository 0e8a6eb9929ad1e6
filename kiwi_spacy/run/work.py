"""From notes that are read to their results as bytes: the part of a run that any process can do."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from spacy.language import Language
from spacy.tokens import Doc

from ..contract import Failure, count_problem, get_failures, get_problems, set_columns, set_note_date
from ..errors import KiwiError
from ..formats.outputs import Output
from ..formats.records import Plain
from ..tokenizer import SURROGATE
from .annotate import annotate, reason
from .manifest import Entry, Outcome
from .memory import give_back

FACT_PIPES = ("kiwi_sections", "kiwi_facts")
_NONE: dict[str, int] = {}  # one for all notes without problems: a run keeps an entry of each
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Ready:
    """A note that is read: name, text, the hash of what its result depends on; of a table its date and other columns too."""

    name: str
    text: str
    sha256: str
    date: str | None = None
    columns: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What became of a note: its entry, without a place yet, and its result as bytes, None where it failed."""

    entry: Entry
    data: bytes | None


def work(nlp: Language, output: Output, batches: Iterable[Sequence[Ready]]) -> Iterator[Made]:
    """Yield what becomes of each note of batches, in order and as soon as it is there.

    `Ready`, `Made` and the Output can be pickled, so that batches may go to other processes and come back.

    nlp (Language): The pipeline. Its `max_length` is raised where a note is longer, until the end.
    RAISES (BackboneError): Weights of the pipeline are missing.
    """
    max_length = nlp.max_length
    try:
        for batch in batches:
            nlp.max_length = max(nlp.max_length, *(len(note.text) for note in batch))
            # Every new word stays in the vocabulary for good otherwise. The zone is closed before
            # the next batch and no Doc outlives it; what is written is plain bytes.
            with nlp.memory_zone():
                given = [_given(nlp, note) for note in batch]
                for note, result in zip(batch, annotate(nlp, given, len(given)), strict=True):
                    yield _made(note, result, output)
            give_back()
    finally:
        nlp.max_length = max_length


@contextmanager
def with_pipes(nlp: Language, factories: Sequence[str]) -> Iterator[None]:
    """Add components of these factories that a pipeline lacks, for the time of a run."""
    there = {nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    added = [factory for factory in factories if factory not in there]
    try:
        for factory in added:
            nlp.add_pipe(factory)
        yield
    finally:
        for factory in added:
            nlp.remove_pipe(factory)


def missing(failures: Sequence[Failure]) -> str:
    """Say which parts of a note have no answer."""
    shown = ", ".join(f"{f.start_char}-{f.end_char} {f.reason}" for f in failures[:3])
    return f"no answer for {shown}" + (f" and {len(failures) - 3} more" if len(failures) > 3 else "")


def has_no_answer(failures: Sequence[Failure], text: str) -> bool:
    """Whether no word of a note has an answer.

    >>> has_no_answer([Failure(0, 5, "out of memory")], "fever "), has_no_answer([Failure(0, 5, "out of memory")], "fever, cough")
    (True, False)
    """
    end = 0
    for start, stop in sorted((f.start_char, f.end_char) for f in failures):
        if text[end:start].strip():
            return False
        end = max(end, stop)
    return not text[end:].strip()


def _given(nlp: Language, note: Ready) -> str | partial[Doc]:
    text = _LONE.sub("\ufffd", note.text)
    return partial(_doc, nlp, text, note) if note.date is not None or note.columns else text


def _doc(nlp: Language, text: str, note: Ready) -> Doc:
    doc = nlp.make_doc(text)
    set_columns(doc, note.columns)
    try:
        set_note_date(doc, note.date)
    except KiwiError:
        count_problem(doc, "date of the note that cannot be read")
    return doc


def _made(note: Ready, result: Doc | str, output: Output) -> Made:
    if isinstance(result, str):
        return _failed(note, result)
    if lone := len(_LONE.findall(note.text)):
        count_problem(result, SURROGATE, lone)
    if not note.text.strip():
        count_problem(result, "note without text")
    failures = get_failures(result)
    if failures and has_no_answer(failures, note.text):
        return _failed(note, missing(failures))
    outcome: Outcome = "incomplete" if failures else "done"
    problems = dict(sorted(get_problems(result).items())) or _NONE
    places = tuple((f.start_char, f.end_char, f.reason) for f in failures)
    try:
        return Made(Entry(note.name, outcome, note.sha256, problems, places), output.render(note.name, result))
    except Exception as error:
        return _failed(note, reason(error, "writing the result"))


def _failed(note: Ready, why: str) -> Made:
    return Made(Entry(note.name, "failed", note.sha256, reason=why), None)
