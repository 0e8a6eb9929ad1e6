"""Write unlabelled texts as notes, for systems to annotate and `scripts/vote.py` to join.

    python scripts/unlabelled.py TEXTS.jsonl[.gz] OUTPUT [--number 420] [--least 900] [--most 3200]

TEXTS has a JSON object a line, with `id` and `text`. Drawn are texts of `least` to `most` characters. Case reports are one long
line; after four sentences in ten the space becomes a line break, so that windows, which end at line ends, can be short.
"""

import argparse
import random
import re
from pathlib import Path

from kiwi_spacy.formats.inputs import read_texts

PART = 0.4  # of the sentence ends


def main() -> None:
    """Write OUTPUT/ID.txt for each text drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--number", type=int, default=420)
    parser.add_argument("--least", type=int, default=900, help="characters")
    parser.add_argument("--most", type=int, default=3200, help="characters")
    args = parser.parse_args()
    rows = [(name, text) for name, text in read_texts(args.texts) if args.least <= len(text) <= args.most]
    random.Random(11).shuffle(rows)
    breaks = random.Random(5)
    args.output.mkdir(parents=True, exist_ok=True)
    for name, whole in rows[: args.number]:
        end = r"(?<=[a-z)0-9][.]) (?=[A-Z])"
        text = re.sub(end, lambda _: "\n" if breaks.random() < PART else " ", whole)
        path = args.output / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.txt"
        path.write_bytes(text.encode("utf-8"))
    print(f"{min(args.number, len(rows))} of {len(rows)} texts in {args.output}")


if __name__ == "__main__":
    main()
