"""How far two annotators agree on the same notes: F1, Cohen's kappa where it is defined, and each disagreement.

One of the two may be a pipeline. All offsets that are compared are those of A's text.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import spacy
from spacy.tokenizer import Tokenizer

from ...contract import SpanKey
from ...errors import FormatError, KiwiError
from ...formats.brat import BratNote, read_note
from ...schema import Schema, load_schema
from ...scoring import Annotations, Scores, format_table, score_notes
from ...tokenizer import build_tokenizer
from ..pairing import pair_overlapping
from .alignment import align_texts, carry_span, invert, trim_span
from .fact_agreement import FactAgreement, agree_facts, format_fact_agreement
from .kappa import Confusion, cohen_kappa, kappa_dict

Side = Literal["A", "B"]
Kind = Literal["only in A", "only in B", "other label", "other borders", "link only in A", "link only in B"]

OUTSIDE = "O"  # the label of a token that is in no entity, as in BIO
_LEAST_IN_COMMON = 0.5  # share of the shorter text's characters; two texts with less are not one note


@dataclass(frozen=True)
class Place:
    """A span, half-open. Its text is secret: it is neither in `repr` nor in `to_dict` unless asked for."""

    start: int
    end: int
    label: str
    text: str = field(repr=False)

    def to_dict(self, show_text: bool = False) -> dict[str, Any]:
        """Return {"start", "end", "label"}, and "text" where it is to be shown."""
        plain: dict[str, Any] = {"start": self.start, "end": self.end, "label": self.label}
        return {**plain, "text": self.text} if show_text else plain


@dataclass(frozen=True)
class Disagreement:
    """One thing that the annotators do not have in common, at A's offsets.

    `places` holds the span that one of them has; of "other label" and "other borders", A's and B's;
    of links, head and modifier.
    """

    note: str
    kind: Kind
    places: tuple[Place, ...]

    def to_dict(self, show_text: bool = False) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        return {"note": self.note, "kind": self.kind, "places": [place.to_dict(show_text) for place in self.places]}


@dataclass(frozen=True)
class LeftOut:
    """A span, or a link (head, modifier), of one side that is not in both texts; the offsets are its own text's."""

    note: str
    side: Side
    places: tuple[Place, ...]

    def to_dict(self, show_text: bool = False) -> dict[str, Any]:
        """Return it plain and ready for JSON."""
        return {"note": self.note, "side": self.side, "places": [place.to_dict(show_text) for place in self.places]}


