"""Rules of status, read from `cues.yml`: which words say what, and how far that reaches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

from ..errors import RulesError
from .rules import RuleFile, word_list
from .sentences import split_words

DEFAULT_PATH = Path(__file__).parent / "cues.yml"
AXES: dict[str, tuple[str, ...]] = {
    "certainty": ("present", "possible", "absent"),
    "time": ("current", "historical"),
    "experiencer": ("patient", "family", "other"),
    "condition": ("conditional", "hypothetical"),
    "use": ("taking", "stopped", "planned", "refused", "allergy"),
}
VALUES = ("strength", "dose", "form", "route", "frequency", "duration", "time", "result", "reference")
_DIRECTIONS = ("after", "before", "both")
_PLACES = (None, "start", "end", "sign")
_RULE_KEYS = ("id", "axis", "value", "terms", "direction", "scope", "at", "weak", "ends", "yields", "except")
_FILE_KEYS = ("lists", "stops", "stops_of", "rules", "verbs", "sections", "entities", "roles", "values", "summary")
REACH = 60  # words: the longest scope, so that a note without full stops costs no more than its length


@dataclass(frozen=True)
class Rule:
    """What some words say: `value` on `axis`, or None for a pseudo-cue.

    `scope` is "clause", "phrase", "item" or a number of words; all settings are described at the head of `cues.yml`.
    """

    id: str
    axis: str | None
    value: str | None
    direction: str
    scope: str | int
    at: str | None
    weak: bool
    ends: bool  # whether it ends the scopes of cues before it on its axis
    yields: bool  # whether it is silent within the scope of a cue of absence
    spared: frozenset[str]  # labels of entities that it says nothing of


class Terms:
    """Terms in a tree by their words; a word of a list may stand where the list is named."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.tree: dict[str, Any] = {}
        self._lists = {name: [tuple(split_words(item).lower) for item in items] for name, items in lists.items()}
        self._named: dict[str, tuple[str, ...]] = {}  # word > the lists that hold it, as they stand in the tree
        for name, items in self._lists.items():
            for item in items:
                if len(item) == 1:
                    self._named[item[0]] = (*self._named.get(item[0], ()), f"{{{name}}}")

    def add(self, term: str, what: Any, where: str) -> None:
        """Put in a term such as "in {det} mother" for each way to fill its lists.

        RAISES (RulesError): A list is not there.
        """
        pieces = re.split(r"\{(\w+)\}", term)
        missing = [name for name in pieces[1::2] if name not in self._lists]
        if missing:
            raise RulesError(f"{where}: '{{{missing[0]}}}' is none of the lists: {', '.join(self._lists)}.")
        plain = [tuple(split_words(piece).lower) for piece in pieces[0::2]]
        ways = [[*{item if len(item) != 1 else (f"{{{name}}}",) for item in self._lists[name]}] for name in pieces[1::2]]
        for filling in product(*ways):
            node = self.tree
            for word in chain.from_iterable(chain.from_iterable(zip(plain, (*filling, ())))):
                node = node.setdefault(word, {})
            node.setdefault("", []).append(what)

    def step(self, nodes: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
        """Return where a word leads from some places in the tree."""
        ways = (word, *self._named.get(word, ()))
        return [node[way] for node in nodes for way in ways if way in node]


@dataclass(frozen=True)
class Cues:
    """The rules of a file, ready to be matched."""

    terms: Terms
    stops: Terms
    verbs: frozenset[str]
    sections: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, Mapping[str, str]]
    use_labels: frozenset[str]
    readers: Mapping[str, str]  # modifier type > what its words are read as
    summary: tuple[str, ...]
    relatives: frozenset[str]
    strangers: frozenset[str]
    sides: frozenset[str]


