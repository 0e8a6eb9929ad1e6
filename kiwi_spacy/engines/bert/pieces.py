"""Word pieces of notes, found a word at a time and not a note at a time: notes repeat their words.

A WordPiece tokenizer cuts at white space first, so a text's pieces are those of its words, one after the
other. spacy-transformers encodes every text anew and walks over its tokens to align them with the pieces,
which takes long beside a small encoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy
from spacy.attrs import ORTH, SPACY
from spacy.tokens import Span
from spacy_transformers.data_classes import WordpieceBatch
from thinc.types import Ragged

from ..workers import EngineLock
from .tokens import MOST, WHITE, kinds


@dataclass(frozen=True)
class Word:
    """Pieces of a stretch without white space: their ids; each token's pieces, counted; which these are, token after token."""

    ids: tuple[int, ...]
    counts: tuple[int, ...]
    places: tuple[int, ...]


class Pieces:
    """Turns windows into what spacy-transformers makes of them, piece for piece."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        frame = tokenizer.build_inputs_with_special_tokens([-1])
        self.before, self.after = frame[: frame.index(-1)], frame[frame.index(-1) + 1 :]
        self._words: dict[bytes, Word] = {}
        self.lock = EngineLock()  # two threads in one tokenizer: "Already borrowed"

    @staticmethod
    def fit(tokenizer: Any) -> bool:
        """Whether a tokenizer cuts at white space before anything else, as BERT's do."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        return type(getattr(backend, "pre_tokenizer", None)).__name__ == "BertPreTokenizer"

    def encode(self, windows: Sequence[Span]) -> tuple[WordpieceBatch, Ragged]:
        """Return the padded pieces of windows that hold all of some Docs, and which pieces each token has.

        The places of the alignment count through all rows of the batch, padding included.
        """
        if len(self._words) > MOST:
            self._words = {}  # a new one: another thread may be reading the old
        found = [self._of_window(window) for window in windows]
        room = self.tokenizer.model_max_length - len(self.before) - len(self.after)
        rows, places, counts = [], [], []
        longest = min(room, max(sum(len(word.ids) for word in words) for words in found)) + len(self.before) + len(self.after)
        for number, words in enumerate(found):
            ids = [*self.before, *chain.from_iterable(word.ids for word in words), *self.after]
            starts = numpy.cumsum([0, *[len(word.ids) for word in words]])[:-1]
            place = numpy.fromiter(chain.from_iterable(word.places for word in words), dtype="int64")
            place += numpy.repeat(starts, [len(word.places) for word in words]) + len(self.before)
            count = numpy.fromiter(chain.from_iterable(word.counts for word in words), dtype="int64")
            if len(ids) > longest:  # a token of very many pieces: the last are dropped, as spacy-transformers does
                kept = place < longest
                owner = numpy.repeat(numpy.arange(len(count)), count)
                ids, place, count = ids[:longest], place[kept], numpy.bincount(owner[kept], minlength=len(count))
            rows.append(ids)
            places.append(place + number * longest)
            counts.append(count)
        sizes = numpy.array([len(row) for row in rows])
        mask: Any = (numpy.arange(longest) < sizes[:, None]).astype("float32")
        padded: Any = numpy.full(mask.shape, self.tokenizer.pad_token_id, dtype="int64")
        padded[mask > 0] = list(chain.from_iterable(rows))
        types = numpy.zeros_like(padded) if "token_type_ids" in self.tokenizer.model_input_names else None
        strings = [[self.names[i] for i in row] for row in padded.tolist()]
        align: Any = numpy.concatenate(places).astype("i"), numpy.concatenate(counts).astype("i")
        return WordpieceBatch(strings, padded, mask, sizes.tolist(), types), Ragged(*align)

    def _of_window(self, window: Any) -> list[Word]:
        table = window.to_array([ORTH, SPACY])
        orths = numpy.ascontiguousarray(table[:, 0])
        white = kinds(orths.tolist(), window.doc.vocab.strings) & WHITE > 0
        ends = (table[:, 1] == 1) | white
        ends[:-1] |= white[1:]
        ends[-1] = True
        edges = [0, *(numpy.flatnonzero(ends) + 1).tolist()]
        raw = orths.tobytes()
        keys = [raw[8 * start : 8 * end] for start, end in zip(edges, edges[1:])]
        words = self._words
        missing = {key: start for key, start in zip(keys, edges) if key not in words}
        if missing:
            self._learn(window, missing, words)
        return [words[key] for key in keys]

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of the pieces of each text, without what frames a window."""
        with self.lock:
            ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _learn(self, window: Span, missing: dict[bytes, int], words: dict[bytes, Word]) -> None:
        strings = window.doc.vocab.strings
        tokens = [[strings[int(orth)] for orth in numpy.frombuffer(key, dtype="uint64")] for key in missing]
        texts = ["".join(parts) for parts in tokens]
        with self.lock:
            coded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False)
        for key, parts, ids, offsets in zip(missing, tokens, coded["input_ids"], coded["offset_mapping"]):
            owner = [i for i, part in enumerate(parts) for _ in part]
            held: list[list[int]] = [[] for _ in parts]
            for piece, (start, end) in enumerate(offsets):
                for token in sorted(set(owner[start:end])):
                    held[token].append(piece)
            words[key] = Word(tuple(ids), tuple(map(len, held)), tuple(chain.from_iterable(held)))
