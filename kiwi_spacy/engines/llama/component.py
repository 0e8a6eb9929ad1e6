"""`kiwi_llm`: spacy-llm's component without what a hospital cannot have: remote defaults, lost batches, a cache of notes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Iterable, List  # noqa: UP035

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy_llm.pipeline import LLMWrapper

from ... import contract
from ...contract import count_problem, get_modifiers, name_pipeline, set_provenance, set_relations
from ...contract.windows import halve
from ...errors import KiwiError
from ...schema import Schema
from .asking import ask
from .exchange import Failure, Prompt
from .local import LocalLlama
from .tasks import MarkupTask
from .weights import weight_files

logger = logging.getLogger("kiwi_spacy")
_SMALLEST = 40  # characters of a window that is not cut any more


class NoCache:
    """In place of spacy-llm's cache, whose keys two notes can share."""

    def initialize(self, vocab: Any, task: Any) -> None:
        """Nothing is kept."""

    def add(self, doc: Doc) -> None:
        """Nothing is kept."""

    @property
    def prompt_template(self) -> str | None:
        """None."""
        return None

    def __contains__(self, doc: Doc) -> bool:
        return False

    def __getitem__(self, doc: Doc) -> Doc | None:
        return None


class KiwiLLM(LLMWrapper):
    """Runs a task of ours with a model over many notes at once; a window that fails is tried again in parts."""

    def __init__(self, nlp: Language, name: str, task: MarkupTask, model: Any) -> None:
        super().__init__(name, vocab=nlp.vocab, task=task, model=model, cache=NoCache(), save_io=False)  # type: ignore[arg-type]
        self.meta: dict[str, Any] = nlp._meta
        self.windows_read = 0
        self._told: set[str] = set()

    @property
    def schema(self) -> Schema:
        """The task's schema."""
        return self._task.schema  # type: ignore[attr-defined, no-any-return]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the task's answers use."""
        return self._task.labels  # type: ignore[attr-defined, no-any-return]

    @property
    def model(self) -> Any:
        """What answers the prompts."""
        return self._model

    @property
    def base_files(self) -> list[Path]:
        """The files of base weights that lie outside the pipeline, none where a server has them."""
        return weight_files(self._model.base) if isinstance(self._model, LocalLlama) else []

    def with_model(self, model: Any) -> "KiwiLLM":
        """Return a component of the same task with another model."""
        other = copy(self)
        other._model = model
        return other

    def to_device(self, device: str) -> None:
        """Compute elsewhere, from the next note on: cpu, cuda or mps; a server computes where it is."""
        if isinstance(self._model, LocalLlama):
            self._model.to_device(device)

    def __call__(self, doc: Doc) -> Doc:
        """Return a Doc with its annotations."""
        return next(self._annotate([doc], _raise))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 16) -> Iterator[Doc]:
        """Yield the Docs of a stream, in order, each as soon as its windows are done; a Doc that fails loses no other.

        batch_size (int): Docs that are taken from the stream at a time, and whose windows are answered together.
        """
        error_handler = self.get_error_handler()
        docs = iter(stream)
        while batch := list(islice(docs, batch_size)):
            yield from self._annotate(batch, lambda doc, error: error_handler(self._name, self, [doc], error))

    @property
    def links_given_spans(self) -> bool:
        """Whether `link` can be used: a local model answers, and its task names links."""
        return isinstance(self._model, LocalLlama) and self._task.kind != "entities"  # type: ignore[attr-defined]

    def link(self, docs: Sequence[Doc]) -> list[Doc]:
        """Link the entities and modifiers that Docs have already, and find no others; links are within a window."""
        task: MarkupTask = self._task  # type: ignore[assignment]
        spans = [[*doc.ents, *get_modifiers(doc)] for doc in docs]

        def inside(i: int, start: int, end: int) -> list[Span]:
            return [span for span in spans[i] if start <= span.start_char and span.end_char <= end]

        def prompt(i: int, start: int, end: int) -> Prompt:
            given = [(span.start_char - start, span.end_char - start, span.label_) for span in inside(i, start, end)]
            return Prompt(
                task.instruction, docs[i].text[start:end], task.schema, shots=task.shots, given=given, only_links=True
            )

        for i, answers in self._ask(docs, [task.windows(doc) for doc in docs], prompt):
            links: list[tuple[Span, Span, float]] = []
            failures = []
            for (start, end), reply in answers:
                if isinstance(reply, Failure):
                    count_problem(docs[i], "window without an answer")
                    failures.append(contract.Failure(start, end, str(reply)))
                    continue
                here = inside(i, start, end)
                for head, modifier, score in reply.found.links:
                    pair = [here[_nearest(here, start, reply.found.spans[j])] for j in (head, modifier)]
                    links.append((pair[0], pair[1], score))
            if failures:
                contract.set_failures(docs[i], [*contract.get_failures(docs[i]), *failures])
            set_relations(docs[i], links, task.schema)
        return list(docs)

    def _process_docs(self, docs: List[Doc]) -> List[Doc]:  # noqa: UP006
        return list(self._annotate(docs, _raise))

    def _annotate(self, docs: Sequence[Doc], failed: Callable[[Doc, Exception], None]) -> Iterator[Doc]:
        """Yield the Docs, annotated, in order; `failed` gets those that could not be cut or filled, and why."""
        task: MarkupTask = self._task  # type: ignore[assignment]
        texts = [doc.text for doc in docs]
        windows: list[list[tuple[int, int]]] = []
        bad: dict[int, Exception] = {}
        for i, doc in enumerate(docs):
            try:
                windows.append(task.windows(doc))
            except KiwiError:
                raise
            except Exception as error:
                windows.append([])
                bad[i] = error
        for i, found in self._ask(docs, windows, lambda i, start, end: task.prompt(docs[i], start, end, text=texts[i])):
            if i not in bad:
                try:
                    task.fill(docs[i], found)
                    set_provenance(docs[i], **name_pipeline(self.meta), engine="llama", weights=self._describe())
                except Exception as error:
                    bad[i] = error
            if i in bad:
                failed(docs[i], bad[i])
            else:
                yield docs[i]

    def _describe(self) -> str:
        return self._model.describe() if hasattr(self._model, "describe") else type(self._model).__name__

    def _ask(
        self, docs: Sequence[Doc], windows: Sequence[Sequence[tuple[int, int]]], prompt: Callable[[int, int, int], Any]
    ) -> Iterator[tuple[int, list[tuple[tuple[int, int], Any]]]]:
        """Yield, for each Doc in order, its windows and what the model says of them; too long ones are asked again in parts.

        prompt (Callable): (index of the Doc, start_char, end_char) > the prompt of a window.
        """
        todo = [(i, window) for i, own in enumerate(windows) for window in own]
        answers: list[list[tuple[tuple[int, int], Any]]] = [[] for _ in docs]
        missing = [len(own) for own in windows]
        following = 0
        while True:
            notes = [[prompt(i, *window) for i, window in own] for _, own in groupby(todo, key=lambda item: item[0])]
            self.windows_read += len(todo)
            again = []
            for k, reply in ask(self._model, notes) if todo else ():
                i, window = todo[k]
                missing[i] -= 1
                if isinstance(reply, Failure) and reply.smaller and window[1] - window[0] > _SMALLEST:
                    halves = halve(docs[i].text, *window)
                    again += [(i, half) for half in halves]
                    missing[i] += len(halves)
                else:
                    if isinstance(reply, Failure):
                        self._tell(str(reply))
                    answers[i].append((window, reply))
                while following < len(docs) and not missing[following]:
                    yield following, sorted(answers[following], key=lambda item: item[0])
                    following += 1
            if not again:
                break
            todo = sorted(again)
        for i in range(following, len(docs)):
            yield i, sorted(answers[i], key=lambda item: item[0])

    def _tell(self, reason: str) -> None:
        """Log why a window has no answer, each reason once; it holds no note text."""
        if reason not in self._told:
            self._told.add(reason)
            logger.error("%s: a window has no answer: %s. Windows like it are kept in doc._.failures.", self._name, reason)


def _raise(doc: Doc, error: Exception) -> None:
    raise error


def _nearest(given: Sequence[Span], offset: int, answered: tuple[int, int, str, float]) -> int:
    """Return the index of the given span that an answer's span is: it was widened to the model's tokens."""
    start, end, label = answered[0] + offset, answered[1] + offset, answered[2]
    gaps = [
        abs(span.start_char - start) + abs(span.end_char - end) if span.label_ == label else len(span.doc.text) * 2
        for span in given
    ]
    return gaps.index(min(gaps))
