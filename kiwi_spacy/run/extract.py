"""Run a pipeline over files and write what it finds; a run can be stopped and started again."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..errors import FormatError, KiwiError
from ..formats.inputs import plan_notes
from ..formats.outputs import Format, check_name, open_writer
from .annotate import annotate, reason
from .memory import give_back


@dataclass(frozen=True)
class Summary:
    """What a run did. `failed` holds (note's name, reason); `problems` sums `doc._.problems`."""

    done: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)


def extract(
    inputs: list[str], nlp: Language, output: Path, format: Format = "brat", *, batch_size: int = 32,
    overwrite: bool = False, stdin: BinaryIO | None = None,
) -> Summary:
    """Write what `nlp` finds in the notes into the folder `output`; one bad note never stops the others.

    Notes already written are skipped, so a killed run goes on where it stopped. Notes are read as
    the pipeline asks for them and nothing of them is kept.

    inputs (list[str]): Text files; folders of *.txt, whose tree is kept below `output`; .jsonl
        and .jsonl.gz files of {"id", "text"}; "-" for standard input, JSONL or one plain note named "stdin".
    nlp (Language): The pipeline. Its `max_length` is raised where a note is longer, for this run.
    output (Path): "brat" writes NAME.ann per note, not the text; "jsonl" and "csv" write one file,
        extracted.jsonl or .csv; "docbin" writes extracted-00001.spacy and so on.
    batch_size (int): Notes that the pipeline gets at a time.
    overwrite (bool): Do notes again that are already written.
    stdin (BinaryIO | None): What "-" reads; the process's standard input by default.
    RETURNS (Summary): Counts, and the reasons why notes failed, which never hold note text.
    RAISES (KiwiError): An input is missing or empty, or two inputs give notes of one name.
    """
    if batch_size < 1:
        raise KiwiError(f"batch_size is {batch_size}; it must be 1 or more.")
    notes, total = plan_notes(inputs, stdin if stdin is not None else sys.stdin.buffer)
    output.mkdir(parents=True, exist_ok=True)
    writer = open_writer(output, format, overwrite)
    counts = {"done": 0, "skipped": 0}
    failed: list[tuple[str, str]] = []
    problems: Counter[str] = Counter()
    max_length = nlp.max_length
    try:
        with tqdm(total=total, unit="note", file=sys.stderr) as progress:

            def readable() -> Iterator[tuple[str, str]]:
                for note in notes:
                    try:
                        if format == "brat":
                            check_name(note.name)
                        if not overwrite and writer.has(note.name):
                            counts["skipped"] += 1
                        else:
                            text = note.read()
                            nlp.max_length = max(nlp.max_length, len(text))
                            yield text, note.name
                            continue
                    except (FormatError, OSError) as error:
                        failed.append((note.name, reason(error)))
                    progress.update()

            stream = readable()
            while batch := list(islice(stream, batch_size)):
                # Every new word stays in the vocabulary for good otherwise. The zone is closed before
                # the next batch and no Doc outlives it; the writer of DocBins keeps plain strings.
                with nlp.memory_zone():
                    texts = [text for text, _ in batch]
                    for (_, name), result in zip(batch, annotate(nlp, texts, len(batch)), strict=True):
                        if isinstance(result, Doc):
                            try:
                                writer.write(name, result)
                                counts["done"] += 1
                                problems.update(result._.problems)
                            except OSError:
                                raise  # no note is at fault: the disk is full, say, and the file may end within a line
                            except Exception as error:
                                failed.append((name, reason(error, "writing the result")))
                        else:
                            failed.append((name, result))
                        progress.update()
                give_back()
    finally:
        nlp.max_length = max_length
        writer.close()
    return Summary(counts["done"], counts["skipped"], failed, dict(sorted(problems.items())))
