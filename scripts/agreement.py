"""Print how far two annotations of the same notes agree: `python scripts/agreement.py FIRST SECOND`."""

import sys
from pathlib import Path

import spacy

from kiwi_spacy.formats.corpus import read_docs
from kiwi_spacy.formats.docs import NOTE
from kiwi_spacy.schema import load_schema
from kiwi_spacy.scoring import Annotations, doc_annotations, format_table, score_notes
from kiwi_spacy.tokenizer import build_tokenizer


def annotations(folder: Path) -> dict[str, Annotations]:
    """Return {note's name: its annotations}."""
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    return {doc.user_data[NOTE]: doc_annotations(doc) for doc in read_docs(folder, nlp, load_schema())}


def main(first: Path, second: Path) -> None:
    """Score the second annotation against the first on the notes that both hold."""
    ours, theirs = annotations(first), annotations(second)
    names = sorted(set(ours) & set(theirs))
    print(f"{len(names)} notes annotated twice: {', '.join(names)}")
    print(format_table(score_notes([(ours[name], theirs[name]) for name in names])))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