def _add(data: dict[str, Any], more: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the packaged rules with a site's added."""
    unknown = [str(key) for key in more if key not in _FILE_KEYS]
    if unknown:
        raise RulesError(f"{source}: unknown key {', '.join(unknown)}; allowed are: {', '.join(_FILE_KEYS)}.")
    result = dict(data)
    result["lists"] = dict(data["lists"])
    for name, words in (more.get("lists") or {}).items():
        result["lists"][name] = [*data["lists"].get(name, []), *words]
    result["stops"] = [*data["stops"], *(more.get("stops") or [])]
    for name in ("sections", "entities", "roles", "values", "stops_of"):
        result[name] = {**data[name], **(more.get(name) or {})}
    result["summary"] = more.get("summary", data["summary"])
    rules = {rule["id"]: dict(rule) for rule in data["rules"]}
    for rule in more.get("rules") or []:
        own = rules.get(rule.get("id"))
        if own is None:
            rules[rule.get("id")] = rule
        else:
            own.update({**rule, "terms": [*own["terms"], *rule.get("terms", [])]})
    result["rules"] = list(rules.values())
    return result


def cues_from_dict(data: Mapping[str, Any], source: str = "cues") -> Cues:
    """Return the cues of a parsed file; `source` stands in error messages.

    RAISES (RulesError): A rule has an unknown setting, axis or value, or a term names a list that is not there.
    """
    lists = {name: _texts(f"{source}: lists: {name}", words) for name, words in (data.get("lists") or {}).items()}
    terms, stops = Terms(lists), Terms(lists)
    for number, spec in enumerate(data.get("rules") or [], 1):
        where = f"{source}: rule {spec.get('id', number) if isinstance(spec, dict) else number}"
        rule = _rule(where, spec)
        for term in word_list(f"{where}: terms", spec.get("terms")):
            terms.add(term, rule, where)
    for axis, words in [("", data.get("stops") or []), *(data.get("stops_of") or {}).items()]:
        for term in word_list(f"{source}: stops", words):
            stops.add(term, axis, f"{source}: stops")
    for where, says in [*(data.get("sections") or {}).items(), *(data.get("roles") or {}).items()]:
        for axis, value in says.items():
            _check(f"{source}: {where}", axis, value)
    strange = [reader for reader in (data.get("values") or {}).values() if reader not in VALUES]
    if strange:
        raise RulesError(f"{source}: values: '{strange[0]}' is none of: {', '.join(VALUES)}.")
    people = {name: frozenset(lists.get(name, ())) for name in ("relative", "stranger", "side")}
    return Cues(
        terms, stops, frozenset(data.get("verbs") or ()), data.get("sections") or {}, data.get("roles") or {},
        frozenset((data.get("entities") or {}).get("use", ())), data.get("values") or {}, tuple(data.get("summary") or ()),
        people["relative"], people["stranger"], people["side"],
    )


CUES = RuleFile(DEFAULT_PATH, _add, cues_from_dict)
load_cues = CUES.load


def _texts(where: str, words: Any) -> list[str]:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise RulesError(f"{where}: must be a list of words; put words such as on, off, yes and no in quotes.")
    return words


def _rule(where: str, spec: Any) -> Rule:
    if not isinstance(spec, dict) or not isinstance(spec.get("id"), str):
        raise RulesError(f"{where}: must be keys and values, with an id.")
    unknown = [str(key) for key in spec if key not in _RULE_KEYS]
    if unknown:
        raise RulesError(f"{where}: unknown key {', '.join(unknown)}; allowed are: {', '.join(_RULE_KEYS)}.")
    axis, value, scope = spec.get("axis"), spec.get("value"), spec.get("scope", "clause")
    if axis is not None:
        _check(where, axis, value)
    for name, allowed in (("direction", _DIRECTIONS), ("at", _PLACES)):
        if spec.get(name, allowed[0]) not in allowed:
            raise RulesError(f"{where}: '{name}' is none of: {', '.join(str(a) for a in allowed if a)}.")
    if scope not in ("clause", "phrase", "item") and not (isinstance(scope, int) and 0 < scope <= REACH):
        raise RulesError(f"{where}: 'scope' must be clause, phrase, item or a number of words up to {REACH}.")
    weak, ends, yields = (bool(spec.get(name, False)) for name in ("weak", "ends", "yields"))
    return Rule(
        spec["id"], axis, value, spec.get("direction", "after"), scope, spec.get("at"), weak, ends, yields,
        frozenset(spec.get("except", ())),
    )


def _check(where: str, axis: Any, value: Any) -> None:
    if axis not in AXES:
        raise RulesError(f"{where}: axis '{axis}' is none of: {', '.join(AXES)}.")
    if value not in AXES[axis]:
        raise RulesError(f"{where}: value '{value}' of {axis} is none of: {', '.join(AXES[axis])}.")
