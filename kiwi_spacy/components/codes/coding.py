"""The code of a fact: its words, with those of its modifiers, looked up in a vocabulary."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ...contract.facts import Attribute, Code, Fact, OtherCode
from .abbreviations import Abbreviations
from .vocabulary import Found, Vocabulary, settings
from .words import normal, rules


def find_code(
    fact: Fact, vocabulary: Vocabulary, abbreviations: Abbreviations, *, threshold: float | None = None,
) -> Code | None:
    """Return the code of a fact in a vocabulary, None where no term is surely meant.

    Same words are tried first, with the modifiers and without, then abbreviations spelt out, then words that are like.

    threshold: Least likeness of like words; by default that of `match.yml`.
    """
    section = [key for key in (fact.section.key, fact.section.parent) if key] if fact.section else []
    readings = abbreviations.spell_out(fact.text, fact.type, section)
    if readings.open:
        return _only(fact, vocabulary, readings.texts)
    bases = [fact.text, *readings.texts]
    for base in bases:
        found = _drug(base, fact, vocabulary)
        if found.best is not None:
            return _code(found, 1.0, spelt=base != fact.text)
    for base in bases:
        for text, placed in _queries(base, fact):
            found = vocabulary.exact(text, fact.type)
            if found.best is not None:
                return _code(found, 1.0 if placed else settings()["place_left_out"], spelt=base != fact.text)
    for base in reversed(bases):
        for text, placed in _queries(base, fact, manner=False):
            found = vocabulary.near(text, fact.type, threshold=threshold)
            if found.best is not None:
                return _code(found, 1.0 if placed else settings()["place_left_out"])
    return None


def _only(fact: Fact, vocabulary: Vocabulary, texts: Sequence[str]) -> Code | None:
    """Return the code of the one reading that the vocabulary knows, where more words than the abbreviation tell."""
    if len(normal(fact.text)) < 2:
        return None
    found = [each for each in (vocabulary.exact(text, fact.type) for text in texts) if each.best is not None]
    return _code(found[0], 1.0, spelt=True) if len(found) == 1 else None


def _queries(base: str, fact: Fact, *, manner: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the words to look up, those that say most first, and whether they hold the place that the note tells.

    Broad words are not looked up without their place: a mass of the breast is no mass.
    """
    joined = settings()["joined"]
    place, how = (_words(base, fact.attributes, joined[name]) for name in ("place", "manner"))
    seen: set[str] = set()
    for text, placed in (
        (f"{base} {place} {how}", True), (f"{base} {place}", True), (f"{base} {how}", not place), (base, not place),
    ):
        text = " ".join(text.split())
        broad = not placed and set(normal(base)) <= rules().broad
        if text not in seen and not broad and (manner or not how or how not in text):
            seen.add(text)
            yield text, placed


def _words(base: str, attributes: Mapping[str, Sequence[Attribute]], labels: Sequence[str]) -> str:
    """Return the words of modifiers that the entity's own do not say."""
    known = set(normal(base))
    found = [each.text for label in labels for each in attributes.get(label, ()) if not set(normal(each.text)) <= known]
    return " ".join(found)


def _drug(base: str, fact: Fact, vocabulary: Vocabulary) -> Found:
    """Look up a drug with its strength, form and route."""
    joined = settings()["joined"]
    amount = _words(base, fact.attributes, joined["amount"])
    if not amount:
        return Found(None)
    values = [
        (each.value or {}, each.text) for label in joined["made"] for each in fact.attributes.get(label, ())
    ]
    forms = [str(value.get("code", "" if "codes" in value else text)).replace("_", " ") for value, text in values]
    routes = [str(code).replace("_", " ") for value, _ in values for code in value.get("codes", ())]
    for more in (" ".join([*forms, *routes]), " ".join(routes), ""):
        found = vocabulary.holding(f"{base} {amount} {more}", fact.type)
        if found.best is not None:
            return found
    return Found(None)


def _code(found: Found, times: float, *, spelt: bool = False) -> Code:
    hit = found.best
    assert hit is not None
    how = "abbreviation" if spelt and found.how == "exact" else found.how
    score = hit.score * times * (settings()["abbreviation"] if spelt else 1.0)
    others = tuple(OtherCode(other.concept.code, other.concept.name, other.score) for other in found.others)
    concept = hit.concept
    return Code(concept.system, concept.code, concept.name, round(score, 4), how, hit.term, concept.omop, others)


def with_codes(fact: Fact, codes: Sequence[Code]) -> Fact:
    """Return a fact with its codes set."""
    return replace(fact, codes=tuple(codes))
