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

from ... import contract
from ...contract import count_problem
from ...contract.windows import fill_windows, line_borders
from ...errors import KiwiError
from ...formats.docs import fill_doc
from ...schema import Schema, load_schema, schema_from_dict, schema_to_dict
from ...scoring import create_scorer
from .exchange import Failure, Prompt, Reply, align, read_answer
from .prompts import FOLDER, Shot, render_instruction

_LONGEST = 4000  # characters of a window: a guard against lines without any white space


class MarkupTask:
    """Prompts for windows of notes, and what comes back of them.

    kind (str): "joint", "entities" or "relations".
    """

    def __init__(
        self, kind: str, schema: Schema, template: str, shots: Sequence[Shot] = (), *, max_words: int = 160,
    ) -> None:
        self.kind, self.max_words = kind, max_words
        self.missing: str | None = None  # what the config names and is not there: a saved pipeline brings its own
        self._set(schema, template, shots)

    def _set(self, schema: Schema, template: str, shots: Sequence[Shot]) -> None:
        self._schema, self.template, self.shots = schema, template, tuple(shots)
        self.instruction = render_instruction(template, schema)

    @property
    def schema(self) -> Schema:
        """The labels and which may be linked.

        RAISES (KiwiError): The config names a file that is not there, and no saved pipeline has brought its content.
        """
        if self.missing is not None:
            raise KiwiError(self.missing)
        return self._schema

    @property
    def labels(self) -> Tuple[str, ...]:  # noqa: UP006
        """The labels that answers may use; none while the schema's file is missed, for spaCy asks in the middle of loading."""
        if self.missing is not None:
            return ()
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

    def prompt(self, doc: Doc, start: int, end: int, *, text: str | None = None) -> Prompt:
        """Return the prompt for one window; text (str | None): The Doc's, where it is at hand: making it costs its length."""
        given = None
        if self.kind == "relations":
            given = [
                (e.start_char - start, e.end_char - start, e.label_)
                for e in doc.ents if start <= e.start_char and e.end_char <= end and e.label_ in self.schema.entities
            ]
        return Prompt(
            self.instruction, (doc.text if text is None else text)[start:end], self.schema, links=self.kind != "entities",
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
            windows, found = self.windows(doc), list(answers)
            if len(found) != len(windows):  # whose they are is not known
                found = [Failure(f"the model gave {len(found)} replies to {len(windows)} prompts")] * len(windows)
            yield self.fill(doc, list(zip(windows, found, strict=True)))

    def fill(self, doc: Doc, answers: List[Tuple[Tuple[int, int], Any]]) -> Doc:  # noqa: UP006
        """Set a Doc's annotations from ((start_char, end_char), answer) of its windows; failures are kept with their places."""
        spans: list[tuple[str, int, int, str]] = []
        links: list[tuple[str, str, float]] = []
        scores: dict[str, float] = {}
        failures: list[contract.Failure] = []
        text = doc.text
        if self.kind == "relations":
            spans += [(f"e{i}", e.start_char, e.end_char, e.label_) for i, e in enumerate(doc.ents)]
        for number, ((start, end), answer) in enumerate(answers):
            if not isinstance(answer, Failure | Reply):
                answer = read_answer(str(answer), text[start:end], self.schema)
            if isinstance(answer, Failure):
                failures.append(contract.Failure(start, end, str(answer)))
                count_problem(doc, "window without an answer")
                continue
            found = answer.found
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
            contract.set_failures(doc, [*contract.get_failures(doc), *failures])
        return fill_doc(doc, spans, links, self.schema, scores=scores)

    def scorer(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of Examples as `kiwi.Scorer.v1` does, by the schema of the task."""
        return create_scorer()(examples, schema=self.schema, **kwargs)

    # spacy-llm keeps a task with a pipeline only where all four of these are there.

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """Return schema, template and examples, so that no file of them is needed any more."""
        state = {"template": self.template, "shots": [[s.text, s.markup] for s in self.shots]}
        return srsly.msgpack_dumps({**state, "schema": schema_to_dict(self.schema)})

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> "MarkupTask":
        """Take what `to_bytes` gave."""
        state = srsly.msgpack_loads(data)
        if "schema" in state:  # version 0.6 left it to the config
            schema, self.missing = schema_from_dict(state["schema"], "the pipeline's schema"), None
        else:
            schema = self.schema
        self._set(schema, state["template"], [Shot(*shot) for shot in state["shots"]])
        return self

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Write schema, template and examples."""
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / "task.bin").write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> "MarkupTask":
        """Take what `to_disk` wrote."""
        return self.from_bytes((Path(path) / "task.bin").read_bytes())


def _make(kind: str, schema: str | None, template: str | None, examples: str | None, max_words: int) -> MarkupTask:
    if max_words < 1:
        raise KiwiError(f"max_words is {max_words}; it must be 1 or more.")
    named = {"schema": schema, "template": template, "examples": examples}
    gone = [f"{kind_of} '{path}'" for kind_of, path in named.items() if path and not Path(path).exists()]
    if gone:  # a saved pipeline brings the content after this
        task = MarkupTask(kind, load_schema(), (FOLDER / f"{kind}.jinja").read_text(encoding="utf-8"), max_words=max_words)
        task.missing = f"The config names files that are not there: {', '.join(gone)}. Name those of this machine."
        return task
    loaded = load_schema(str(schema) if schema else None)
    file = Path(template) if template else FOLDER / f"{kind}.jinja"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KiwiError(f"The prompt template '{file}' cannot be read: {type(error).__name__}.") from None
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
