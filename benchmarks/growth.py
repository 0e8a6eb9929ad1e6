"""How the cost of reading, writing and showing grows with a note: the exponent b of seconds = a * characters ** b."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hostile import clinical_text, mark_words
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.contract import merge_docs, split_doc
from kiwi_spacy.formats.outputs import OUTPUTS
from kiwi_spacy.formats.registry import FORMATS
from kiwi_spacy.schema import load_schema
from kiwi_spacy.show import render_html, summary_table

SIZES = (10_000, 20_000, 40_000, 80_000, 160_000)


def tasks() -> dict[str, Callable[[Doc], Any]]:
    """Return what is done with a Doc, by name: getters, every format of `kiwi convert` and `kiwi extract`, the page."""
    schema = load_schema()
    found: dict[str, Callable[[Doc], Any]] = {
        "ent._.modifiers": lambda doc: [ent._.modifiers for ent in doc.ents],
        "ent._.is_negated": lambda doc: [ent._.is_negated for ent in doc.ents],
        "doc._.relations": lambda doc: doc._.relations,
        "doc._.facts": lambda doc: doc._.facts,
        "page": render_html,
        "page with facts": lambda doc: render_html(doc, facts=doc._.facts),
        "table": summary_table,
        "split_doc, merge_docs": lambda doc: merge_docs(split_doc(doc, range(0, len(doc), 500))),
    }
    for name, format in FORMATS.items():
        if format.encode:
            found[f"convert {name}"] = lambda doc, encode=format.encode: encode(doc, schema)  # type: ignore[misc]
    for name, output in OUTPUTS.items():
        found[f"extract {name}"] = lambda doc, render=output.render: render("note", doc)  # type: ignore[misc]
    return found


def exponents(nlp: Language, sizes: tuple[int, ...] = SIZES) -> Iterator[tuple[str, float]]:
    """Yield the exponents of the tokenizer and of each task, over notes of these numbers of characters."""
    nlp.max_length = max(nlp.max_length, *sizes)
    docs = [nlp.make_doc(clinical_text(size)) for size in sizes]
    for doc in docs:
        mark_words(doc)
    longer = [4 * size for size in sizes]  # 10,000 characters take it milliseconds, in which the processor's caches decide
    nlp.max_length = max(nlp.max_length, *longer)
    texts = [clinical_text(size) for size in longer]
    yield f"tokenizer, {longer[0]:,} to {longer[-1]:,}", exponent(longer, _in_turn(nlp.make_doc, texts))
    for name, task in tasks().items():
        yield name, exponent(sizes, _in_turn(task, docs))


def _in_turn(task: Callable[..., object], given: Sequence[Doc | str], times: int = 3) -> list[float]:
    """Return the least seconds for each of several, taken in turn, so that a busy minute of the machine falls on all of them."""
    rounds = [[best(task, one, 1) for one in given] for _ in range(times)]
    return [min(seconds) for seconds in zip(*rounds)]


def best(task: Callable[..., object], given: Doc | str, times: int = 3) -> float:
    """Return the least seconds of this thread in several tries; garbage, whose collection costs more with all objects, waits."""
    seconds = []
    for _ in range(times):
        gc.collect()
        gc.disable()
        start = time.thread_time()
        task(given)
        seconds.append(time.thread_time() - start)
        gc.enable()
    return min(seconds)


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of a line through the logarithms, by least squares.

    >>> round(exponent((10, 100, 1000), [1.0, 10.0, 100.0]), 6)
    1.0
    """
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)
