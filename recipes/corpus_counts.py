"""Print notes, words, entities, links and modifiers by type of each brat folder, as a Markdown table."""

import argparse
from collections import Counter
from pathlib import Path

from kiwi_spacy.formats.brat import BratNote, read_folder
from kiwi_spacy.schema import load_schema

CORPUS = Path(__file__).parent.parent / "corpus"


def count(folder: Path) -> Counter[str]:
    """Return {"notes", "words", "entities", "links" or a modifier's label: how many stand in the folder}."""
    entities, counts = load_schema().entities, Counter[str]()
    for note in read_folder(folder):
        if not isinstance(note, BratNote):
            raise SystemExit(note.reason)
        counts.update(notes=1, words=len(note.text.split()), links=len(note.links))
        counts.update("entities" if span.label in entities else span.label for span in note.spans)
    return counts


def main() -> None:
    """Count the folders named, by default those of our own corpus; `all` leaves second annotations out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of .txt and .ann; default: those of corpus/")
    folders = parser.parse_args().folders or [CORPUS / name for name in ("train", "dev", "test", "test-second")]
    counts = [count(folder) for folder in folders]
    everything = sum((c for f, c in zip(folders, counts) if not f.name.endswith("second")), Counter[str]())
    print("| | all | " + " | ".join(f"`{folder.name}`" for folder in folders) + " |")
    print("| --- " + "| ---: " * (len(folders) + 1) + "|")
    for row in ["notes", "words", "entities", "links", *load_schema().modifiers]:
        print(f"| {row} | " + " | ".join(f"{c[row]:,}" for c in [everything, *counts]) + " |")


if __name__ == "__main__":
    main()
