"""A fact > its resources of FHIR R4. A status of every kind has a place; none is left out."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ...contract.facts import Fact
from .elements import Json, age, code, concept, fhir_date, filling, flat, mapping, period, status_of, when, words
from .medication import medication
from .results import results

Place = tuple[int, int, str]  # start_char, end_char, type of a fact


def resources_of(fact: Fact, patient: Json, reactions: Sequence[Fact] = ()) -> list[tuple[str, Json]]:
    """Return (part of the id, resource without id and extensions) of a fact, one at least.

    patient: The reference to the patient. reactions: The problems by which an allergy shows.
    """
    status = fact.status
    kind = mapping()["entities"].get(fact.type)
    if status.experiencer == "family" and kind == "condition" and (line := status_of("family", fact)).get("history"):
        return [("", _family(fact, patient, line["history"]))]
    if status.experiencer != "patient" or kind is None:
        return [("", _statement(fact, patient))]
    if is_allergy(fact):
        return [("", _allergy(fact, patient, reactions))]
    if kind == "condition":
        return [("", _condition(fact, patient))]
    if kind == "drug":
        return [("", medication(fact, patient))]
    return (results(fact, patient) if kind == "result" else []) or [("", _procedure(fact, patient))]


def is_allergy(fact: Fact) -> bool:
    """Whether a fact becomes an AllergyIntolerance of the patient."""
    kind = mapping()["entities"].get(fact.type)
    return fact.status.use == "allergy" and fact.status.experiencer == "patient" and kind not in (None, "condition")


def find_reactions(text: str, facts: Sequence[Fact]) -> Mapping[Place, list[Fact]]:
    """Return the problems by which each allergy shows, in reading order: those right behind it, or behind another of them.

    >>> from kiwi_spacy.contract.status import Status
    >>> rash = Fact("problem", "rash", 12, 16, None, Status())
    >>> facts = [Fact("drug", "penicillin", 0, 10, None, Status(use="allergy")), rash]
    >>> find_reactions("penicillin (rash)", facts)[0, 10, "drug"] == [rash]
    True
    """
    found: dict[Place, list[Fact]] = {}
    first, more = _between()
    source: Fact | None = None
    end = 0
    for fact in facts:
        status = fact.status
        if is_allergy(fact) and status.certainty != "absent":
            source, end = fact, fact.end_char
            continue
        shows = (
            mapping()["entities"].get(fact.type) == "condition" and status.experiencer == "patient"
            and status.certainty != "absent" and status.condition is None
        )
        mine = found.get(_place(source), []) if source else []
        if source is None or not shows or not (more if mine else first).fullmatch(text[end : fact.start_char]):
            source = None
            continue
        found.setdefault(_place(source), []).append(fact)
        end = fact.end_char
    return found


def _place(fact: Fact) -> Place:
    return fact.start_char, fact.end_char, fact.type


@lru_cache(maxsize=1)
def _between() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What may stand between an allergy and its first reaction, and between two reactions; on one line."""
    signs, verbs, whom, more = (
        "|".join(map(re.escape, sorted(mapping()["reactions"][name], key=len, reverse=True)))
        for name in ("signs", "verbs", "whom", "more")
    )
    blank, article = "[ \\t]*", "(?:(?:an?|the)[ \\t]+)?"
    said = f",?{blank}(?:(?:which|that|it){blank})?(?:{verbs})\\b{blank}(?:(?:{whom})\\b{blank})?"
    return re.compile(f"(?i){blank}(?:{signs}|{said}){blank}{article}"), re.compile(f"(?i){blank}(?:{more}){blank}{article}")


def _condition(fact: Fact, patient: Json) -> Json:
    line = status_of("condition", fact)
    made: Json = {"resourceType": "Condition"}
    if "clinical" in line:
        made["clinicalStatus"] = code("condition-clinical", line["clinical"])
    made["verificationStatus"] = code("condition-ver-status", line["verification"])
    if "category" in line:
        made["category"] = [code("condition-category", line["category"])]
    if found := filling(fact, "severity"):
        made["severity"] = words(found[0])
    made["code"] = concept(fact)
    if sites := filling(fact, "site"):
        made["bodySite"] = [words(site) for site in sites]
    made["subject"] = patient
    if "clinical" in line:
        made |= _onset(fact)
        if line["clinical"] == "inactive":  # con-4
            made |= _abatement(fact)
    notes = [{"text": f"{each.label}: {flat(each.text)}"} for each in filling(fact, "note")]
    return made | ({"note": notes} if notes else {})


