"""`kiwi.Scripted.v1`: answers from a list of phrases in place of a model, so that tests of whole pipelines need no weights."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spacy_llm.registry import registry

from ...errors import KiwiError
from .exchange import Found, Prompt, Reply, mark


class Scripted:
    """Marks each label's phrases where they stand as whole words, and links each modifier to the nearest entity it may have."""

    def __init__(self, phrases: Mapping[str, Iterable[str]], score: float) -> None:
        self.score = score
        self._labels = {phrase.lower(): label for label, own in phrases.items() for phrase in own if phrase}
        longest = sorted(self._labels, key=len, reverse=True)  # of two that begin alike, the longer
        self._words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE) if longest else None

    def __call__(self, prompts: Iterable[Iterable[Prompt]]) -> list[list[Reply]]:
        """Return the reply to each prompt of each note."""
        return [[self.answer(prompt) for prompt in note] for note in prompts]

    def describe(self) -> str:
        """Return what stands for the weights in `doc._.provenance`."""
        return "scripted"

    def answer(self, prompt: Prompt) -> Reply:
        """Return the reply to one prompt.

        RAISES (KiwiError): A label of the phrases is not in the schema.
        """
        entities, modifiers = prompt.schema.entities, prompt.schema.modifiers
        unknown = sorted({*self._labels.values()} - {*entities, *modifiers})
        if unknown:
            raise KiwiError(f"kiwi.Scripted.v1 has phrases for labels that the schema lacks: {', '.join(unknown)}.")
        spans = [] if prompt.only_links else self._find(prompt.text)
        spans = [span for span in spans if span[2] in entities or not prompt.only_entities]
        if prompt.given is not None:
            spans = [*prompt.given, *(span for span in spans if span[2] in modifiers)]
        spans.sort()
        links = []
        for m, (start, end, label) in enumerate(spans):
            heads = [h for h, span in enumerate(spans) if prompt.schema.allows(span[2], label)]
            if heads and prompt.links:
                gaps = {h: max(start - spans[h][1], spans[h][0] - end) for h in heads}
                links.append((min(heads, key=gaps.__getitem__), m, self.score))
        found = Found(tuple((*span, self.score) for span in spans), tuple(links))
        nested = any(after[0] < before[1] for before, after in zip(spans, spans[1:]))  # no markup says these
        return Reply("" if nested else mark(prompt.text, spans), found)

    def _find(self, text: str) -> list[tuple[int, int, str]]:
        if self._words is None:
            return []
        # By its own lower case, as IGNORECASE also takes letters for alike that differ there.
        found = [(hit.start(), hit.end(), self._labels.get(hit.group().lower())) for hit in self._words.finditer(text)]
        return [(start, end, label) for start, end, label in found if label is not None]


@registry.llm_models("kiwi.Scripted.v1")
def create_scripted(
    phrases: dict[str, list[str]], score: float = 1.0
) -> Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]]:
    """Build a model that knows phrases, for tests: no weights, no network, the same answer each time.

    phrases (dict): Label > the phrases that it marks; upper and lower case are alike.
    score (float): Of every span and link.
    """
    return Scripted(phrases, score)
