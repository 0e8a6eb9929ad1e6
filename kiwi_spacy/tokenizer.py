"""`kiwi.ClinicalTokenizer.v1`: spaCy's English tokenizer, taught where clinical shorthand comes apart, in linear time."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from spacy import registry
from spacy.lang.char_classes import ALPHA, CONCAT_QUOTES, HYPHENS, LIST_ELLIPSES, LIST_HYPHENS
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

from .contract import count_problem

SURROGATE = "lone surrogate read as U+FFFD"  # the problem that is counted, once a character

# spaCy takes marks off a word one at a time, and copies, hashes and searches what is left each time: 100,000 hyphens
# took a quarter of an hour. Longer words than this have their borders found here, by looking at their ends alone.
_LONG = 48
_END = 16  # characters looked at for a mark or a unit at an end; more where it fills them, as a run of full stops does
_BEFORE = 8  # characters before them, which a pattern may look back at
_LONE = re.compile("[\ud800-\udfff]")

_UNITS = (
    "mg|mcg|ug|g|gm|kg|ml|mL|cc|dl|dL|L|l|mmHg|mm|cm|m|mEq|meq|mmol|units?|U|IU|lbs?|oz|hrs?|h|mins?|secs?|s|"
    "days?|wks?|weeks?|months?|mos?|yrs?|years?|y|yo|x|tabs?|caps?|puffs?|F|C|K|k|bpm|ppm|pt|French|Fr|W|Hz|degrees"
)

_INFIXES = [
    *LIST_ELLIPSES,
    r"(?<=[0-9])(?=(?:" + _UNITS + r")(?:[^A-Za-z]|$))",  # 20|mg
    r"[^\w\s.,'’]",  # every mark but full stop, comma and apostrophe: 120|/|80, A1c|>|6.5
    r"_",
    r"\.(?=[^\w\s])",
    r"(?<=[0-9])\.(?![0-9])|(?<![0-9])\.(?=[0-9])(?<=[A-Za-z]\.)",  # 1.|Aspirin, WBC.7
    r"(?<=[0-9]),(?![0-9])|(?<![0-9]),",  # not within 50,000
    rf"(?<=[{ALPHA}])[.](?=[A-Z][a-z])",  # fever.Denies
    rf"(?<=[{ALPHA}]{{3}})[.](?=[{ALPHA}])",
    rf"(?<=[{ALPHA}])(?:{HYPHENS})(?=[{ALPHA}])",
]


@registry.tokenizers("kiwi.ClinicalTokenizer.v1")
def create_tokenizer() -> Callable[[Language], Tokenizer]:
    """Return a function that builds the tokenizer for a pipeline; `doc.text` is the note, untouched.

    Doses, ratios and glued values come apart (`2.5mg`, `120/80`, `HbA1c>6.5%`, `WBC-7.5`), decimal
    numbers and thousands stay whole; so do abbreviations, but for their last stop, which may end the
    sentence too (`b.i.d` + `.`), as it does after a unit or a letter (`104 degrees F.`, `hepatitis C.`).
    """
    return build_tokenizer


def build_tokenizer(nlp: Language) -> Tokenizer:
    """Build the tokenizer from the language's own rules and ours."""
    defaults = nlp.Defaults
    marks = [r"[^\w\s.,'’]", "_"]
    prefixes = compile_prefix_regex([*marks, *(defaults.prefixes or [])])
    suffixes = compile_suffix_regex(
        [*marks, *(defaults.suffixes or []), r"(?<=[0-9])(?:" + _UNITS + r")", r"\.", rf"(?<=[0-9])(?:{CONCAT_QUOTES})"]
    )
    infixes = compile_infix_regex([*_INFIXES, *LIST_HYPHENS])
    # Stock exceptions keep months and titles, but also smileys, "a.m." and "C." to "Z.": where such a word ends a
    # sentence the stop is not its own, and annotators leave it out.
    rules = {
        text: parts
        for text, parts in (defaults.tokenizer_exceptions or {}).items()
        if any(c.isalpha() for c in text) and not any(c.isdigit() for c in text) and text.count(".") < 2
        and not (len(text) == 2 and text.endswith("."))
    }
    return ClinicalTokenizer(
        nlp.vocab, rules, prefixes.search, suffixes.search, infixes.finditer, token_match=None, url_match=None
    )