def _onset(fact: Fact) -> Json:
    """Return since when: of the first time that can be a beginning. How often, and until when, is none."""
    for time in filling(fact, "time"):
        value = time.value or {}
        start, slash, _ = str(value.get("edtf", "")).partition("/")
        if value.get("kind") == "set" or (slash and start == ".."):
            continue
        if years := age(value):
            return {"onsetAge": years}
        if day := fhir_date(start):
            return {"onsetDateTime": day}
        return {"onsetString": flat(time.text)}
    return {}


def _abatement(fact: Fact) -> Json:
    """Return until when, where one time says it with a certain year."""
    spans = [span for time in filling(fact, "time") if (span := period((time.value or {}).get("edtf"))) and "end" in span]
    return {"abatementDateTime": spans[0]["end"]} if len(spans) == 1 else {}


def _family(fact: Fact, patient: Json, status: str) -> Json:
    relative = flat(fact.status.relative) if fact.status.relative else ""
    role = next((key for key, said in mapping()["relatives"].items() if relative.lower() in said), "FAMMEMB")
    onset = _onset(fact)
    if "onsetDateTime" in onset:  # no element of a relative's condition holds a date alone
        onset = {"onsetPeriod": {"start": onset["onsetDateTime"], "end": onset["onsetDateTime"]}}
    notes = [{"text": f"{each.label}: {flat(each.text)}"} for each in filling(fact, "note")]
    condition = {"code": concept(fact), **onset} | ({"note": notes} if notes else {})
    return {
        "resourceType": "FamilyMemberHistory", "status": status, "patient": patient,
        "relationship": code("v3-RoleCode", role) | ({"text": relative} if relative else {}), "condition": [condition],
    }


def _statement(fact: Fact, patient: Json) -> Json:
    """What holds of somebody else, is in doubt or absent in the family, or is of an entity that map.yml does not know.

    Its code says so, so that nothing in it can be read as the patient's own problem.
    """
    status = fact.status
    about = {"family": "family", "other": "other person", "patient": "patient"}[status.experiencer]
    made: Json = {
        "resourceType": "Observation", "status": status_of("statement", fact)["status"],
        "code": {"text": f"statement about: {about}"}, "subject": patient,
    }
    if status.experiencer != "patient":
        made["focus"] = [{"display": flat(status.relative or about)}]
    said = [status.certainty, *(each for each in (status.condition, status.use) if each)]
    return made | {"component": [{"code": concept(fact), "valueCodeableConcept": {"text": ", ".join(said)}}]}


def _allergy(fact: Fact, patient: Json, reactions: Sequence[Fact]) -> Json:
    line = status_of("allergy", fact)
    made: Json = {
        "resourceType": "AllergyIntolerance", "clinicalStatus": code("allergyintolerance-clinical", line["clinical"]),
        "verificationStatus": code("allergyintolerance-verification", line["verification"]),
    }
    if mapping()["entities"][fact.type] == "drug":
        made["category"] = ["medication"]
    made |= {"code": concept(fact), "patient": patient}
    shown = [{"manifestation": [concept(each)]} | _how_severe(each) for each in reactions]
    return made | ({"reaction": shown} if shown else {})


def _how_severe(reaction: Fact) -> Json:
    known = mapping()["reactions"]["severities"]
    said = [known[word] for each in filling(reaction, "severity") if (word := flat(each.text).lower()) in known]
    return {"severity": said[0]} if said else {}


def _procedure(fact: Fact, patient: Json) -> Json:
    status = status_of("procedure", fact)["status"]
    made: Json = {"resourceType": "Procedure", "status": status, "code": concept(fact), "subject": patient}
    return made | ({} if status in mapping()["undated"]["procedure"] else when(fact, "performed"))
