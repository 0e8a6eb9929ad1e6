"""Draw unlabelled texts as notes, for systems to annotate and a vote to join."""

import random
import re
from pathlib import Path

from ..errors import KiwiError
from ..formats.inputs import read_texts

_PART = 0.4  # of the sentence ends that become line ends
_SENTENCE_END = re.compile(r"(?<=[a-z)0-9][.]) (?=[A-Z])")


def draw_notes(texts: Path, output: Path, *, number: int = 420, least: int = 900, most: int = 3200) -> tuple[int, int]:
    """Write `output`/ID.txt for `number` texts of `least` to `most` characters; the same ones each time.

    Case reports are one long line. After four sentences in ten the space becomes a line break, so that windows, which end at line
    ends, can be short; offsets stay.

    texts (Path): What `kiwi extract` reads, such as .jsonl with `id` and `text`.
    RETURNS: How many were written, of how many that are long enough and not too long.
    RAISES (KiwiError): Two of the texts would be written to one file.
    """
    rows = [(name, text) for name, text in read_texts(texts) if least <= len(text) <= most]
    random.Random(11).shuffle(rows)
    breaks = random.Random(5)
    output.mkdir(parents=True, exist_ok=True)
    written: dict[str, str] = {}
    for name, whole in rows[:number]:
        text = _SENTENCE_END.sub(lambda _: "\n" if breaks.random() < _PART else " ", whole)
        file = f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.txt"
        if file in written:
            raise KiwiError(f"'{written[file]}' and '{name}' would both be written to {file}. Give one another id.")
        written[file] = name
        (output / file).write_bytes(text.encode("utf-8"))
    return len(written), len(rows)
