"""What the layers ask of tokens, answered a word at a time and not a token at a time: notes repeat their words."""

import numpy
from spacy.attrs import ORTH
from spacy.strings import StringStore
from spacy.tokens import Doc

MOST = 100_000  # words that are remembered: bounds the memory of a run over millions of notes
LINE_END, STOP, WHITE = 1, 2, 4
_STOPS, _WHITE = frozenset(".!?"), frozenset(" \t\n\r")
_kinds: dict[int, int] = {}  # hash of a word > what it is; the same in every vocabulary


def orths(doc: Doc) -> list[int]:
    """Return the hash of each token's text."""
    words: list[int] = doc.to_array([ORTH]).ravel().tolist()  # type: ignore[assignment]
    return words


def kinds(words: list[int], strings: StringStore) -> numpy.ndarray:
    """Return int8 (words,): for each hash LINE_END if it holds a line end, STOP if it is a full stop, ! or ?, WHITE if it
    is white space throughout, added up."""
    global _kinds
    if len(_kinds) > MOST:
        _kinds = {}  # a new one: another thread may be reading the old
    known = _kinds
    for word in set(words).difference(known):
        text = strings[word]
        known[word] = LINE_END * ("\n" in text) + STOP * (text in _STOPS) + WHITE * _WHITE.issuperset(text)
    return numpy.array([known[word] for word in words], dtype="int8")


def marks(doc: Doc) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return two boolean arrays (tokens,): which tokens hold a line end, and which are a full stop, ! or ?."""
    found = kinds(orths(doc), doc.vocab.strings)
    return found & LINE_END > 0, found & STOP > 0
