"""Run a pipeline over files and write what it finds; a run can be stopped and started again."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

from spacy.language import Language
from tqdm import tqdm

from ..contract import Failure
from ..errors import FormatError, KiwiError, OutputError
from ..formats.fhir import FhirOptions, now, options_to_dict
from ..formats.inputs import Note, Plan, plan_notes
from ..formats.outputs import Format, Output, check_name
from ..formats.records import Columns
from ..formats.sources import is_url
from ..formats.tables import TABLES
from .annotate import reason
from .folder import open_folder
from .manifest import Entry, Head, Settings, differences, hash_note, output_for, pipeline_identity
from .results import Results
from .single import folder_of, refuse_foreign_file, write_single
from .work import FACT_PIPES, Made, Ready, missing, with_pipes, work

Redo = Literal["changed", "all"]
# Batches of notes > what becomes of each, in order: `work` does them in this process, others may do them in several.
Work = Callable[[Language, Output, Iterable[Sequence[Ready]]], Iterator[Made]]

WITH_FACTS: tuple[Format, ...] = ("jsonl", "docbin", "csv", "parquet", "database", "fhir", "html")
_FORMATS = tuple(format for format in WITH_FACTS if format != "database")
_WRITABLE = f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"


@dataclass(frozen=True)
class Summary:
    """What a run did.

    done: Notes that are whole now; `kept` were so before.
    incomplete: (note, what is missing) of notes written without some of their parts; the next run does them again.
    failed: (note, reason) of notes that have no result.
    left_out: (file, reason) of files that hold no notes.
    removed: Results taken away because their notes are gone.
    problems: Sums `doc._.problems` of the notes done in this run.
    unwritten: What the pipeline finds and the format does not hold, in words; empty if nothing.
    """

    done: int = 0
    kept: int = 0
    incomplete: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    removed: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    unwritten: str = ""


def extract(
    inputs: list[str], nlp: Language, output: Path | str, format: Format = "brat", *, batch_size: int = 32,
    redo: Redo | None = None, encoding: str | None = None, thresholds: Mapping[str, float] | None = None,
    facts: bool = False, table: str = "facts", into: str | None = None, columns: Columns | None = None,
    fhir: FhirOptions | None = None, stdin: BinaryIO | None = None,
) -> Summary:
    """Write what `nlp` finds in the notes into the folder `output`; one bad note never stops the others.

    The folder's manifest says which notes are done, so a killed run goes on where it stopped, and ends as one that was
    not killed. Notes that failed or are incomplete are done again. Notes are read as the pipeline asks for them and nothing
    of them is kept. docs/extract.md says more.

    inputs (list[str]): Files of text, JSON, JSON Lines or CSV, also packed with gzip, or parquet; folders, whose tree is kept
        below `output`; "-" for standard input, JSON Lines or one plain note named "stdin".
    nlp (Language): The pipeline. Its `max_length` is raised where a note is longer, for this run.
    output (Path | str): "brat" writes NAME.ann per note, not the text, "fhir" NAME.json, "html" notes/NAME.html and a
        list; "jsonl" and "csv" write one file, extracted.jsonl or .csv; "docbin" and "parquet" write extracted-00001.spacy,
        or .parquet, and so on.
        "parquet" writes one file where `output` ends in .parquet; the run's folder is then NAME.parquet.kiwi beside it.
        "database" takes a URL of SQLAlchemy.
    batch_size (int): Notes that the pipeline gets at a time.
    redo (Literal["changed", "all"] | None): Do again what another pipeline, other settings or another text have made, and
        take results away whose notes are gone; or do all notes again.
    encoding (str | None): What files that are not UTF-8 are in.
    thresholds (Mapping[str, float] | None): The least scores by label, which `nlp` must apply; kept in the manifest.
    facts (bool): Write sections and facts too, in "jsonl", "docbin" and "csv", also where `nlp` has no components that find them.
    table (str): What "parquet" and "database" write, of `formats.tables`; tables of facts need no `facts`.
    into (str | None): The table that "database" writes to, by default kiwi_ and the name of `table`.
    columns (Columns | None): Which columns of tables hold what; see `plan_notes`.
    fhir (FhirOptions | None): Patient, systems and instant of FHIR's bundles; without an instant, when this run begins.
    stdin (BinaryIO | None): What "-" reads; the process's standard input by default.
    RETURNS (Summary): Counts, and the reasons why notes failed, which never hold note text.
    RAISES (KiwiError): An input is missing or empty, or two inputs hold notes of one name.
    RAISES (OutputError): The folder holds other results, and `redo` is not given; or files of others.
    RAISES (HeldError): Another run writes to the folder.
    RAISES (BackboneError): Weights of the pipeline are missing.
    """
    if batch_size < 1:
        raise KiwiError(f"batch_size is {batch_size}; it must be 1 or more.")
    output_for(Settings(format, table=table))  # refuses what there is not
    if facts and format not in WITH_FACTS:
        raise KiwiError(f"{format} cannot hold facts. Write them as {_WRITABLE}.")
    if fhir and options_to_dict(fhir) and format != "fhir":
        raise KiwiError(f"There are options of FHIR, and the format is {format}. Leave them out, or write fhir.")
    fhir = fhir or FhirOptions()
    if fhir.patient_column:
        columns = columns or Columns()
        columns = replace(columns, carry=tuple(dict.fromkeys([*(columns.carry or ()), fhir.patient_column])))
    if (format == "database") != is_url(str(output)):
        raise KiwiError(f"The format {format} does not go there. A database takes no --format, and a folder is no database.")
    tabular = format in ("parquet", "database")
    facts = facts or format == "html" or (tabular and TABLES[table].of_facts)
    plan = plan_notes(inputs, stdin if stdin is not None else sys.stdin.buffer, encoding, columns=columns)
    settings = Settings(
        format, dict(thresholds or {}), facts, dict(plan.carried), table if tabular else "", options_to_dict(fhir)
    )
    head = Head(pipeline_identity(nlp), settings, "all" if redo == "all" else "")
    recorded = replace(fhir, recorded=fhir.recorded or now())
    made_as = output_for(settings, recorded)
    where = _results(output, into or f"kiwi_{table}", settings, made_as, nlp)
    with where as results, with_pipes(nlp, FACT_PIPES if facts else ()):
        removed = _begin(results, head, plan, redo)
        run = _Run(nlp, results, plan, redo)
        run.go(work, batch_size)
        return Summary(
            run.counts["done"], run.counts["kept"], run.incomplete, run.failed, list(plan.left_out), removed,
            dict(sorted(run.problems.items())), _unwritten(nlp, format, facts),
        )


@contextmanager
def _results(output: Path | str, into: str, settings: Settings, made_as: Output, nlp: Language) -> Iterator[Results]:
    """Give where results go: a folder, a table of a database, or a folder of which one file is made at the end."""
    if settings.format == "database":
        from .database import open_database  # SQLAlchemy is an extra

        with open_database(str(output), into, settings, made_as) as rows:
            yield rows
        return
    path = Path(output)
    single = path if settings.format == "parquet" and path.suffix == ".parquet" and not path.is_dir() else None
    if single is not None:
        refuse_foreign_file(single)
    with open_folder(path if single is None else folder_of(single), made_as, nlp.vocab) as folder:
        yield folder
        if single is not None:
            write_single(single, folder)


def _unwritten(nlp: Language, format: Format, facts: bool) -> str:
    """Say that the pipeline's own facts are not written, where the format has no place for them or was not asked to have it."""
    written = facts or format in ("jsonl", "docbin", "fhir")
    if written or all(nlp.get_pipe_meta(name).factory != "kiwi_facts" for name in nlp.pipe_names):
        return ""
    if format in WITH_FACTS:
        ask = "--table facts" if format in ("parquet", "database") else "--facts"
        return f"The pipeline finds facts, and they are not written. To have their columns in {format}, say {ask}."
    return f"The pipeline finds facts, and {format} does not hold them. To keep them, write {_WRITABLE}."


