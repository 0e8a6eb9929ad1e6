"""spacy-llm tasks: notes cut into windows, windows as prompts, answers as annotations.

`kiwi.Joint.v1` asks for entities, modifiers and links in one answer; `kiwi.Entities.v1` for entities
alone; `kiwi.Relations.v1` for the modifiers and links of the entities that a Doc has.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Iterable, List, Optional, Tuple  # noqa: UP035  (spacy-llm looks for typing's own names)

import srsly
from spacy.tokens import Doc
from spacy.training import Example
from spacy_llm.registry import registry

from ...contract import FAILURES, count_problem
from ...contract.windows import fill_windows, line_borders
from ...errors import KiwiError
from ...formats.docs import fill_doc
from ...schema import Schema, load_schema
from ...scoring import create_scorer
from .exchange import Failure, Prompt, Reply, align
from .prompts import FOLDER, Shot, render_instruction

_LONGEST = 4000  # characters of a window: a guard against lines without any white space


class MarkupTask:
    """Prompts for windows of notes, and what comes back of them.

    kind (str): "joint", "entities" or "relations".
    """

    def __init__(
        self, kind: str, schema: Schema, template: str, shots: Sequence[Shot] = (), *, max_words: int = 160,
    ) -> None:
        self.kind, self.schema, self.shots, self.max_words = kind, schema, tuple(shots), max_words
        self.template = template
        self.instruction = render_instruction(template, schema)

    @property
    def labels(self) -> Tuple[str, ...]:  # noqa: UP006
        """The labels that answers may use."""
        return (*self.schema.entities, *(() if self.kind == "entities" else self.schema.modifiers))

    def windows(self, doc: Doc) -> list[tuple[int, int]]:
        """Return a note's windows, half-open, in characters: whole lines as far as they fit, nothing left out but white space."""
        text = doc.text
        edges = [0, *line_borders(doc, self.max_words), len(doc)]
        starts: list[int] = []
        for start, end in zip(edges, edges[1:]):
            line = doc[start:end]
            stops = [t.text in {".", "?", "!", ";"} or "\n" in t.text for t in line]
            spaces = [bool(t.whitespace_) for t in line]
            # Lines go over the limit rather than be cut, up to twice its length.
            starts += [start + i for i in fill_windows([1] * len(line), 2 * self.max_words, ends=[stops, spaces])]
        chars = [*(doc[start].idx for start in starts), len(text)]
        cut = [(a, min(a + _LONGEST, end)) for start, end in zip(chars, chars[1:]) for a in range(start, end, _LONGEST)]
        return [(start, end) for start, end in cut if text[start:end].strip()]

    def prompt(self, doc: Doc, start: int, end: int) -> Prompt:
        """Return the prompt for one window."""
        given = None
        if self.kind == "relations":
            given = [
                (e.start_char - start, e.end_char - start, e.label_)
                for e in doc.ents if start <= e.start_char and e.end_char <= end and e.label_ in self.schema.entities
            ]
        return Prompt(
            self.instruction, doc.text[start:end], self.schema, links=self.kind != "entities",
            only_entities=self.kind == "entities", shots=self.shots, given=given,
        )

    def generate_prompts(
        self, docs: Iterable[Doc], context_length: Optional[int] = None  # noqa: UP045
    ) -> Iterable[Tuple[Iterable[Any], Iterable[Doc]]]:  # noqa: UP006
        """Yield for each Doc the prompts of its windows, and the Doc itself as their only shard."""
        for doc in docs:
            yield [self.prompt(doc, start, end) for start, end in self.windows(doc)], [doc]

    def parse_responses(
        self, shards: Iterable[Iterable[Doc]], responses: Iterable[Iterable[Any]]
    ) -> Iterable[Doc]:
        """Yield the Docs, filled with what the answers of their windows say."""
        for parts, answers in zip(shards, responses):
            doc = next(iter(parts))
            yield self.fill(doc, list(zip(self.windows(doc), answers)))

    def fill(self, doc: Doc, answers: List[Tuple[Tuple[int, int], Any]]) -> Doc:  # noqa: UP006
        """Set a Doc's annotations from ((start_char, end_char), answer) of its windows; failures are kept with their places."""
        spans: list[tuple[str, int, int, str]] = []
        links: list[tuple[str, str, float]] = []
        scores: dict[str, float] = {}
        failures: list[list[Any]] = []
        if self.kind == "relations":
            spans += [(f"e{i}", e.start_char, e.end_char, e.label_) for i, e in enumerate(doc.ents)]
        for number, ((start, end), answer) in enumerate(answers):
            if isinstance(answer, Failure):
                failures.append([start, end, str(answer)])
                count_problem(doc, "window without an answer")
                continue
            found = answer.found if isinstance(answer, Reply) else align(str(answer), doc.text[start:end], self.schema)
            for kind, times in found.problems.items():
                count_problem(doc, kind, times)
            for i, (a, b, label, score) in enumerate(found.spans):
                id_ = f"w{number}s{i}"
                if label in self.labels and not (self.kind == "relations" and label in self.schema.entities):
                    spans.append((id_, start + a, start + b, label))
                    scores[id_] = score
            known = {(a, b, label): id_ for id_, a, b, label in spans} if self.kind == "relations" else {}
            for head, modifier, score in found.links:
                a, b, label, _ = found.spans[head]
                id_ = known.get((start + a, start + b, label), f"w{number}s{head}")
                links.append((id_, f"w{number}s{modifier}", score))
        if failures:
            doc.user_data[FAILURES] = failures
        return fill_doc(doc, spans, links, self.schema, scores=scores)

    def scorer(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of Examples as `kiwi.Scorer.v1` does."""
        return create_scorer()(examples, **kwargs)

    # spacy-llm keeps a task with a pipeline only where all four of these are there.

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """Return the template and the examples; the schema is named by the config."""
        return srsly.msgpack_dumps({"template": self.template, "shots": [[s.text, s.markup] for s in self.shots]})

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> "MarkupTask":
        """Take what `to_bytes` gave."""
        state = srsly.msgpack_loads(data)
        self.template, self.shots = state["template"], tuple(Shot(*shot) for shot in state["shots"])
        self.instruction = render_instruction(self.template, self.schema)
        return self

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Write the template and the examples."""
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / "task.bin").write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> "MarkupTask":
        """Take what `to_disk` wrote."""
        return self.from_bytes((Path(path) / "task.bin").read_bytes())


