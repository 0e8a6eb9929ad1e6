"""What a training run is of: by this a run that is started again knows whether it goes on, begins anew or must not begin."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spacy.training import Example

from ..errors import TrainingError
from ..schema import Schema
from ..scoring import doc_annotations

FILE = "run.json"


@dataclass(frozen=True)
class Identity:
    """Hashes of all that decides what a run learns: config and overrides, `--base` with its weights, schema, notes."""

    settings: str
    base: str
    schema: str
    notes: str

    @property
    def digest(self) -> str:
        """One hash of them all."""
        return digest(json.dumps(asdict(self)))


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def notes_digest(examples: Iterable[Example]) -> str:
    """Return the hash of notes to train on: their texts, their spans and their links, in their order."""
    told = hashlib.sha256()
    for example in examples:
        said = doc_annotations(example.reference)
        told.update(repr((example.reference.text, sorted(said.spans), sorted(said.links))).encode("utf-8", "surrogatepass"))
    return told.hexdigest()


def schema_digest(schema: Schema | None) -> str:
    """Return the hash of a schema's labels with all that they say; where its file is does not count."""
    said = {**asdict(schema), "source": None} if schema else None
    return digest(json.dumps(said, default=sorted))  # a set has no order of its own


def claim(output: Path, run: Identity, checkpoint: Path, progress: Callable[[str], None]) -> None:
    """Make `output` the folder of a run, before its first step.

    A run that the folder holds goes on if it is the same. If its notes or its schema were changed since, what it learned is of
    no use: its checkpoint is deleted, and `progress` gets a line that says so. A run of other settings is left alone.

    RAISES (TrainingError): The folder's run has other settings, or another base.
    """
    file = output / FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    if known is not None:
        other = [part for part, value in asdict(run).items() if known.get(part) != value]
        asked = [words for part, words in (("settings", "other settings"), ("base", "another base")) if part in other]
        if asked:
            raise TrainingError(
                f"'{output}' holds a run with {' and '.join(asked)}. Train into another folder, or delete that one to begin anew."
            )
        if other:
            progress(f"The {' and the '.join(other)} of the run in '{output}' were changed since, so it begins anew.")
            for path in (checkpoint, checkpoint.with_name(checkpoint.name + ".old")):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    fresh = output / f"{FILE}.new"
    fresh.write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, file)