def _begin(folder: Results, head: Head, plan: Plan, redo: Redo | None) -> int:
    """Take away what is not to be kept; return how many results are gone because their notes are.

    RAISES (OutputError): Something would have to be taken away that `redo` does not name.
    """
    if folder.head is None:
        folder.begin(head, ())
        return 0
    differ = differences(folder.head, head)
    done = {name: entry for name, entry in folder.live.items() if entry.outcome == "done"}
    changed = [note.name for note in plan.files() if note.name in done and _hash(note) != done[note.name].sha256]
    gone = [
        name for name, entry in folder.live.items()
        if entry.file and plan.total is not None and name not in plan.names  # standard input cannot be read ahead
    ]
    if redo is None and (differ or changed or gone):
        raise OutputError(_refusal(folder, differ, changed, gone))
    goes_on = not differ and (redo != "all" or folder.head.redo == "all")
    if not goes_on:
        folder.begin(head, set(folder.live))
    else:
        folder.begin(Head(head.pipeline, head.settings, folder.head.redo), {*changed, *gone})
    return len(gone)


def _hash(note: Note) -> str:
    try:
        return hash_note(note.read(), note.date, note.columns)
    except (FormatError, OSError):
        return ""


def _refusal(folder: Results, differ: list[str], changed: list[str], gone: list[str]) -> str:
    found = [
        *differ,
        *([f"{len(changed)} notes have another text: {_some(changed)}"] if changed else []),
        *([f"{len(gone)} notes are no longer among the inputs: {_some(gone)}"] if gone else []),
    ]
    again = sum(entry.file != "" for entry in folder.live.values()) if differ else len(changed)
    away = f" and takes away the results of {len(gone)}" if gone and not differ else ""
    return (
        f"'{folder.path}' holds the results of another run. {'; '.join(found)}. Nothing was written. Take what the first run "
        f"took, write to another folder, or say --redo changed, which does {again} notes again{away}, or --redo all."
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class _Run:
    """The notes' way from the plan through the pipeline into the folder, and what is counted on it."""

    def __init__(self, nlp: Language, folder: Results, plan: Plan, redo: Redo | None) -> None:
        self.nlp, self.folder, self.plan, self.redo = nlp, folder, plan, redo
        self.counts: Counter[str] = Counter()
        self.incomplete: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.problems: Counter[str] = Counter()
        self.order: list[str] = []
        self.before = dict(folder.live)

    def go(self, work: Work, batch_size: int) -> None:
        """Do every note that is not done, then bring the folder into order."""
        with tqdm(total=self.plan.total, unit="note", file=sys.stderr) as progress:
            ready = self._ready(progress)
            batches = iter(lambda: list(islice(ready, batch_size)), [])
            for number, made in enumerate(work(self.nlp, self.folder.output, batches), start=1):
                self._take(made)
                progress.update()
                if number % batch_size == 0:
                    self.folder.sync()
        unseen = set(self.before) - set(self.order) if self.plan.total is None else ()
        with self.nlp.memory_zone():
            self.folder.finish([*(name for name in self.before if name in unseen), *self.order], self.plan.left_out)

    def _ready(self, progress: "tqdm[NoReturn]") -> Iterator[Ready]:
        """Yield the notes to do, read; those that are done, or cannot be read, are counted."""
        for note in chain(self.plan.files(), self.plan.stream()):
            self.order.append(note.name)
            before = self.before.get(note.name)
            done = before is not None and before.outcome == "done"
            if done and note.name in self.plan.names:  # its text was compared at the start
                self.counts["kept"] += 1
                progress.update()
                continue
            try:
                text = note.read()
                if self.folder.output.layout == "file a note":
                    check_name(note.name)
            except (FormatError, OSError) as error:
                self._fail(note.name, "", reason(error))
                progress.update()
                continue
            sha256 = hash_note(text, note.date, note.columns)
            if before is not None and done and before.sha256 == sha256:
                self.counts["kept"] += 1
                progress.update()
            elif done and self.redo is None:
                self.failed.append((note.name, "its text is another than that of its result, which is kept; see --redo"))
                progress.update()
            else:
                yield Ready(note.name, text, sha256, note.date, note.columns)

    def _take(self, made: Made) -> None:
        entry = made.entry
        if made.data is None:
            self._fail(entry.note, entry.sha256, entry.reason)
            return
        try:
            self.folder.write(entry, made.data)
        except OSError:
            raise  # no note is at fault: the disk is full, say
        except FormatError as error:
            self._fail(entry.note, entry.sha256, str(error))
            return
        self.problems.update(entry.problems)
        if entry.failures:
            self.incomplete.append((entry.note, missing([Failure(*each) for each in entry.failures])))
        else:
            self.counts["done"] += 1

    def _fail(self, name: str, sha256: str, why: str) -> None:
        self.folder.fail(Entry(name, "failed", sha256, reason=why))
        self.failed.append((name, why))
