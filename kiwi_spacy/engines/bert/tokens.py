"""What the layers ask of tokens, answered a word at a time and not a token at a time: notes repeat their words."""

import numpy
from spacy.attrs import ORTH
from spacy.tokens import Doc

STOPS = frozenset(".!?")


def orths(doc: Doc) -> list[int]:
    """Return the hash of each token's text."""
    return [int(word) for word in doc.to_array([ORTH]).ravel()]


def marks(doc: Doc) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return two boolean arrays (tokens,): which tokens hold a line end, and which are a full stop, ! or ?."""
    words, places = numpy.unique(doc.to_array([ORTH]).ravel(), return_inverse=True)
    texts = [doc.vocab.strings[int(word)] for word in words]
    line_ends = numpy.array(["\n" in text for text in texts], dtype=bool)
    stops = numpy.array([text in STOPS for text in texts], dtype=bool)
    return line_ends[places], stops[places]
