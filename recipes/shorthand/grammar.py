"""Rules that grow into marked lines: `$name` is another rule, `~(a|b|)` a choice, `$int(60,110)` a number."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_WEIGHT = re.compile(r"(\d+)\* ")
_NAME = re.compile(r"\$(\^?)([a-z_0-9]+)(?:\(([-0-9., ]*)\))?")
_MANY = 6  # a rule with more forms than this gives each at most once a line, so that a list names different things


class GrammarError(ValueError):
    """A rule of the grammar that cannot be read."""


Special = Callable[["Growth"], str]


@dataclass(frozen=True)
class Rule:
    """The forms of one rule and how often each is taken."""

    forms: tuple[str, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True)
class Grammar:
    """Rules by name. `specials` write what needs more than words, such as a drug with a dose of its own."""

    rules: Mapping[str, Rule]
    specials: Mapping[str, Special] = field(default_factory=dict)

    def grow(self, form: str, choice: random.Random) -> str:
        """Return a marked line that the form can become.

        >>> Grammar({"name": make_rule("name", ["fever"])}).grow("no [problem $name]", random.Random(0))
        'no [problem fever]'
        """
        return Growth(self, choice).grow(form)


@dataclass
class Growth:
    """One line while it grows: what was chosen so far, and the drug or test that the next words are about."""

    grammar: Grammar
    choice: random.Random
    used: set[tuple[str, str]] = field(default_factory=set)
    record: dict[str, Any] = field(default_factory=dict)

    def grow(self, form: str) -> str:
        """Return the form with its choices made and its rules grown, left to right."""
        grown, at = "", 0
        while at < len(form):
            if form.startswith("~(", at):
                end, options = _options(form, at + 2)
                grown, at = grown + self.grow(self.choice.choice(options)), end
            elif form[at] == "$" and (found := _NAME.match(form, at)):
                grown, at = grown + found[1] + self._named(found[2], found[3]), found.end()
            else:
                grown, at = grown + form[at], at + 1
        return grown

    def _named(self, name: str, numbers: str | None) -> str:
        if name == "int" and numbers:
            low, high = (int(number) for number in numbers.split(","))
            return str(self.choice.randint(low, high))
        if name == "dec" and numbers:
            low, high, digits = (float(number) for number in numbers.split(","))
            return f"{self.choice.uniform(low, high):.{int(digits)}f}"
        rest = "" if numbers is None else f"({numbers})"
        if name in self.grammar.specials:
            return self.grammar.specials[name](self) + rest
        if name not in self.grammar.rules:
            raise GrammarError(f"${name}: no rule of this name.")
        return self.grow(self.pick(name)) + rest

    def pick(self, name: str) -> str:
        """Return a form of the rule that this line has not had yet, where the rule has many."""
        rule = self.grammar.rules[name]
        for _ in range(20):
            form = self.choice.choices(rule.forms, rule.weights)[0]
            if len(rule.forms) <= _MANY or (name, form) not in self.used:
                break
        self.used.add((name, form))
        return form


def _options(form: str, at: int) -> tuple[int, list[str]]:
    """Return where a choice that begins at `at` ends, and what it holds; choices may hold others, and brackets of the text."""
    options, depth, start = list[str](), 1, at
    while at < len(form):
        if form[at] == "(":
            depth += 1
        elif form[at] == ")":
            depth -= 1
        if depth == 0 or (depth == 1 and form[at] == "|"):
            options.append(form[start:at])
            start = at + 1
        if depth == 0:
            return at + 1, options
        at += 1
    raise GrammarError(f"{form!r}: a choice does not close.")


def make_rule(name: str, forms: Sequence[str]) -> Rule:
    """Return a rule of forms; `3* form` is taken three times as often.

    >>> make_rule("none", ["3* no", "denies"]).weights
    (3, 1)
    """
    if not isinstance(forms, list) or not forms or not all(isinstance(form, str) for form in forms):
        raise GrammarError(f"{name}: a rule is a list of texts; put a text that YAML reads as something else in quotes.")
    weights = [int(found[1]) if (found := _WEIGHT.match(form)) else 1 for form in forms]
    return Rule(tuple(_WEIGHT.sub("", form, count=1) for form in forms), tuple(weights))


def load_rules(files: Sequence[Path]) -> dict[str, Rule]:
    """Return the rules of YAML files, each a mapping of names to lists of forms; a name stands in one file alone."""
    rules: dict[str, Rule] = {}
    for file in files:
        for name, forms in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            if name in rules:
                raise GrammarError(f"{file.name}: a rule {name!r} stands in another file too.")
            rules[name] = make_rule(f"{file.name}, {name}", forms)
    return rules