@dataclass
class Agreement:
    """What two annotators have in common and what not. `scores` take A as gold and B as prediction.

    `labels` holds the labels that both gave to the same thing, from which kappa comes: of "tokens",
    their entity or none; of "entities" and "modifiers", spans of the same borders. `only_a` and
    `only_b` name notes that one folder alone has; `problems` and `failed` are lines that name the file.
    `facts` is there where both folders have a table of status, values or sections.
    """

    scores: Scores
    notes: list[str] = field(default_factory=list)
    labels: dict[str, Confusion] = field(default_factory=lambda: {k: Counter() for k in ("tokens", "entities", "modifiers")})
    disagreements: list[Disagreement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    facts: FactAgreement | None = None

    def to_dict(self, show_text: bool = False) -> dict[str, Any]:
        """Return all of it, plain and ready for JSON; note text only where it is asked for."""
        return {
            "notes": self.notes,
            "scores": self.scores.to_dict(),
            "kappa": {name: kappa_dict(counts) for name, counts in self.labels.items()},
            "disagreements": [each.to_dict(show_text) for each in self.disagreements],
            "not_in_both_texts": [each.to_dict(show_text) for each in self.left_out],
            "only_in_a": self.only_a,
            "only_in_b": self.only_b,
            "problems": self.problems,
            "failed": self.failed,
            **({"facts": self.facts.to_dict(show_text)} if self.facts else {}),
        }


def agree(folder_a: Path, folder_b: Path, *, pairs: Path | None = None, schema: str | None = None) -> Agreement:
    """Compare two folders of brat annotations, note by note; one that cannot be compared does not stop the others.

    Notes go together by name, below the folder. The texts of the two may be laid out differently;
    where one folder has a note's .ann alone, its offsets are taken as those of the other's text.

    pairs (Path | None): A file of two names a line, A's and B's, that says what goes together.
    schema (str | None): A schema file; the packaged schema by default.
    RAISES (KiwiError): A folder is missing, nothing is there to compare, or a table of facts does not fit its notes.
    """
    known = load_schema(schema)
    names_a, names_b = _names(folder_a), _names(folder_b)
    if pairs is not None:
        wanted = read_pairs(pairs)
    elif folder_a.resolve() == folder_b.resolve():
        raise KiwiError(f"'{folder_a}' is both folders. Say by --pairs which of its notes are the same.")
    else:
        wanted = [(name, name) for name in sorted(names_a & names_b)]
    if not wanted:
        raise KiwiError(f"'{folder_a}' and '{folder_b}' have no note of one name. Name others, or --pairs.")
    nlp = spacy.blank("en")
    tokenizer = build_tokenizer(nlp)
    result = Agreement(score_notes([], known))
    scored: list[tuple[Annotations, Annotations]] = []
    for name_a, name_b in wanted:
        try:
            notes = _read_pair((folder_a / name_a, folder_b / name_b), known)
            scored.append(_compare(result, notes, _joint_name(name_a, name_b), known, tokenizer))
        except FormatError as error:
            result.failed.append(str(error))
    result.scores = score_notes(scored, known)
    result.facts = agree_facts(folder_a, folder_b, known, pairs=wanted if pairs is not None else None)
    if pairs is None:
        result.only_a, result.only_b = sorted(names_a - names_b), sorted(names_b - names_a)
    return result


def _names(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise FormatError(f"'{folder}' is no folder. Name the folder that holds the files.")
    files = (path for suffix in (".ann", ".txt") for path in folder.rglob(f"*{suffix}"))
    return {path.relative_to(folder).with_suffix("").as_posix() for path in files}


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Return the pairs that a file names, two names a line; a tab lets a name hold spaces. Empty lines count for nothing.

    RAISES (FormatError): A line does not hold two names, or the file is not UTF-8 or names none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    pairs: dict[tuple[str, str], None] = {}  # each once, in order
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        names = [name.strip() for name in (line.split("\t") if "\t" in line else line.split())]
        if len(names) != 2 or not all(names):
            raise FormatError(f"{path}, line {number}: expected two names with a tab or a space between, A's and B's.")
        pairs[_bare(names[0]), _bare(names[1])] = None
    if not pairs:
        raise FormatError(f"{path} names no pair of notes. Write two names on a line, A's and B's.")
    return list(pairs)


def _bare(name: str) -> str:
    return name.removesuffix(".ann").removesuffix(".txt")


def _joint_name(name_a: str, name_b: str) -> str:
    return name_a if name_a == name_b else f"{name_a} = {name_b}"


def _read_pair(paths: tuple[Path, Path], schema: Schema) -> tuple[BratNote, BratNote]:
    """Read a note's two annotations; paths are without suffix. What is reported names the file with its folder."""
    if paths[0] == paths[1]:
        raise FormatError(f"{paths[0]}: paired with itself. Name two notes.")
    ann_a, ann_b = (Path(f"{path}.ann") for path in paths)
    texts = [Path(f"{path}.txt") for path in paths]
    absent = [str(ann) for ann in (ann_a, ann_b) if not ann.is_file()]
    if absent:
        raise FormatError(f"{', '.join(absent)}: not there. Add it, empty if nothing is to be marked in the note.")
    own = [text.is_file() for text in texts]
    if not any(own):
        raise FormatError(f"{ann_a}: no {texts[0].name} beside it, nor {texts[1].name} beside {ann_b}. Add one of them.")
    text_a, text_b = texts[0 if own[0] else 1], texts[1 if own[1] else 0]
    if own[0]:
        return _read(text_a, ann_a, schema), _read(text_b, ann_b, schema)
    second = _read(text_b, ann_b, schema)  # first, as an error names a text by its own .ann
    return _read(text_a, ann_a, schema), second


def _read(text: Path, ann: Path, schema: Schema) -> BratNote:
    return read_note(text, ann, schema=schema, name=ann.as_posix().removesuffix(".ann"))


def _compare(
    result: Agreement, notes: tuple[BratNote, BratNote], name: str, schema: Schema, tokenizer: Tokenizer
) -> tuple[Annotations, Annotations]:
    """Return what both say, at A's offsets, and add the rest to `result`.

    RAISES (FormatError): The texts are not of one note.
    """
    note_a, note_b = notes
    text = note_a.text
    to_a = align_texts(text, note_b.text)
    to_b = invert(to_a, len(text))
    shared = sum(at >= 0 for at in to_a)
    shorter = min(sum(map(len, each.text.split())) for each in notes)
    if shared < _LEAST_IN_COMMON * shorter:
        raise FormatError(
            f"{note_a.name}.ann, {note_b.name}.ann: the texts are of two notes, with {shared / shorter:.0%} of the "
            "shorter in common. Rename one, or say by --pairs what goes together."
        )
    a, left_a = _carry(note_a, to_b, name, "A")
    b, left_b = _carry(note_b, to_a, name, "B")
    result.notes.append(name)
    result.problems += note_a.problems + note_b.problems
    result.left_out += left_a + left_b

    tokens = [(token.idx, token.idx + len(token)) for token in tokenizer(text) if not token.is_space]
    both = [(start, end) for start, end in tokens if any(at >= 0 for at in to_b[start:end])]
    labels = (token_labels([span for span in each.spans if span[2] in schema.entities], both) for each in (a, b))
    result.labels["tokens"].update(zip(*labels, strict=True))

    paired = []
    for task, known in (("entities", schema.entities), ("modifiers", schema.modifiers)):
        pairs = pair_spans(*({span for span in each.spans if span[2] in known} for each in (a, b)))
        result.labels[task].update((x[2], y[2]) for x, y in pairs if x and y and x[:2] == y[:2])
        paired += pairs
    result.disagreements += sorted(_disagreements(name, text, a, b, paired), key=_order)
    return a, b


def _carry(note: BratNote, to_other: Sequence[int], name: str, side: Side) -> tuple[Annotations, list[LeftOut]]:
    """Return a note's annotations at A's offsets, and what is not in both texts. White space at a span's ends is cut off."""
    kept: dict[str, SpanKey] = {}
    places = {s.id: Place(s.start_char, s.end_char, s.label, note.text[s.start_char : s.end_char]) for s in note.spans}
    left_out = []
    for id_, place in places.items():
        own = trim_span(note.text, place.start, place.end)
        carried = carry_span(*own, to_other) if own else None
        if own is None or carried is None:
            left_out.append(LeftOut(name, side, (place,)))
        else:
            kept[id_] = (*(own if side == "A" else carried), place.label)
    links = []
    for head, modifier in note.links:
        if head in kept and modifier in kept:
            links.append((kept[head], kept[modifier]))
        else:
            left_out.append(LeftOut(name, side, (places[head], places[modifier])))
    return Annotations(frozenset(kept.values()), frozenset(links)), left_out


def token_labels(entities: Iterable[SpanKey], tokens: Iterable[tuple[int, int]]) -> list[str]:
    """Return each token's entity label, `OUTSIDE` where it is in none; of entities that overlap, the longest counts.

    tokens (Iterable[tuple[int, int]]): (start_char, end_char), half-open; one that an entity holds in part is in it.

    >>> token_labels([(3, 13, "problem")], [(0, 2), (3, 8), (9, 13)])
    ['O', 'problem', 'problem']
    """
    by_char: dict[int, str] = {}
    for start, end, label in sorted(entities, key=lambda span: (span[1] - span[0], span)):
        by_char.update(dict.fromkeys(range(start, end), label))
    return [next((by_char[at] for at in range(start, end) if at in by_char), OUTSIDE) for start, end in tokens]


def pair_spans(a: Collection[SpanKey], b: Collection[SpanKey]) -> list[tuple[SpanKey | None, SpanKey | None]]:
    """Pair the spans of two annotators, each at most once; one that stays alone is paired with None.

    Equal spans first, then those of the same borders, then those of one label that overlap, by how far.

    >>> pair_spans([(0, 5, "problem"), (7, 9, "test")], [(0, 5, "drug"), (8, 12, "test"), (20, 25, "drug")])
    [((0, 5, 'problem'), (0, 5, 'drug')), ((7, 9, 'test'), (8, 12, 'test')), (None, (20, 25, 'drug'))]
    """
    def rank(one: SpanKey, other: SpanKey) -> int | None:
        if one[:2] == other[:2]:
            return 0 if one == other else 1
        return 2 if one[2] == other[2] else None

    together = pair_overlapping(a, b, rank)
    pairs: list[tuple[SpanKey | None, SpanKey | None]] = list(together)
    pairs += [(one, None) for one in set(a) - {one for one, _ in together}]
    pairs += [(None, other) for other in set(b) - {other for _, other in together}]
    return sorted(pairs, key=lambda pair: [each for each in pair if each])


def _disagreements(
    name: str, text: str, a: Annotations, b: Annotations, paired: Iterable[tuple[SpanKey | None, SpanKey | None]]
) -> Iterator[Disagreement]:
    def places(*spans: SpanKey) -> tuple[Place, ...]:
        return tuple(Place(*span, text[span[0] : span[1]]) for span in spans)

    for one, other in paired:
        if one is None and other is not None:
            yield Disagreement(name, "only in B", places(other))
        elif one is not None and other is None:
            yield Disagreement(name, "only in A", places(one))
        elif one is not None and other is not None and one != other:
            yield Disagreement(name, "other label" if one[:2] == other[:2] else "other borders", places(one, other))
    for link in a.links - b.links:
        yield Disagreement(name, "link only in A", places(*link))
    for link in b.links - a.links:
        yield Disagreement(name, "link only in B", places(*link))


def _order(found: Disagreement) -> tuple[bool, list[tuple[int, int, str]], str]:
    """Spans before links, in reading order."""
    return found.kind.startswith("link"), [(p.start, p.end, p.label) for p in found.places], found.kind


def format_agreement(result: Agreement, *, show_text: bool = False) -> str:
    """Return the whole comparison as text: scores, kappa, what was left out, and each disagreement on a line.

    show_text (bool): Say also what the note says there. Notes are patients' secrets, so not by default.
    """
    lines = [
        f"{len(result.notes)} notes compared; A is shown as gold and B as pred, and F1 is the same the other way round.", "",
        format_table(result.scores), "",
    ]
    for name, over in (
        ("tokens", "tokens, by their entity or none"), ("entities", "entities of the same borders, by label"),
        ("modifiers", "modifiers of the same borders, by label"),
    ):
        counts = result.labels[name]
        kappa = cohen_kappa(counts)
        shown = "not defined" if kappa is None else f"{kappa:.3f}"
        lines.append(f"Cohen's kappa over {counts.total()} {over}: {shown}")
    left: Counter[tuple[str, int]] = Counter((each.side, len(each.places)) for each in result.left_out)
    if result.left_out:
        lines.append(
            f"Not in both texts, left out: {left['A', 1]} spans and {left['A', 2]} links of A, "
            f"{left['B', 1]} spans and {left['B', 2]} links of B (offsets below are their own text's)"
        )
        lines += [
            f"  {each.note}  not in both texts, {each.side}  {_shown(each.places, show_text)}" for each in result.left_out
        ]
    for side, names in (("A", result.only_a), ("B", result.only_b)):
        if names:
            lines.append(f"Only {side} has these notes, not compared: {', '.join(names)}")
    kinds = Counter(each.kind for each in result.disagreements)
    counted = ", ".join(f"{times} {kind}" for kind, times in sorted(kinds.items())) or "none"
    lines += ["", f"Disagreements, at A's offsets: {counted}"]
    lines += [f"  {each.note}  {each.kind}  {_shown(each.places, show_text)}" for each in result.disagreements]
    if result.facts is not None:
        lines += ["", format_fact_agreement(result.facts, show_text=show_text)]
    return "\n".join(lines)


def _shown(places: Iterable[Place], show_text: bool) -> str:
    """Return places as `label start-end`, the text after it as a JSON string, so that it stays on its line."""
    return " | ".join(
        f"{place.label} {place.start}-{place.end}"
        + (f" {json.dumps(' '.join(place.text.split()), ensure_ascii=False)}" if show_text else "")
        for place in places
    )
