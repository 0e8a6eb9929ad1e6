"""Words, sentences and phrases of a note, for rules that read text; no pipeline's tokens are needed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    # White space before a token is no part of it: a run of it that no token follows would be searched from each of its places.
    r"(?P<token>\n|[A-Za-z]/[A-Za-z]{1,2}(?![A-Za-z/])|(?:[A-Za-z]\.){2,}[A-Za-z]?|n['’]t(?![a-z])"
    r"|[^\W\d_]+?(?=n['’]t(?![a-z]))"
    r"|[^\W\d_]+(?:['’](?!s(?![a-z]))[a-z]+)?(?:['’]s)?|\d+(?:[.,:/]\d+)*|[^\w\s]|_)"
)
_ABBREVIATIONS = frozenset((
    "dr", "mr", "mrs", "ms", "prof", "st", "vs", "approx", "pt", "e.g", "i.e", "eg", "ie", "etc", "cc", "fig",
    "incl", "resp", "wt", "ht", "temp", "max", "min", "avg", "hx", "dx", "rx", "tx", "sx", "fx", "jr", "sr",
    "p.r.n",
))
_ENDS = frozenset(".!?;")
_SHORT_LINE = 45  # characters: a line that is longer, and followed by a small letter, goes on in the next


@dataclass(frozen=True)
class Words:
    """A text's words: lower case, with their places; `sentence` numbers them, and `glued` marks those behind no space.

    All lists have one entry a word. A sentence ends at a full stop, ";" or line break, not at an abbreviation.
    """

    lower: list[str]
    start_char: list[int]
    end_char: list[int]
    sentence: list[int]
    glued: list[bool]


def split_words(text: str, borders: Sequence[int] = ()) -> Words:
    """Return a text's words and the sentence of each.

    borders (Sequence[int]): Characters at which a sentence begins in any case, in order.

    >>> words = split_words("No fever, no b.i.d. pills.\\n-cough; HTN")
    >>> list(zip(words.lower, words.sentence))[-5:]
    [('.', 0), ('-', 1), ('cough', 1), (';', 1), ('htn', 2)]
    """
    lower: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    sentences: list[int] = []
    glued: list[bool] = []
    number = 0
    line_start = border = 0
    open_sentence = False  # whether the sentence has a word yet
    for match in _TOKEN.finditer(text):
        token, start, end = match["token"], match.start("token"), match.end("token")
        if token == "\n":
            if open_sentence and not _goes_on(text, line_start, start):
                number, open_sentence = number + 1, False
            line_start = end
            continue
        while border < len(borders) and borders[border] <= start:
            border += 1
            if open_sentence:
                number, open_sentence = number + 1, False
        lower.append(token.lower().replace("’", "'"))
        starts.append(start)
        ends.append(end)
        sentences.append(number)
        glued.append(start > 0 and not text[start - 1].isspace())
        open_sentence = True
        if token in _ENDS and _ends_sentence(text, end, token, lower, glued):
            number, open_sentence = number + 1, False
    return Words(lower, starts, ends, sentences, glued)


def _ends_sentence(text: str, end: int, token: str, lower: list[str], glued: list[bool]) -> bool:
    while text[end : end + 1] in ('"', "”", "’", ")", "]") and text[end : end + 1]:
        end += 1  # "could not stop coughing." A runny nose ...
    following = text[end : end + 3].lstrip(" \t")
    spaced = text[end : end + 1].isspace() or not following
    if token == ";":
        return True
    if token == "?":  # "? pneumonia" begins with its mark
        return glued[-1] and (not following or following[0].isupper() or following[0] == "\n")
    if token == "!":
        return True
    word = lower[-2] if len(lower) > 1 else ""
    if not following or following[0] == "\n":
        return True
    if not spaced:  # "PND.Denies cough"
        return following[0].isupper() and len(word) > 2 and word.isalpha()
    if word in ("no", "nos"):  # "No. 3", but "Fever: no. Cough: no."
        return not following[0].isdigit()
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return False
    return not following[0].islower() or (len(word) > 2 and word.isalpha())


def _goes_on(text: str, line_start: int, line_end: int) -> bool:
    """Whether a sentence goes on in the next line: the line was long, and a small letter follows."""
    following = text[line_end + 1 : line_end + 40].lstrip(" \t")[:1]
    before = text[line_start:line_end].rstrip()[-1:]
    return line_end - line_start > _SHORT_LINE and following.islower() and before not in ".:;!?"
