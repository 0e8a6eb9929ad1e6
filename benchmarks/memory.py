"""Print how far memory grows over a run: resident size after 200 and after 2,000 notes.

    python benchmarks/memory.py NOTES [--pipeline en_kiwi_bert] [--counts 200 2000]

NOTES is a folder of .txt or a .jsonl (.gz) with "text"; it is gone through again where it holds too few.
The notes go through `kiwi extract`'s own function and are written as JSONL into a temporary folder.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import spacy

from kiwi_spacy.formats.inputs import read_texts
from kiwi_spacy.run import memory
from kiwi_spacy.run.extract import extract


def resident() -> float:
    """Return the resident size of this process in MB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--pipeline", default="en_kiwi_bert")
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2000])
    args = parser.parse_args()
    memory.keep()  # as the command does
    nlp = spacy.load(args.pipeline)
    known = [text for _, text in read_texts(args.notes)]
    print(f"loaded: {resident():.0f} MB")
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jsonl"
        done = 0
        for count in args.counts:
            with notes.open("w", encoding="utf-8") as file:
                for number, text in zip(range(done, count), itertools.islice(itertools.cycle(known), done, None)):
                    file.write(json.dumps({"id": number, "text": text}) + "\n")
            extract([str(notes)], nlp, Path(folder) / "out", "jsonl")
            done = count
            sizes.append(resident())
            print(f"after {count} notes: {sizes[-1]:.0f} MB")
    print(f"growth: {sizes[-1] - sizes[0]:.0f} MB")


if __name__ == "__main__":
    main()
