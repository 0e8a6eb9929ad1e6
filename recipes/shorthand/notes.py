"""Notes of mixed lines: sections of a few lines of one kind, with headings or without, as charts have them."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kiwi_spacy.schema import load_schema

from .grammar import Grammar, load_rules
from .markup import Marked, join, misspell, parse_marked, respaced
from .records import drug_specials, lab_specials, load_drugs, load_labs, load_regions, study_specials

HERE = Path(__file__).parent
_NUMBERED = re.compile(r"\d")
_TWO_STOPS = re.compile(r"(\.[\]}]+)\.")  # "b.i.d." at the end of a sentence has one
_COMMA = re.compile(r"[A-Za-z)%], (?=[A-Za-z])")  # not between numbers, where "5,6" would be one


def load_grammar() -> Grammar:
    """Return the grammar of the YAML files beside this one."""
    words = HERE / "words"
    rules = load_rules([words / "words.yml", words / "problems.yml", *sorted((HERE / "kinds").glob("*.yml"))])
    specials = (
        drug_specials(load_drugs(words / "drugs.yml")) | lab_specials(load_labs(words / "tests.yml"))
        | study_specials(load_regions(words / "imaging.yml"))
    )
    return Grammar(rules, specials)


def load_style() -> dict[str, Any]:
    """Return the shares and weights of `style.yml`."""
    style: dict[str, Any] = yaml.safe_load((HERE / "style.yml").read_text(encoding="utf-8"))
    return style


class NoteWriter:
    """Writes notes of one seed; the same seed gives the same notes, in whatever order they are asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.grammar, self.style, self.schema = load_grammar(), load_style(), load_schema()

    def notes(self, count: int) -> Iterator[tuple[str, Marked]]:
        """Yield names and notes."""
        for number in range(count):
            yield f"lines-{self.seed}-{number:05}", self.note(number)

    def note(self, number: int) -> Marked:
        """Return one note."""
        choice = random.Random(f"{self.seed}/{number}")
        style = self.style
        wanted = choice.randint(*style["lines"])
        upper = choice.random() < style["upper"]
        title = choice.choice(style["titles"])
        lines = [Marked(title)] if title else []
        written = 0
        while written < wanted:
            if lines and choice.random() < style["blank_line"]:
                lines.append(Marked(""))
            kind = choice.choices(list(style["kinds"]), list(style["kinds"].values()))[0]
            size = min(choice.randint(*style["section"]), wanted - written)
            lines += self._section(kind, size, choice, upper)
            written += size
        return join(lines)

    def _section(self, kind: str, size: int, choice: random.Random, upper: bool) -> list[Marked]:
        style, lines = self.style, list[Marked]()
        heading = "" if choice.random() < style["no_heading"] else self.grammar.grow(f"${kind}_headings", choice)
        bullet = choice.choice(style["bullets"])
        inline = bool(heading) and choice.random() < style["inline_heading"]
        if heading and not inline:
            lines.append(parse_marked(heading, self.schema))
        for number in range(1, size + 1):
            before = _NUMBERED.sub(str(number), bullet) if size > 1 else ""
            if inline and number == 1:
                before = heading + " "
            lines.append(self.line(f"${kind}", choice, before=before, upper=upper))
        return lines

    def line(self, form: str, choice: random.Random, *, before: str = "", upper: bool = False) -> Marked:
        """Return one line of a rule, untidy as charts are: `before` is its bullet or heading."""
        style = self.style
        grown = self.grammar.grow(form, choice)
        if choice.random() < style["stop"] and grown[-1].isalnum():
            grown += "."
        grown = _TWO_STOPS.sub(r"\1", grown)
        typo = choice.random() < style["typo"]
        lower = not upper and choice.random() < style["lower"]
        change = _slip(choice) if typo else None
        marked = _in_case(parse_marked(f"{before}{grown}", self.schema, change=change), upper, lower)
        if choice.random() < style["glued"]:
            marked = respaced(marked, {found.end() - 1: "" for found in _COMMA.finditer(marked.text)})
        if choice.random() < style["wide"]:
            ends = {end for _, _, end in marked.spans} & {i for i, c in enumerate(marked.text) if c == " "}
            marked = respaced(marked, {place: "  " for place in sorted(ends) if choice.random() < 0.5})
        return marked


def _slip(choice: random.Random) -> Any:
    """Return a function that misspells one of the words it is given."""
    left = [choice.randint(1, 3)]

    def change(text: str) -> str:
        pieces = re.split(r"(\W+)", text)
        for i, piece in enumerate(pieces):
            if len(piece) > 4 and piece.isalpha():
                left[0] -= 1
                if left[0] == 0:
                    pieces[i] = misspell(piece, choice)
        return "".join(pieces)

    return change


def _in_case(marked: Marked, upper: bool, lower: bool) -> Marked:
    text = marked.text.upper() if upper else marked.text.lower() if lower else marked.text
    return Marked(text, marked.spans, marked.links) if len(text) == len(marked.text) else marked
