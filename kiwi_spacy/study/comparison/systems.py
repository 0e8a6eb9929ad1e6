"""What is compared: annotated notes, and what a pipeline or a folder of predictions finds in them."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ...contract import NOTE, SpanKey, get_modifiers, get_relations, get_score, span_key
from ...errors import FormatError, KiwiError
from ...formats.brat import BOM, BratNote, Failure, parse_ann, read_folder, read_text
from ...formats.corpus import read_docs, read_names
from ...formats.docs import fill_doc, make_doc
from ...formats.label_map import LabelMap, load_label_map
from ...run.annotate import annotate
from ...schema import Schema
from ...scoring import Annotations, Link, doc_annotations, links_of
from ...tokenizer import build_tokenizer
from ..evaluate import link_gold, links_given_spans
from ..fact_gold import FactGold, has_tables, read_fact_gold
from ..fact_scores import FactScores, score_facts
from ..facts import given_facts, rules_of, told_facts
from ..pairing import pair_overlapping


@dataclass(frozen=True)
class GoldNote:
    """An annotated note; offsets are those of its file."""

    name: str
    text: str = field(repr=False)
    annotations: Annotations

    @property
    def words(self) -> str:
        """The text without its layout and case, by which copies of one note are known."""
        return " ".join(self.text.split()).lower()


@dataclass
class Source:
    """Annotated notes of one place. `problems` says, by file and line, what could not be read as it stands.

    `facts` is what its tables say of status, values and sections.
    """

    name: str
    notes: list[GoldNote]
    label_map: LabelMap | None = None
    problems: list[str] = field(default_factory=list)
    facts: FactGold | None = None

    def groups(self, seed: int) -> list[list[str]]:
        """Return the notes' names in a random order, copies of one text together."""
        found: dict[str, list[str]] = {}
        for note in self.notes:
            found.setdefault(note.words, []).append(note.name)
        order = sorted(found.values())
        random.Random(seed).shuffle(order)
        return order


@dataclass
class Found:
    """What one system finds in the notes of a source, in their order.

    `scores` holds, for each note, the score of each span and link that has one. `given_gold` is, for each note, gold on
    the pipeline's tokens and what it finds with those spans given; None where it cannot take them. `failed` holds
    (note, reason); such a note counts as empty. `problems` sums what the pipeline counted on its Docs. `facts` is there
    where the source has gold of them and the system is a pipeline.
    """

    notes: list[Annotations]
    scores: list[dict[SpanKey | Link, float]]
    given_gold: list[tuple[Annotations, Annotations]] | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    facts: FactScores | None = None


def note_annotations(note: BratNote) -> Annotations:
    """Return what a brat note says, at the offsets of its file."""
    spans: dict[str, SpanKey] = {s.id: (s.start_char, s.end_char, s.label) for s in note.spans}
    return Annotations(frozenset(spans.values()), frozenset((spans[a], spans[b]) for a, b in note.links))


def read_source(
    path: Path, schema: Schema, *, notes: Path | None = None, label_map: str | None = None, text_dir: Path | None = None,
    name: str | None = None,
) -> Source:
    """Return the annotated notes of a brat folder, or of a .jsonl, .spacy or .bio file.

    notes (Path | None): A file that names the notes to take, one on a line; all by default.
    label_map (str | None): Of annotations under another scheme (brat alone): a file, or "maccrobat".
    RAISES (KiwiError): No note is left, or one that is named is not there.
    """
    wanted = read_names(notes)
    mapped = load_label_map(label_map, schema) if label_map else None
    source = Source(name or path.resolve().name, [], mapped)
    if path.is_dir():
        for note in read_folder(path, text_dir, schema=schema, label_map=mapped):
            if wanted is not None and note.name not in wanted:
                continue
            if isinstance(note, Failure):
                source.problems.append(note.reason)
            else:
                source.problems += note.problems
                source.notes.append(GoldNote(note.name, note.text, note_annotations(note)))
        if mapped is None:
            source.facts = read_fact_gold(path, schema, text_dir=text_dir)
        elif has_tables(path):
            source.problems.append(f"{path}: its tables of status, values and sections are left out, as labels are mapped.")
    elif mapped is not None:
        raise KiwiError(f"'{path}': a label map is for folders of brat annotations.")
    else:
        for doc in read_docs(path, _blank(), schema, text_dir):
            note_name = str(doc.user_data.get(NOTE, ""))
            if wanted is None or note_name in wanted:
                source.notes.append(GoldNote(note_name, doc.text, doc_annotations(doc)))
    absent = (wanted or set()) - {note.name for note in source.notes}
    if absent:
        raise KiwiError(f"{notes}: not among the annotated notes of '{path}': {', '.join(sorted(absent))}.")
    if not source.notes:
        raise KiwiError(f"'{path}' holds no annotated note to score.")
    return source


def _blank() -> Language:
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    return nlp


