"""`kiwi.ClinicalTokenizer.v1`: spaCy's English tokenizer, taught where clinical shorthand comes apart."""

from collections.abc import Callable

from spacy import registry
from spacy.lang.char_classes import ALPHA, CONCAT_QUOTES, HYPHENS, LIST_ELLIPSES, LIST_HYPHENS
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

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
    return Tokenizer(
        nlp.vocab, rules, prefixes.search, suffixes.search, infixes.finditer, token_match=None, url_match=None
    )
