"""Join what several systems found in the same notes into annotations to train on.

Entities that most systems agree on come first; one that a single system found stays where another marked something that
overlaps it. Ties go to the system named first, whose modifiers and links are kept, led to the entities that were chosen.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import KiwiError
from ..formats.brat import BratNote, read_folder, write_brat
from ..formats.docs import fill_doc, make_doc
from ..schema import Schema
from ..tokenizer import create_tokenizer

Found = tuple[int, int, str]  # start, end, label


def overlap(a: Found, b: Found) -> bool:
    """Whether two entities share a character."""
    return a[0] < b[1] and b[0] < a[1]


def vote(systems: list[set[Found]]) -> list[Found]:
    """Return the entities that stay, those of most votes first, none of which overlap; systems: the entities of each."""
    voters = {span: {i for i, found in enumerate(systems) if span in found} for span in set().union(*systems)}
    kept: list[Found] = []
    for span in sorted(voters, key=lambda s: (-len(voters[s]), min(voters[s]), s)):
        near = set().union(*(who for other, who in voters.items() if overlap(other, span)))
        if len(near) > 1 and not any(overlap(span, other) for other in kept):
            kept.append(span)
    return kept


def join(notes: list[BratNote], nlp: Language, schema: Schema) -> Doc:
    """Return one note with what is to be learned, from what each system found in it."""
    spans = [{s.id: (s.start_char, s.end_char, s.label) for s in note.spans} for note in notes]
    chosen = vote([{s for s in found.values() if s[2] in schema.entities} for found in spans])
    links = []
    for head_id, modifier_id in notes[0].links:
        head = spans[0][head_id]
        heads = [head] if head in chosen else [s for s in chosen if overlap(s, head)]
        links += [(str(heads[0]), modifier_id, 1.0)] if heads else []
    kept = [(str(s), *s) for s in chosen] + [(id_, *s) for id_, s in spans[0].items() if s[2] in schema.modifiers]
    return fill_doc(make_doc(nlp, notes[0].text), kept, links, schema)


def join_folders(texts: Path, output: Path, folders: Sequence[Path], schema: Schema) -> tuple[int, list[str]]:
    """Write the joined annotations, a brat folder with the texts.

    texts (Path): A folder of the notes' .txt. folders (Sequence[Path]): Each system's .ann files, at least two.
    RETURNS: How many notes were written; and a line for each that a system lacks, or that cannot be read.
    RAISES (KiwiError): There are fewer than two systems.
    """
    if len(folders) < 2:
        raise KiwiError("A vote needs the folders of at least two systems.")
    nlp = spacy.blank("en")
    nlp.tokenizer = create_tokenizer()(nlp)
    found: list[dict[str, BratNote]] = []
    left_out: list[str] = []
    for folder in folders:
        found.append({})
        for note in read_folder(folder, texts, schema=schema):
            if isinstance(note, BratNote):
                found[-1][note.name] = note
            else:
                left_out.append(note.reason)
    names = set(found[0]).intersection(*found[1:])
    left_out += [f"{name}: not annotated by all. Left out." for name in sorted(set().union(*found) - names)]
    for name in sorted(names):
        path = output / f"{name}.ann"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_brat(join([notes[name] for notes in found], nlp, schema), path)
        shutil.copyfile(texts / f"{name}.txt", output / f"{name}.txt")
    return len(names), left_out