def run_pipeline(nlp: Language, source: Source, schema: Schema, *, batch_size: int = 16, given: bool = True) -> Found:
    """Return what a pipeline finds in a source's notes; a note that it fails on counts as empty and is reported.

    given (bool): Also ask for the links of gold spans, where the pipeline can link spans that are given.
    """
    examples = [_example(nlp, note, schema) for note in source.notes]
    found = Found([], [])
    problems: Counter[str] = Counter()
    rules = rules_of(nlp)
    judged = source.facts.notes if source.facts else set()
    told = {}
    for eg in examples:  # a gold span that is moved or dropped when links are asked for it
        problems.update({f"gold: {kind}": times for kind, times in eg.reference._.problems.items()})
    for note, doc in zip(source.notes, annotate(nlp, (eg.predicted for eg in examples), batch_size)):
        if isinstance(doc, Doc):
            if note.name in judged:
                told[note.name] = told_facts(doc, rules)
            problems.update(doc._.problems)
            found.notes.append(doc_annotations(doc))
            found.scores.append(_scores(doc))
        else:
            found.failed.append((note.name, doc))
            found.notes.append(Annotations())
            found.scores.append({})
    found.problems = dict(sorted(problems.items()))
    if source.facts is not None:
        by_rules = {
            note.name: given_facts(eg.reference, rules) for note, eg in zip(source.notes, examples) if note.name in judged
        }
        found.facts = score_facts(source.facts, by_rules, told)
    if given and links_given_spans(nlp):
        # The notes that it fails on are left out on both sides.
        bad = {name for name, _ in found.failed}
        good = [eg for note, eg in zip(source.notes, examples) if note.name not in bad]
        linked = iter(link_gold(nlp, good, batch_size=batch_size))
        found.given_gold = [
            (doc_annotations(eg.reference), doc_annotations(next(linked))) if note.name not in bad
            else (Annotations(), Annotations())
            for note, eg in zip(source.notes, examples)
        ]
    return in_labels_of(found, source.label_map)


def _example(nlp: Language, note: GoldNote, schema: Schema) -> Example:
    reference = make_doc(nlp, note.text)
    reference.user_data[NOTE] = note.name
    ids = {span: f"T{i}" for i, span in enumerate(sorted(note.annotations.spans))}
    fill_doc(
        reference, [(id_, *span) for span, id_ in ids.items()],
        [(ids[head], ids[modifier], 1.0) for head, modifier in sorted(links_of(note.annotations, schema))], schema,
    )
    return Example(make_doc(nlp, note.text), reference)


def _scores(doc: Doc) -> dict[SpanKey | Link, float]:
    scores: dict[SpanKey | Link, float] = {}
    for span in [*doc.ents, *get_modifiers(doc)]:
        score = get_score(span)
        if score is not None:
            scores[span_key(span)] = score
    for relation in get_relations(doc):
        scores[relation.key[:2]] = relation.score
    return scores


def read_predictions(folder: Path, source: Source, schema: Schema) -> Found:
    """Return what a folder of brat predictions (NAME.ann, the texts not needed) says of a source's notes.

    RAISES (FormatError): The folder is missing, or has none of the notes.
    """
    if not folder.is_dir():
        raise FormatError(f"'{folder}' is no folder of predictions. Name the folder that holds NAME.ann files.")
    found = Found([], [])
    problems: Counter[str] = Counter()
    for note in source.notes:
        annotations = Annotations()
        try:
            ann = read_text(folder / f"{note.name}.ann").removeprefix(BOM)
            read = parse_ann(note.name, note.text, ann, schema=schema)
            annotations = note_annotations(read)
            problems.update(problem.kind for problem in read.reported)
        except OSError:
            found.failed.append((note.name, f"no {note.name}.ann in the folder of predictions"))
        except UnicodeDecodeError as error:
            found.failed.append((note.name, f"{note.name}.ann: not UTF-8 at byte {error.start}"))
        found.notes.append(annotations)
        found.scores.append({})
    if len(found.failed) == len(source.notes):
        raise FormatError(f"'{folder}' has a prediction for none of the {len(source.notes)} notes of '{source.name}'.")
    found.problems = dict(sorted(problems.items()))
    return in_labels_of(found, source.label_map)


def in_labels_of(found: Found, label_map: LabelMap | None) -> Found:
    """Return findings in the labels that another scheme marks; what it does not mark is left out, with its links."""
    if label_map is None:
        return found

    def moved(span: SpanKey) -> SpanKey | None:
        label = label_map.of_ours(span[2])
        return None if label is None else (span[0], span[1], label)

    def spans(annotations: Annotations) -> Annotations:
        links = ((moved(head), moved(modifier)) for head, modifier in annotations.links)
        return Annotations(
            frozenset(new for span in annotations.spans if (new := moved(span)) is not None),
            frozenset((head, modifier) for head, modifier in links if head is not None and modifier is not None),
        )

    def scores(given: Mapping[SpanKey | Link, float]) -> dict[SpanKey | Link, float]:
        kept: dict[SpanKey | Link, float] = {}
        for item, score in given.items():
            new: Any = moved(item) if len(item) == 3 else tuple(moved(span) for span in item)
            if new is not None and None not in new:
                kept[new] = max(score, kept.get(new, 0.0))
        return kept

    given_gold = None if found.given_gold is None else [(gold, spans(pred)) for gold, pred in found.given_gold]
    return Found([spans(n) for n in found.notes], [scores(s) for s in found.scores], given_gold, found.failed, found.problems)


def on_matched(gold: Annotations, pred: Annotations, schema: Schema) -> tuple[Annotations, Annotations]:
    """Return the links of both sides whose two spans are matched, the predicted ones at gold's offsets.

    A predicted span is matched with the gold span of its label that it overlaps most, one to one.
    """
    pairs = pair_overlapping(gold.spans, pred.spans, lambda g, p: None if g[2] != p[2] else int(g != p))

    def kept(links: Iterable[Link], places: Mapping[SpanKey, SpanKey]) -> Annotations:
        return Annotations(
            frozenset(), frozenset((places[a], places[b]) for a, b in links if a in places and b in places)
        )

    return kept(links_of(gold, schema), {g: g for g, _ in pairs}), kept(links_of(pred, schema), {p: g for g, p in pairs})
