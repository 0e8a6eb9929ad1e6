"""Write unlabelled texts as notes, for systems to annotate and `scripts/vote.py` to join.

    python scripts/unlabelled.py TEXTS.jsonl[.gz] OUTPUT [--number 420] [--least 900] [--most 3200]

TEXTS has a JSON object a line, with `id` and `text`. Drawn are texts of `least` to `most` characters. Case reports are one long
line; after four sentences in ten the space becomes a line break, so that windows, which end at line ends, can be short.
"""

import argparse
import gzip
import json
import random
import re
from pathlib import Path

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
    read = gzip.open if args.texts.suffix == ".gz" else open
    with read(args.texts, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if args.least <= len(row["text"]) <= args.most]
    random.Random(11).shuffle(rows)
    breaks = random.Random(5)
    args.output.mkdir(parents=True, exist_ok=True)
    for row in rows[: args.number]:
        end = r"(?<=[a-z)0-9][.]) (?=[A-Z])"
        text = re.sub(end, lambda _: "\n" if breaks.random() < PART else " ", row["text"])
        path = args.output / f"{re.sub(r'[^A-Za-z0-9_-]', '_', row['id'])}.txt"
        path.write_bytes(text.encode("utf-8"))
    print(f"{min(args.number, len(rows))} of {len(rows)} texts in {args.output}")


if __name__ == "__main__":
    main()
