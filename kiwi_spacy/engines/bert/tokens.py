"""What the layers ask of tokens, answered a word at a time and not a token at a time: notes repeat their words."""

import numpy
from spacy.attrs import ORTH
from spacy.tokens import Doc

STOPS = frozenset(".!?")
MOST = 100_000  # words that are remembered: bounds the memory of a run over millions of notes
_marks: dict[int, int] = {}  # hash of a word > 1 for a line end, 2 for a stop; the same in every vocabulary


def orths(doc: Doc) -> list[int]:
    """Return the hash of each token's text."""
    words: list[int] = doc.to_array([ORTH]).ravel().tolist()  # type: ignore[assignment]
    return words


def marks(doc: Doc) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return two boolean arrays (tokens,): which tokens hold a line end, and which are a full stop, ! or ?."""
    words = orths(doc)
    if len(_marks) > MOST:
        _marks.clear()
    for word in set(words).difference(_marks):
        text = doc.vocab.strings[word]
        _marks[word] = ("\n" in text) + 2 * (text in STOPS)
    found = numpy.array([_marks[word] for word in words], dtype="int8")
    return found == 1, found == 2
