"""Instruction tuning: a LoRA adapter, and embeddings of the tags, from annotated notes.

Only answers are learned, and of an answer only what a copy-locked one decides: at each place the
next token of the source against the tags that are legal there. Prompts are those of inference.
"""

import hashlib
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from spacy.training import Example
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import DynamicCache

from ...errors import TrainingError
from ...scoring import create_scorer
from .adapter import attach, reattach, save_adapter, start_tags
from .component import KiwiLLM
from .drafts import Drafter, Lesson, choose_windows, drafting_layer, learn_drafter, tags_at_places, watch_layer
from .grammar import Grammar, State
from .local import LocalLlama, choose_dtype
from .markup import gold_answer, make_grammar, read_source, tag_texts
from .prompts import Frame, make_frame
from .settings import Settings
from .tasks import MarkupTask
from .weights import PACKAGED, load_base, load_tokenizer


@dataclass
class Window:
    """What is learned from one window: the tokens after the shared prefix, and the decisions among them.

    places (list[int]): Positions whose next token was decided. choices (list[list[int]]): The tokens allowed
    there, the right one's index in `right`.
    """

    tokens: list[int]
    places: list[int]
    choices: list[list[int]]
    right: list[int]


def make_window(prompt: Sequence[int], source: Sequence[int], answer: Sequence[int], grammar: Grammar) -> Window:
    """Return what a model learns from an answer to a prompt (the tokens after the shared prefix)."""
    window = Window([*prompt, *answer], [], [], [])
    state = State()
    for i, token in enumerate(answer):
        allowed = grammar.allowed(state, source)
        if len(allowed) > 1:
            window.places.append(len(prompt) + i - 1)
            window.choices.append(allowed)
            window.right.append(allowed.index(token))
        state = grammar.step(state, token, source)
    return window


def batches(windows: Sequence[Window], tokens: int, order: random.Random) -> list[list[Window]]:
    """Return an epoch's batches, shuffled: windows of like length together, at most `tokens` with padding."""
    mixed = sorted(windows, key=lambda w: len(w.tokens) * order.uniform(0.9, 1.1))
    made: list[list[Window]] = [[]]
    for window in mixed:
        longest = max([len(w.tokens) for w in made[-1]] + [len(window.tokens)])
        if made[-1] and longest * (len(made[-1]) + 1) > tokens:
            made.append([])
        made[-1].append(window)
    order.shuffle(made)
    return [batch for batch in made if batch]


class Head:
    """The output rows of the tokens that are ever decided on: tags, trained or not, and source tokens."""

    def __init__(self, model: Any, tags: Sequence[int]) -> None:
        layer = model.get_output_embeddings()
        self.adapter: Any = getattr(layer, "token_adapter", None)  # of peft's trainable tokens
        self.weight = (self.adapter.get_base_layer() if self.adapter is not None else layer).weight
        self.column = {token: i for i, token in enumerate(tags)}
        self.tags = torch.tensor(list(tags), device=self.weight.device)
        trained: dict[int, int] = {}
        if self.adapter is not None:
            trained = {token: i for i, token in enumerate(self.adapter.token_indices["default"])}
        self.fresh = [(i, trained[token]) for token, i in self.column.items() if token in trained]

    def tag_rows(self) -> Tensor:
        """Return the rows of all tags, (tags, width)."""
        rows = self.weight[self.tags].detach()
        if self.fresh:
            delta = self.adapter.trainable_tokens_delta["default"]
            columns = torch.tensor([i for i, _ in self.fresh], device=rows.device)
            rows = rows.to(delta.dtype).index_copy(0, columns, delta[[j for _, j in self.fresh]])
        return rows

    def loss(self, states: Tensor, batch: Sequence[Window]) -> Tensor:
        """Return the summed cross-entropy of a batch's decisions; states (rows, longest, width)."""
        rows, places, picked, allowed, right = [], [], [], [], []
        for row, window in enumerate(batch):
            for place, choices, answer in zip(window.places, window.choices, window.right):
                own = choices[0] if choices[0] not in self.column else None  # the source's next token
                columns = [self.column[token] for token in choices if token in self.column]
                rows.append(row)
                places.append(place)
                picked.append(choices[0])
                allowed.append(columns + ([len(self.column)] if own is not None else []))
                right.append(len(self.column) if choices[answer] not in self.column else self.column[choices[answer]])
        chosen = states[rows, places].float()
        tags = chosen @ self.tag_rows().float().T
        own_logits = (chosen * self.weight[picked].detach().float()).sum(1, keepdim=True)
        logits = torch.cat([tags, own_logits], 1)
        mask = torch.full_like(logits, float("-inf"))
        index = [(i, column) for i, columns in enumerate(allowed) for column in columns]
        mask[[i for i, _ in index], [column for _, column in index]] = 0.0
        return F.cross_entropy(logits + mask, torch.tensor(right, device=logits.device), reduction="sum")


