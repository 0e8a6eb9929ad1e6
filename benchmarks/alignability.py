"""Print what share of annotated spans begin and end on token borders: alignability.py FOLDER... [--misses] [--stock].

Counts brat T lines as they stand, each part of a discontinuous span by itself. With `--misses` the
offsets of what does not fit are listed, never the words.
"""

import argparse
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from kiwi_spacy.tokenizer import build_tokenizer

GOAL = 0.9995


def spans_of(path: Path) -> list[tuple[int, int]]:
    """Return (start_char, end_char) of every part of every T line."""
    parts = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("T"):
            offsets = line.split("\t")[1].split(" ", 1)[1]
            parts += [(int(part.split()[0]), int(part.split()[1])) for part in offsets.split(";")]
    return parts


def measure(tokenizer: Tokenizer, folder: Path, names: set[str] | None = None) -> tuple[int, list[str]]:
    """Return how many spans there are, and `name start end` of those that do not fit."""
    total, misses = 0, []
    for ann in sorted(folder.glob("*.ann")):
        if names is not None and ann.stem not in names:
            continue
        with ann.with_suffix(".txt").open(encoding="utf-8", newline="") as file:
            text = file.read()
        doc = tokenizer(text)
        if doc.text != text:
            raise SystemExit(f"{ann.stem}: the tokens do not add up to the text.")
        starts, ends = {t.idx for t in doc}, {t.idx + len(t) for t in doc}
        for start, end in spans_of(ann):
            total += 1
            if start not in starts or end not in ends:
                misses.append(f"{ann.stem} {start} {end}")
    return total, misses


def main() -> None:
    """Print a line for each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--notes", type=Path, help="only the notes named in this file, one a line")
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--stock", action="store_true", help="measure spaCy's own English tokenizer instead")
    args = parser.parse_args()
    nlp: Language = spacy.blank("en")
    tokenizer = nlp.tokenizer if args.stock else build_tokenizer(nlp)
    names = set(args.notes.read_text(encoding="utf-8").split()) if args.notes else None
    for folder in args.folders:
        total, misses = measure(tokenizer, folder, names)
        share = 1 - len(misses) / total if total else 0.0
        verdict = "reached" if share >= GOAL else "missed"
        print(f"{folder}: {total - len(misses)} of {total} spans fit, {share:.4%} (goal {GOAL:.2%}: {verdict})")
        if args.misses:
            print("\n".join(misses))


if __name__ == "__main__":
    main()