def _make(kind: str, schema: str | None, template: str | None, examples: str | None, max_words: int) -> MarkupTask:
    loaded = load_schema(str(schema) if schema else None)
    file = Path(template) if template else FOLDER / f"{kind}.jinja"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KiwiError(f"The prompt template '{file}' cannot be read: {type(error).__name__}.") from None
    if max_words < 1:
        raise KiwiError(f"max_words is {max_words}; it must be 1 or more.")
    return MarkupTask(kind, loaded, text, _read_shots(examples, loaded), max_words=max_words)


def _read_shots(path: str | None, schema: Schema) -> list[Shot]:
    """Return the few-shot examples of a JSONL file of {"text", "markup"}."""
    if not path:
        return []
    shots = []
    try:
        for number, entry in enumerate(srsly.read_jsonl(path), start=1):
            shot = Shot(entry["text"], entry["markup"])
            problems = align(shot.markup, shot.text, schema).problems
            if problems:
                raise KiwiError(f"{path}, line {number}: the markup does not fit its text ({', '.join(problems)}).")
            shots.append(shot)
    except KiwiError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KiwiError(
            f'{path}: examples are lines of {{"text": ..., "markup": ...}}; found {type(error).__name__}.'
        ) from None
    return shots


@registry.llm_tasks("kiwi.Joint.v1")
def create_joint(
    schema: str | None = None, template: str | None = None, examples: str | None = None, max_words: int = 160
) -> MarkupTask:
    """Build the task that asks for entities, modifiers and links in one answer.

    schema (str | None): A schema file of the user's own. template (str | None): A jinja file in place of ours;
        it sees `entities` and `modifiers` of the schema. examples (str | None): A JSONL file of worked
        examples, {"text", "markup"} each. max_words (int): Tokens of a window, which ends at a line end.
    RAISES (KiwiError): A file cannot be read or does not fit the schema.
    """
    return _make("joint", schema, template, examples, max_words)


@registry.llm_tasks("kiwi.Entities.v1")
def create_entities(
    schema: str | None = None, template: str | None = None, examples: str | None = None, max_words: int = 160
) -> MarkupTask:
    """Build the task that asks for entities alone; arguments as of `create_joint`."""
    return _make("entities", schema, template, examples, max_words)


@registry.llm_tasks("kiwi.Relations.v1")
def create_relations(
    schema: str | None = None, template: str | None = None, examples: str | None = None, max_words: int = 160
) -> MarkupTask:
    """Build the task that asks for modifiers and links of a Doc's entities, all of a window's at once; arguments as above."""
    return _make("relations", schema, template, examples, max_words)
