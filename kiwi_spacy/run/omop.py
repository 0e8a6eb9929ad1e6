"""Run a pipeline over NOTE of an OMOP database and keep NOTE_NLP in step with it; a run can be stopped and started again."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..components.facts import facts_of
from ..contract import count_problem, get_failures, get_note_date, get_problems, set_note_date
from ..errors import KiwiError, OutputError
from ..formats.docs import make_doc
from ..formats.omop_database import SYSTEM, NoteDone, NoteStore, RefusedError, SourceNote
from ..formats.omop_rows import WIDTH, NoteNlp, make_row
from .annotate import annotate, reason
from .extract import Redo, Summary
from .lock import hold
from .manifest import hash_note, hash_text, pipeline_identity
from .memory import give_back
from .work import has_no_answer, missing

_LONE = re.compile("[\ud800-\udfff]")


def fill_note_nlp(
    database: str, nlp: Language, *, schema: str | None = None, where: str = "", redo: Redo | None = None, batch_size: int = 32,
    thresholds: Mapping[str, float] | None = None, vocabularies: Sequence[Path] = (),
) -> Summary:
    """Write what `nlp` finds in the notes of NOTE into NOTE_NLP; one bad note never stops the others.

    A note is done when it is new, its text or date has changed, or it failed or was incomplete before. Its rows are replaced,
    in one transaction a batch, so a killed run goes on where it stopped, and ends with the rows of one that was not killed. A
    note that fails has no rows. docs/omop.md says more.

    database (str): URL of a database of CDM 5.4, PostgreSQL or SQLite.
    nlp (Language): The pipeline; where it makes no facts, they are derived by the packaged rules.
    schema (str | None): Where the CDM's tables stand; by default where the database looks first.
    where (str): A condition in the database's SQL, on columns of NOTE, for notes to take.
    redo (Literal["changed", "all"] | None): Do again the notes of another pipeline or other settings, and take the rows away
        whose notes are gone; or do all notes again.
    batch_size (int): Notes that the pipeline gets, and the database writes, at a time.
    thresholds (Mapping[str, float] | None): The least scores by label, which `nlp` must apply.
    vocabularies (Sequence[Path]): Files that `kiwi vocabulary build --format athena` wrote, in place of the pipeline's own.
    RETURNS (Summary): Counts, and the reasons why notes failed by their note_id, which never hold note text.
    RAISES (KiwiError): The database cannot be used, or fails.
    RAISES (OutputError): NOTE_NLP holds rows of another pipeline or other settings, and `redo` is not given.
    RAISES (HeldError): Another run writes there.
    """
    if batch_size < 1:
        raise KiwiError(f"batch_size is {batch_size}; it must be 1 or more.")
    identity = pipeline_identity(nlp)
    system = name_system(identity)
    with (
        closing(NoteStore(database, schema)) as store, hold(store.folder) if store.folder else store.hold(),
        _coding(nlp, vocabularies) as hashes,
    ):
        settings = {"thresholds": dict(thresholds or {}), "vocabularies": hashes}
        made_by = hash_text(json.dumps([identity, settings], sort_keys=True))
        total = store.count(where)
        others = 0 if redo else store.count_others(made_by, where)
        if others:
            raise OutputError(
                f"{others} notes have rows of another pipeline or other settings. Nothing was written. Take those of the first "
                "run, or say --redo changed, which does them again, or --redo all."
            )
        removed = store.remove_gone() if redo else 0
        run = _Run(nlp, store, made_by, system, redo)
        run.go(where, total, batch_size)
    return Summary(
        run.counts["done"], run.counts["kept"], run.incomplete, run.failed, removed=removed,
        problems=dict(sorted(run.problems.items())),
    )


def name_system(identity: Mapping[str, str]) -> str:
    """Return `nlp_system`: this package, the pipeline with its version, and the hash of its weights.

    RAISES (KiwiError): The pipeline's name is too long for the column.

    >>> name_system({"kiwi_spacy": "0.7", "pipeline": "en_kiwi_bert", "version": "1.2", "weights": "9f86d081884c7d659a2f"})
    'kiwi_spacy 0.7 en_kiwi_bert 1.2 9f86d081884c7d65'
    """
    said = f"{SYSTEM}{identity['kiwi_spacy']} {identity['pipeline']} {identity['version']} {identity['weights'][:16]}"
    if len(said) > WIDTH:
        raise KiwiError(f"nlp_system would have {len(said)} characters; its column takes {WIDTH}. Name the pipeline shorter.")
    return said


@contextmanager
def _coding(nlp: Language, vocabularies: Sequence[Path]) -> Iterator[list[str]]:
    """Have a pipeline take its codes from these vocabularies for the time of a run; give their hashes."""
    if not vocabularies:
        yield []
        return
    own = [name for name in nlp.pipe_names if nlp.get_pipe_meta(name).factory == "kiwi_codes"]
    name = "kiwi_codes_of_omop"
    with nlp.select_pipes(disable=own):
        pipe: Any = nlp.add_pipe("kiwi_codes", name, config={"vocabularies": [str(path) for path in vocabularies]})
        try:
            yield [each.vocabulary.hash for each in pipe.served]
        finally:
            nlp.remove_pipe(name)


def _is_text(text: Any) -> bool:
    """Whether a column's value is text, or none at all; bytes that are not UTF-8 come as lone surrogates."""
    return text is None or (isinstance(text, str) and not _LONE.search(text))


