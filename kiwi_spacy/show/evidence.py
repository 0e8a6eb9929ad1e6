"""Why a fact has its status, in words: what decided, by which rule or model, and what was overruled."""

from ..contract.facts import Fact
from ..contract.status import Evidence
from ..contract.views import flat


def evidence_words(fact: Fact, text: str, pipeline: str = "") -> list[str]:
    """Return a line for each reason of a fact's status, and for each that was overruled; one that says so where there is none.

    text (str): The note, whose words are quoted.
    pipeline (str): The name of what linked the modifiers, if known.

    >>> from kiwi_spacy.contract.status import Status
    >>> said = Evidence("certainty", "absent", "cue", 5, 14, "denied")
    >>> evidence_words(Fact("problem", "gout", 0, 4, None, Status(certainty="absent", evidence=(said,))), "gout ruled out")
    ['absent: “ruled out”, cue of rule denied']
    """
    told = fact.status.relative
    lines = [
        f"{each.value}{f' ({told})' if told and each.axis == 'experiencer' else ''}: {_reason(each, text, pipeline)}"
        for each in fact.status.evidence
    ]
    lines += [f"overruled, {each.value}: {_reason(each, text, pipeline)}" for each in fact.status.conflicts]
    return lines if fact.status.evidence else [f"{fact.status.summary}: nothing says otherwise", *lines]


def _reason(evidence: Evidence, text: str, pipeline: str) -> str:
    words = f"“{flat(text[evidence.start_char:evidence.end_char])}”"
    if evidence.source == "section":
        return f"section {words} ({evidence.rule})"
    if evidence.source == "cue":
        return f"{words}, cue of rule {evidence.rule}"
    return f"{words}, {f'modifier linked by {pipeline}' if pipeline else 'linked modifier'} ({evidence.rule})"