class _Border(NamedTuple):
    """A place between two tokens, in the form of an infix that takes no characters."""

    place: int

    def start(self) -> int:
        return self.place

    def end(self) -> int:
        return self.place


class ClinicalTokenizer(Tokenizer):  # type: ignore[misc]  # spaCy's is compiled, without types
    """spaCy's tokenizer, with the same tokens from the same rules and patterns, also stored ones, at a cost linear in the text.

    A lone surrogate, which no UTF-8 and so no spaCy vocabulary can hold, becomes U+FFFD: offsets stay,
    `doc.text` differs there alone, and `doc._.problems` counts them.

    Two things are kept from spaCy only within words of up to 48 characters: attributes of an exception that is left when
    marks are taken off, such as the norm "not" of "n't", and `token_match` and `url_match` after that; ours has neither.
    """

    def __call__(self, string: str) -> Doc:
        text, times = _LONE.subn("\ufffd", string)
        doc = super().__call__(text)
        if times:
            count_problem(doc, SURROGATE, times)
        return doc

    def explain(self, text: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = super().explain(_LONE.sub("\ufffd", text))
        return found

    def find_prefix(self, string: str) -> int:
        return 0 if self._takes(string) else super().find_prefix(string)

    def find_suffix(self, string: str) -> int:
        return 0 if self._takes(string) else super().find_suffix(string)

    def find_infix(self, string: str) -> Any:
        return [_Border(place) for place in self._borders(string)] if self._takes(string) else super().find_infix(string)

    def _takes(self, string: str) -> bool:
        """Whether the borders of a word are found here: a long one, and patterns, not functions of the user's own."""
        return len(string) > _LONG and None not in (
            _pattern(self.prefix_search), _pattern(self.suffix_search), _pattern(self.infix_finditer)
        )

    def _borders(self, word: str) -> list[int]:
        """Return where the tokens of a word divide, as spaCy's algorithm has it."""
        prefix, suffix = _pattern(self.prefix_search), _pattern(self.suffix_search)
        rules = self.rules
        longest = max(map(len, rules), default=0)
        known: dict[str, int] = {}
        assert prefix and suffix

        def special(start: int, end: int) -> bool:
            return start < end <= start + longest and word[start:end] in rules

        left, right = 0, len(word)
        borders: list[int] = []
        while left < right and not special(left, right):
            begin = _prefix_length(prefix, word, left, right)
            if begin and special(left + begin, right):
                left += begin
                borders.append(left)
                break
            end = _suffix_length(suffix, word, left + begin, right, known)
            if end and special(left, right - end):
                right -= end
                borders.append(right)
                break
            if begin + end == 0:
                break
            left += begin
            borders.append(left)
            if begin + end <= right - left + begin:
                right -= end
                borders.append(right)
        core = word[left:right]
        inner = self._inner(core, special=special(left, right))
        return sorted({place for place in (*borders, *(left + place for place in inner)) if 0 < place < len(word)})

    def _inner(self, core: str, *, special: bool) -> Iterable[int]:
        """Return the borders within what is left of a word when marks are taken off."""
        if special:
            return [token.idx for token in super().__call__(core)]
        found = super().find_infix(core) or []
        # As in spaCy, an infix at the beginning is none: it would have been taken off as a prefix.
        return [place for match in found if match.start() for place in match.span()]


def _pattern(search: Any) -> re.Pattern[str] | None:
    """Return the pattern whose method a search is; None for a function of the user's own."""
    owner = getattr(search, "__self__", None)
    return owner if isinstance(owner, re.Pattern) else None


def _prefix_length(pattern: re.Pattern[str], word: str, left: int, right: int) -> int:
    size = _END
    while True:
        piece = word[left : min(right, left + size)]
        match = pattern.match(piece)
        length = match.end() if match else 0
        if length < len(piece) or left + length == right:
            return length
        size *= 2  # it goes on, perhaps


def _suffix_length(pattern: re.Pattern[str], word: str, left: int, right: int, known: dict[str, int]) -> int:
    """Return the length of the longest suffix of `word[left:right]`; `known` keeps those of ends that recur."""
    size = _END
    while True:
        low = max(left, right - size)
        first = max(left, low - _BEFORE)
        piece = word[first:right]
        key = f"{low - first}{piece}"
        length = known.get(key)
        if length is None:
            match = pattern.search(piece, low - first)
            length = len(piece) - match.start() if match else 0
            known[key] = length
        if length < right - low or low == left:
            return length
        size *= 2  # it began before, perhaps