def forward(model: Any, prefix: Sequence[int], batch: Sequence[Window]) -> Tensor:
    """Return the last states of a batch's tokens, (rows, longest, width). The prefix is run once, without gradient."""
    inner = model.get_base_model().model if hasattr(model, "get_base_model") else model.model
    device = next(inner.parameters()).device
    longest, n = max(len(w.tokens) for w in batch), len(prefix)
    tokens = torch.tensor([[*w.tokens, *[0] * (longest - len(w.tokens))] for w in batch], device=device)
    cache = None
    if prefix:
        with torch.no_grad():
            first = inner(input_ids=torch.tensor([list(prefix)], device=device), use_cache=True).past_key_values
        rows = (len(batch), -1, -1, -1)
        shared: Any = tuple((k.expand(rows), v.expand(rows)) for k, v in first.to_legacy_cache())
        cache = DynamicCache.from_legacy_cache(shared)
    # Padding stands at the end, where nothing looks at it.
    positions = torch.arange(n, n + longest, device=device)[None].expand(len(batch), -1)
    sees = torch.arange(n + longest, device=device)[None] <= torch.arange(n, n + longest, device=device)[:, None]
    dtype = inner.embed_tokens.weight.dtype
    hidden = torch.zeros(sees.shape, dtype=dtype, device=device).masked_fill(~sees, torch.finfo(dtype).min)
    mask = hidden[None, None].expand(len(batch), 1, -1, -1)
    return inner(
        input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state


class Tuner:
    """Trains an adapter step by step; all that it needs to go on stands in its checkpoints."""

    def __init__(
        self, model: Any, prefix: Sequence[int], windows: Sequence[Window], grammar: Grammar, settings: Settings, *,
        start: str = "",
    ) -> None:
        """Prepare a run; start (str): Names the weights that it begins with, where an adapter goes on."""
        self.model, self.prefix, self.windows, self.settings = model, list(prefix), list(windows), settings
        self.head = Head(model, grammar.tokens)
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        tags = [p for name, p in named if "trainable_tokens" in name]
        rest = [p for name, p in named if "trainable_tokens" not in name]
        groups = [{"params": rest, "rate": settings.rate}, {"params": tags, "rate": settings.tag_rate}]
        self.optimizer = torch.optim.AdamW(
            [g for g in groups if g["params"]], lr=settings.rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        # A checkpoint fits a run of the same settings over the same windows.
        told = json.dumps([asdict(settings), self.prefix, [w.tokens for w in self.windows], start])
        self.run_id = hashlib.sha256(told.encode()).hexdigest()
        self.step = 0
        self.losses: list[float] = []
        self.best = -1.0  # of `watch`
        self.plan = list(self._plan())

    def _plan(self) -> Iterator[list[Window]]:
        order = random.Random(self.settings.seed)
        left = self.settings.epochs
        while left > 0:
            epoch = batches(self.windows, self.settings.batch_tokens, order)
            yield from epoch[: math.ceil(len(epoch) * min(left, 1.0))]
            left -= 1

    def rate(self, step: int) -> float:
        """Return the part of the highest learning rate that a step takes."""
        warm = max(1, round(len(self.plan) * self.settings.warmup))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, len(self.plan) - warm)))

    def run(
        self, folder: Path | None = None, seconds: float | None = None, *, watch: Callable[[], None] | None = None,
        every: int = 0,
    ) -> bool:
        """Go on to the last step; return whether it was reached.

        folder (Path | None): Where checkpoints are written. seconds (float | None): Stop after so long.
        watch (Callable | None): Called after each `every` steps, and after the last.
        """
        self.model.train()
        begun = saved = time.monotonic()
        first = self.step
        while self.step < len(self.plan):
            batch = self.plan[self.step]
            torch.manual_seed(self.settings.seed * 1_000_003 + self.step)  # of dropout: a resumed run draws the same
            for group in self.optimizer.param_groups:
                group["lr"] = group["rate"] * self.rate(self.step)
            decisions = sum(len(w.places) for w in batch)
            with torch.autocast(self.head.weight.device.type, torch.bfloat16, enabled=self.settings.autocast):
                states = forward(self.model, self.prefix, batch)
            loss = self.head.loss(states, batch) / max(1, decisions)
            if loss.requires_grad:
                loss.backward()
                torch.nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
                self.optimizer.step()
                self.optimizer.zero_grad()
            self.step += 1
            self.losses.append(float(loss.detach()))
            now = time.monotonic()
            if folder is not None and (self.step % 10 == 0 or self.step == len(self.plan)):
                recent = self.losses[-10:]
                left = (now - begun) / (self.step - first) * (len(self.plan) - self.step)
                print(
                    f"step {self.step}/{len(self.plan)}  loss {sum(recent) / len(recent):.4f}  {left / 60:.1f} min left",
                    flush=True,
                )
            if folder is not None and (now - saved > self.settings.save_every or self.step == len(self.plan)):
                self.save(folder)
                saved = now
            if watch is not None and (self.step == len(self.plan) or (every and self.step % every == 0)):
                watch()
                self.model.train()
            if seconds is not None and now - begun > seconds and self.step < len(self.plan):
                if folder is not None:
                    self.save(folder)
                return False
        return True

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self, folder: Path) -> None:
        """Write a checkpoint; an older one is replaced only when the new one is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "weights": {name: p.detach().cpu() for name, p in self._trained().items()},
            "optimizer": self.optimizer.state_dict(), "step": self.step, "losses": self.losses,
            "best": self.best,
            "run": self.run_id,
        }
        torch.save(state, folder / "checkpoint.new")
        (folder / "checkpoint.new").replace(folder / "checkpoint.pt")

    def resume(self, folder: Path) -> bool:
        """Go back to a folder's checkpoint, if it has one; return whether it had.

        RAISES (TrainingError): It belongs to a run of other settings or data.
        """
        path = folder / "checkpoint.pt"
        if not path.is_file():
            return False
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["run"] != self.run_id:
            raise TrainingError(
                f"{path} belongs to a run of other settings. Take another --output, or delete that folder to begin anew."
            )
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.losses, self.best = state["step"], state["losses"], state["best"]
        return True


def tune(
    component: KiwiLLM, examples: Sequence[Example], output: Path, settings: Settings, *, dev: Sequence[Example] = (),
    device: str = "cpu", seconds: float | None = None,
) -> bool:
    """Tune an adapter for a component's model on annotated pieces of notes, and give it to the model.

    A model that has an adapter goes on with it: rank and alpha are that one's. With no epochs it stays as it is. A head that
    foresees tags is learned anew (`kiwi_spacy.engines.llama.drafts`), unless tags are spelt with the base's tokens.

    A run with the same settings and notes whose `output/checkpoint.pt` exists goes on from there.

    dev (Sequence[Example]): Whole notes to choose the adapter by, where `score_every` says so.
    seconds (float | None): Stop after so long, to go on another time.
    RETURNS (bool): Whether the last step was reached; the adapter is in `output/adapter`.
    RAISES (TrainingError): There is nothing to learn from, or the checkpoint belongs to another run.
    """
    task, local = component.task, component.model
    if not isinstance(task, MarkupTask) or not isinstance(local, LocalLlama):
        raise TrainingError("Only a kiwi task with kiwi.LocalLlama.v1 can be tuned; a server's model is tuned where it runs.")
    torch.manual_seed(settings.seed)
    tags = tag_texts(task.schema) if settings.own_tags else []
    tokenizer = load_tokenizer(local.base, tags, saved=local.adapter)
    frame = make_frame(tokenizer, task.instruction, task.shots)
    grammar = make_grammar(
        task.schema, tokenizer, frame.end, links=task.kind != "entities", modifiers=task.kind != "entities"
    )
    windows, said, lost = [], [], [0, 0]
    for example in examples:
        source = read_source(tokenizer, example.reference.text)
        if source.tokens:
            answer, spans, links = gold_answer(example.reference, source, grammar)
            lost = [lost[0] + spans, lost[1] + links]
            windows.append(make_window([*source.tokens, *frame.after], source.tokens, answer, grammar))
            said.append((source.tokens, answer))
    if not any(w.places for w in windows):
        raise TrainingError("No annotated notes to tune on.")
    base = _base_to_tune(local, device, len(tokenizer), settings)
    if local.adapter is not None:
        if untaught := set(tags) - set(load_tokenizer(local.base, saved=local.adapter).get_vocab()):
            raise TrainingError(
                f"The adapter in '{local.adapter}' has no tag {min(untaught)}: it has other labels. Train without --base."
            )
        model = reattach(base, local.adapter, dropout=settings.dropout)
    else:
        start_tags(base, tokenizer, tags)
        ids = tokenizer.convert_tokens_to_ids(tags)
        model = attach(base, ids, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout)
    tuner = Tuner(model, frame.before, windows, grammar, settings, start=local.describe())
    tuner.resume(output)
    print(
        f"{len(windows)} windows, {sum(len(w.tokens) for w in windows)} tokens; {lost[0]} spans and {lost[1]} links "
        f"that no answer can say; step {tuner.step} of {len(tuner.plan)}", flush=True,
    )
    name = local.base if local.base == PACKAGED else Path(local.base).name
    choosing = bool(settings.score_every and dev)

    def watch() -> None:
        save_adapter(model, tokenizer, output / "candidate", name)
        found = _score(component, dev, output / "candidate", device)
        print(f"step {tuner.step}  entities exact F1 on {len(dev)} dev notes {found:.4f}", flush=True)
        if found > tuner.best:
            tuner.best = found
            shutil.rmtree(output / "adapter", ignore_errors=True)
            shutil.copytree(output / "candidate", output / "adapter")
        tuner.save(output)

    every = max(1, round(len(tuner.plan) / settings.epochs * settings.score_every)) if choosing else 0
    if not tuner.run(output, seconds, watch=watch if choosing else None, every=every):
        return False
    if not choosing:
        save_adapter(model, tokenizer, output / "adapter", name)
    if settings.own_tags:
        drafter = _learn_drafter(model, frame, said, grammar, settings)
        drafter.save(output / "adapter", tokenizer.convert_ids_to_tokens)
    local.from_disk(output / "adapter")
    return True


def _learn_drafter(
    model: Any, frame: Frame, said: Sequence[tuple[Sequence[int], Sequence[int]]], grammar: Grammar, settings: Settings
) -> Drafter:
    """Return a head that foresees the tags of answers; said: a source and its answer, each."""
    inner = model.get_base_model().model
    layer = drafting_layer(inner)
    lessons = []
    sizes = [len(source) for source, _ in said]
    order = sorted(choose_windows(sizes, settings.seed), key=sizes.__getitem__)
    model.eval()
    with torch.no_grad(), torch.autocast(inner.device.type, torch.bfloat16, enabled=settings.autocast):
        for at in range(0, len(order), 8):
            some = order[at : at + 8]
            with watch_layer(inner, layer) as seen:
                forward(model, frame.before, [Window([*said[i][0], *frame.after], [], [], []) for i in some])
            for row, i in enumerate(some):
                source, answer = said[i]
                states = seen[-1][row, : len(source)].float().cpu().half()
                lessons.append(Lesson(states, tags_at_places(source, answer, grammar.tokens)))
    print(f"learning to foresee tags from {len(lessons)} windows", flush=True)
    return learn_drafter(lessons, layer, seed=settings.seed)


def _score(component: KiwiLLM, dev: Sequence[Example], adapter: Path, device: str) -> float:
    """Return the exact F1 of entities that a component finds with an adapter."""
    local: LocalLlama = component.model
    trial = LocalLlama(local.base, adapter=str(adapter), device=device, dtype=local.dtype, bias=local.bias)
    docs = component.with_model(trial).pipe([eg.predicted.copy() for eg in dev])
    scores = create_scorer()([Example(doc, eg.reference) for doc, eg in zip(docs, dev)])
    return float(scores["kiwi_entities_f"] or 0.0)


def _base_to_tune(local: LocalLlama, device: str, vocabulary: int, settings: Settings) -> Any:
    """Return the base in the format that it is tuned in: float32 on a CPU, bfloat16 on a GPU, four bits by QLoRA."""
    if settings.quantize is None:
        dtype = torch.float32 if device == "cpu" else choose_dtype("auto", device)
        return load_base(local.base, dtype=dtype, device=device, vocabulary=vocabulary)
    if settings.quantize != "nf4" or not device.startswith("cuda"):
        raise TrainingError(f'quantize is "{settings.quantize}" on {device}; it must be null, or "nf4" on cuda.')
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )
    model = load_base(
        local.base, dtype=torch.bfloat16, vocabulary=vocabulary, quantization_config=four_bits, device_map={"": 0}
    )
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
