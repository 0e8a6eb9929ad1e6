"""Write notes of chart shorthand with their annotation, in brat's form: `python recipes/lines.py --out DIR --notes N --seed S`.

The lines come from the grammar in `recipes/shorthand/`; the same seed gives the same notes. They are for training, beside notes
that people wrote; nothing of them is kept in the repository.
"""

import argparse
from pathlib import Path

from shorthand.markup import brat
from shorthand.notes import NoteWriter


def main(out: Path, notes: int, seed: int) -> None:
    """Write `NAME.txt` and `NAME.ann` of each note into a folder, which is made where it is not there."""
    out.mkdir(parents=True, exist_ok=True)
    for name, note in NoteWriter(seed).notes(notes):
        (out / f"{name}.txt").write_text(note.text + "\n", encoding="utf-8")
        (out / f"{name}.ann").write_text(brat(note), encoding="utf-8")
    print(f"{out}: {notes} notes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--notes", type=int, default=1000, help="how many notes, 8 to 20 lines each; default: 1000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    arguments = parser.parse_args()
    main(arguments.out, arguments.notes, arguments.seed)
