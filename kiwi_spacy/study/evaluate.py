"""Score a pipeline on annotated notes: end to end, and links alone with gold spans given."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..contract import NOTE, count_problem, get_modifiers, set_modifiers
from ..errors import KiwiError
from ..formats.corpus import own_schema, read_examples
from ..run.annotate import annotate
from ..schema import Schema, load_schema
from ..scoring import Annotations, doc_annotations, format_table, score_notes
from .fact_gold import FactGold, join_golds, read_fact_gold
from .fact_scores import format_facts, score_facts
from .facts import NoteFacts, Rules, given_facts, rules_of, told_facts

RELATIONS = "kiwi_relations"  # the pipe that links given spans, in pipelines that have one


def evaluate(
    nlp: Language, gold: Path | list[Path], notes: Path | None = None, *, schema: str | None = None,
    text_dir: str | None = None, batch_size: int = 16,
) -> dict[str, Any]:
    """Return the scores of `nlp` on gold notes.

    gold (Path | list[Path]): What `kiwi.Corpus.v1` reads, such as a folder of brat annotations.
    notes (Path | None): A file that names the notes to score, one on a line; all by default.
    schema (str | None): A schema file; by default the pipeline's own schema, or else the packaged one.
    text_dir (str | None): The folder of the texts, where they are not beside the annotations.
    RETURNS (dict): "notes", how many; the figures of each task, as of `Scores.to_dict`, among them
        "relations_given_gold" where the pipeline can link given spans; "facts", as of `FactScores.to_dict`,
        where a folder has gold of status, values or sections; "problems", the sum of `doc._.problems`, those
        of the gold notes marked so; "table", all of it as text.
    RAISES (KiwiError): There is nothing to score, the gold cannot be read, or the pipeline fails on a note.
    """
    paths = [gold] if isinstance(gold, Path) else gold
    known = load_schema(schema) if schema else own_schema(nlp) or load_schema()
    examples = list(read_examples(nlp, paths, known, text_dir=text_dir, notes=str(notes) if notes else None))
    if not examples:
        places = ", ".join(f"'{path}'" for path in paths) + (f" and the names in '{notes}'" if notes else "")
        raise KiwiError(f"There is no annotated note to score: look at {places}.")
    rules = rules_of(nlp)
    facts = _fact_gold(paths, known, rules, text_dir)
    given_told: dict[str, NoteFacts] = {}
    told: dict[str, NoteFacts] = {}
    found: list[Annotations] = []
    problems: Counter[str] = Counter()
    for eg in examples:  # a gold span moved or dropped is not what the file says
        problems.update({f"gold: {kind}": times for kind, times in eg.reference._.problems.items()})
    for eg, doc in zip(examples, annotate(nlp, (eg.predicted for eg in examples), batch_size), strict=True):
        name = str(eg.reference.user_data.get(NOTE, ""))
        if not isinstance(doc, Doc):
            raise KiwiError(f"{name or 'a note without a name'}: {doc}. Leave it out by --notes.")
        found.append(doc_annotations(doc))
        problems.update(doc._.problems)
        if facts is not None and name in facts.notes:
            if name in told:
                raise KiwiError(f"Two notes are called '{name}', and a table of gold names it. Score their folders one by one.")
            told[name], given_told[name] = told_facts(doc, rules), given_facts(eg.reference, rules)
    gold_notes = [doc_annotations(eg.reference) for eg in examples]
    given = None
    if links_given_spans(nlp):
        linked = (doc_annotations(doc) for doc in link_gold(nlp, examples, batch_size=batch_size))
        given = list(zip(gold_notes, linked, strict=True))
    scores = score_notes(zip(gold_notes, found, strict=True), known, given_gold=given)
    result = {**scores.to_dict(), "problems": dict(sorted(problems.items())), "table": format_table(scores)}
    if facts is not None and (of_facts := score_facts(facts, given_told, told).to_dict()):
        result |= {"facts": of_facts, "table": f"{result['table']}\n\n{format_facts(of_facts)}"}
    return result


def _fact_gold(paths: Iterable[Path], schema: Schema, rules: Rules, text_dir: str | None) -> FactGold | None:
    texts = Path(text_dir) if text_dir else None
    read = (read_fact_gold(path, schema, text_dir=texts, keys=rules.titles.kinds) for path in paths if path.is_dir())
    return join_golds(gold for gold in read if gold is not None)


def links_given_spans(nlp: Language) -> str | None:
    """Return the name of the pipe that links spans which a Doc has already, None where there is none."""
    for name, pipe in nlp.pipeline:
        if name == RELATIONS or getattr(pipe, "links_given_spans", False):
            return str(name)
    return None


def link_gold(nlp: Language, examples: Iterable[Example], *, batch_size: int = 16) -> Iterator[Doc]:
    """Yield Docs whose entities and modifiers are gold and whose links are the pipeline's own.

    The other pipes run first, for what the links are computed from; what they find is replaced.
    `doc_cleaner` is left out, as it takes that away. Gold spans that do not fit the tokens are
    counted in `doc._.problems`, and their links count as missed.
    """
    linker = links_given_spans(nlp)
    assert linker is not None
    pipe: Any = nlp.get_pipe(linker)
    rest = iter(examples)
    while batch := list(islice(rest, batch_size)):
        docs = [eg.predicted.copy() for eg in batch]
        for name, other in nlp.pipeline:
            if name != linker and nlp.get_pipe_meta(name).factory != "doc_cleaner":
                docs = _run(other, docs, batch_size)
        for doc, eg in zip(docs, batch, strict=True):
            _give(doc, eg.reference)
        yield from pipe.link(docs) if hasattr(pipe, "link") else _run(pipe, docs, batch_size)


def _run(pipe: Any, docs: list[Doc], batch_size: int) -> list[Doc]:
    if hasattr(pipe, "pipe"):
        return list(pipe.pipe(docs, batch_size=batch_size))
    return [pipe(doc) for doc in docs]


def _give(doc: Doc, reference: Doc) -> None:
    """Put the reference's entities and modifiers on the Doc, by character offsets."""

    def moved(spans: Iterable[Span]) -> list[Span]:
        fitting = []
        for span in spans:
            copy = doc.char_span(span.start_char, span.end_char, label=span.label_)
            if copy is None:
                count_problem(doc, "gold span not on token borders")
            else:
                fitting.append(copy)
        return fitting

    doc.set_ents(moved(reference.ents))
    set_modifiers(doc, moved(get_modifiers(reference)))