@dataclass
class _Result:
    """What a note has come to, before it is written."""

    done: NoteDone
    rows: list[NoteNlp] = field(default_factory=list)
    reason: str = ""
    problems: Mapping[str, int] = field(default_factory=dict)


class _Run:
    """The notes' way from NOTE through the pipeline into NOTE_NLP, and what is counted on it."""

    def __init__(self, nlp: Language, store: NoteStore, made_by: str, system: str, redo: Redo | None) -> None:
        self.nlp, self.store, self.made_by, self.system, self.redo = nlp, store, made_by, system, redo
        self.counts: Counter[str] = Counter()
        self.incomplete: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.problems: Counter[str] = Counter()

    def go(self, where: str, total: int, batch_size: int) -> None:
        """Do every note that is not done."""
        with tqdm(total=total, unit="note", file=sys.stderr) as progress:
            ready = self._ready(where, progress)
            while batch := list(islice(ready, batch_size)):
                with self.nlp.memory_zone():  # every new word would stay in the vocabulary for good
                    results = self._annotate(batch)
                self._write(results)
                progress.update(len(batch))
                give_back()

    def _ready(self, where: str, progress: "tqdm[NoReturn]") -> Iterator[tuple[SourceNote, str]]:
        """Yield the notes to do, each with the hash of what is read of it; those that are done are counted."""
        for page in self.store.read_notes(where):
            for note, before in page:
                sha256 = hash_note("" if note.text is None else str(note.text), str(note.day))
                same = before is not None and (before.outcome, before.sha256) == ("done", sha256)
                if before is not None and same and self.redo != "all" and before.made_by == self.made_by:
                    self.counts["kept"] += 1
                    progress.update()
                else:
                    yield note, sha256

    def _annotate(self, batch: Sequence[tuple[SourceNote, str]]) -> list[_Result]:
        """Return what the pipeline makes of some notes, in order."""
        now = datetime.now().replace(microsecond=0)
        given = {i: partial(self._doc, note) for i, (note, _) in enumerate(batch) if _is_text(note.text)}
        found = dict(zip(given, annotate(self.nlp, given.values(), max(1, len(given))), strict=True))
        return [self._result(note, sha256, found.get(i, "its text is not UTF-8"), now) for i, (note, sha256) in enumerate(batch)]

    def _doc(self, note: SourceNote) -> Doc:
        """Return a note as a Doc with its date."""
        doc = make_doc(self.nlp, note.text or "")
        try:
            set_note_date(doc, note.day)
        except KiwiError:
            count_problem(doc, "date of the note that cannot be read")
        if not doc.text.strip():
            count_problem(doc, "note without text")
        return doc

    def _result(self, note: SourceNote, sha256: str, found: Doc | str, now: datetime) -> _Result:
        """Return the rows of a note, or why it failed."""
        done = NoteDone(note.note_id, "done", sha256, self.made_by)
        failed = replace(done, outcome="failed")
        if isinstance(found, str):
            return _Result(failed, reason=found)
        failures = get_failures(found)
        if failures and has_no_answer(failures, found.text):
            return _Result(failed, reason=missing(failures))
        try:
            rows = self._rows(note.note_id, found, now)
        except Exception as error:
            return _Result(failed, reason=reason(error, "making rows"))
        if failures:
            return _Result(replace(done, outcome="incomplete"), rows, missing(failures), get_problems(found))
        return _Result(done, rows, problems=get_problems(found))

    def _rows(self, note_id: int, doc: Doc, now: datetime) -> list[NoteNlp]:
        """Return the rows of a Doc's facts; what they cannot hold is counted on the Doc."""
        facts, day = facts_of(doc), get_note_date(doc)
        sections = self.store.section_concepts(fact.section.loinc for fact in facts if fact.section and fact.section.loinc)
        rows = []
        for fact in facts:
            row, lost = make_row(
                fact, doc.text, note_nlp_id=0, note_id=note_id, note_date=day, nlp_system=self.system, nlp_datetime=now,
                sections=sections,
            )
            if lost.modifiers:
                count_problem(doc, "modifier without room in term_modifiers", lost.modifiers)
            if lost.characters:
                count_problem(doc, f"mention cut to {WIDTH} characters")
            rows.append(row)
        known = self.store.known_concepts({row.note_nlp_concept_id for row in rows})
        strange = sum(row.note_nlp_concept_id not in known for row in rows)
        if strange:
            count_problem(doc, "concept that CONCEPT lacks", strange)
        return [row if row.note_nlp_concept_id in known else replace(row, note_nlp_concept_id=0) for row in rows]

    def _write(self, results: Sequence[_Result]) -> None:
        """Write a batch; where the database refuses a row of it, each note alone, so that only those fail that it refuses."""
        try:
            self.store.write({result.done: result.rows for result in results})
        except RefusedError:
            for result in results:
                try:
                    self.store.write({result.done: result.rows})
                except RefusedError as error:
                    result.done, result.rows, result.reason = replace(result.done, outcome="failed"), [], str(error)
                    self.store.write({result.done: []})
        for result in results:
            self._count(result)

    def _count(self, result: _Result) -> None:
        name = str(result.done.note_id)
        if result.done.outcome == "failed":
            self.failed.append((name, result.reason))
            return
        self.problems.update(result.problems)
        if result.done.outcome == "incomplete":
            self.incomplete.append((name, result.reason))
        else:
            self.counts["done"] += 1
