"""What `corpus/README.md` promises, checked on the committed notes."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from kiwi_spacy.formats.brat import BratNote, read_folder
from kiwi_spacy.schema import load_schema

CORPUS = Path(__file__).parent.parent / "corpus"
STYLES = ("outpatient", "dictation", "icu", "discharge")
SCHEMA = load_schema()
README = (CORPUS / "README.md").read_text(encoding="utf-8")
# A note that lacks its .txt or .ann is a Failure here, and fails in the first test.
SHORTHAND = ("shorthand/train", "shorthand/test", "shorthand/second")
NOTES = {part: list(read_folder(CORPUS / part)) for part in ("train", "dev", "test", "test-second", *SHORTHAND)}
OURS = [(part, note) for part in ("train", "dev", "test") for note in NOTES[part] if isinstance(note, BratNote)]
NOTES_IN_SHORTHAND = [(part, note) for part in SHORTHAND for note in NOTES[part] if isinstance(note, BratNote)]


def sentences(text: str) -> set[str]:
    """Whole lines, and lines split at sentence ends, colons and semicolons: their words, where they are four or more.

    A piece that ends in a colon is a label, such as a section's heading, and may recur.

    >>> sorted(sentences("HISTORY OF PRESENT ILLNESS: Well until  last March.\\nNo cough; takes iron p.o. daily."))[1:]
    ['no cough takes iron p o daily', 'takes iron p o daily', 'well until last march']
    """
    pieces = text.split("\n") + re.split(r"\n|(?<=[;:])\s+|(?<=[.!?])\s+(?![a-z])", text)
    words = [re.findall(r"\w+", piece.lower()) for piece in pieces if not piece.rstrip().endswith(":")]
    return {" ".join(w) for w in words if len(w) >= 4}


@pytest.mark.parametrize("part, note", [(p, n) for p in NOTES for n in NOTES[p]], ids=lambda x: getattr(x, "name", x))
def test_annotations_fit_note_and_schema(part: str, note: BratNote) -> None:
    assert isinstance(note, BratNote), note
    assert note.problems == []  # unreadable lines, or links that join a pair outside the schema
    assert len(note.text.split()) >= (100 if part in SHORTHAND else 150)
    for line in (CORPUS / part / f"{note.name}.ann").read_text(encoding="utf-8").splitlines():
        if line.startswith("T"):  # letter by letter, where `problems` forgives white space
            id_, place, words = line.split("\t")
            start, end = map(int, place.split()[1:])
            assert (id_, words) == (id_, note.text[start:end])
            assert (id_, words) == (id_, words.strip())
    entities = sorted((s.start_char, s.end_char) for s in note.spans if s.label in SCHEMA.entities)
    assert [(a, b) for a, b in zip(entities, entities[1:]) if b[0] < a[1]] == []


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_six_notes(style: str) -> None:
    assert len([note for _, note in OURS if note.name.startswith(style)]) >= 6


@pytest.mark.parametrize("modifier", SCHEMA.modifiers)
def test_every_modifier_is_frequent_and_counted_in_the_readme(modifier: str) -> None:
    counts = Counter(part for part, note in OURS for span in note.spans if span.label == modifier)
    assert sum(counts.values()) >= 12
    assert counts["test"] >= 3
    row = [f"{n:,}" for n in (sum(counts.values()), counts["train"], counts["dev"], counts["test"])]
    assert f"| {modifier} | {' | '.join(row)} |" in README


@pytest.mark.parametrize("modifier", SCHEMA.modifiers)
def test_modifiers_of_shorthand_are_counted_in_the_readme(modifier: str) -> None:
    counts = Counter(part for part, note in NOTES_IN_SHORTHAND for span in note.spans if span.label == modifier)
    train, test, second = (counts[part] for part in SHORTHAND)
    assert f"| {modifier} | {train + test:,} | {train:,} | {test:,} | {second:,} |" in README


def test_no_two_notes_share_a_sentence() -> None:
    where = defaultdict(list)
    for part, note in OURS + [(part, note) for part, note in NOTES_IN_SHORTHAND if part != "shorthand/second"]:
        for sentence in sentences(note.text):
            where[sentence].append(f"{part}/{note.name}")
    assert {sentence: names for sentence, names in where.items() if len(names) > 1} == {}


def test_six_test_notes_are_annotated_twice() -> None:
    second = sorted((CORPUS / "test-second").glob("*.txt"))
    assert len(second) >= 6
    for path in second:
        assert path.read_bytes() == (CORPUS / "test" / path.name).read_bytes()


def test_a_third_of_the_shorthand_is_annotated_twice() -> None:
    first = {path.name: path for part in ("train", "test") for path in (CORPUS / "shorthand" / part).glob("*.txt")}
    second = sorted((CORPUS / "shorthand/second").glob("*.txt"))
    assert len(second) >= len(first) / 3
    for path in second:
        assert path.read_bytes() == first[path.name].read_bytes()
