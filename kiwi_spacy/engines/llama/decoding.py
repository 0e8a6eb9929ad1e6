"""Copy-locked decoding: constrained greedy answers, verified in blocks over many windows at a time.

What comes next is mostly known, for most of an answer is its source. So each pass takes the rest of
a block as a draft, in which tags stand where a small head foresaw them when it read the prompt (`drafts`), or
where the pass before would have put them, and keeps it up to where the model decides otherwise (`row`). The
result is that of deciding token by token. A window that has ended makes room for one that waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .cache import ATTENTION, RowCache
from .chooser import Chooser
from .drafts import Drafter, watch_layer
from .grammar import Grammar
from .row import Answer, Row

_CHEAP = 64  # tokens of a pass below which reading the weights takes longer than computing with them
_JOINING = 0.2  # waiting rows begin when they fill at least this part of the cache's rows, or are the last
_READ = 1000  # tokens of prompts that are read side by side, padding included
LONGEST_DRAFT = 16  # tokens of an answer that a pass looks ahead, when few rows are left


@dataclass
class Effort:
    """What decoding took: passes of the model, tokens that it was given, padding included, tokens of the answers."""

    passes: int = 0
    fed: int = 0
    answered: int = 0


def decode(
    model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
    grammars: Sequence[Grammar], *, block: int = 6, cache_tokens: int | None = None, bias: Mapping[int, float] | None = None,
    drafter: Drafter | None = None, effort: Effort | None = None,
) -> list[Answer]:
    """Return the copy-locked greedy answer for each source.

    model: A causal language model of transformers, LLaMA's kind, that takes a cache and a 4D mask.
    prefix (Sequence[int]): Tokens that all prompts begin with; computed once for all.
    prompts (Sequence[Sequence[int]]): What follows the prefix before each answer; not empty.
    sources (Sequence[Sequence[int]]): The tokens that each answer copies.
    grammars (Sequence[Grammar]): What each answer may say; all with the same tokens.
    block (int): Tokens of an answer that a pass looks ahead, at least: with few rows left, more cost nothing.
    cache_tokens (int | None): Tokens, prompts included, whose keys are held at a time: other sources wait till there is room.
        They are begun in the order given, so those of like length should stand side by side, the longest first.
    bias (Mapping | None): token > what is added to its logit, such as a bias on opening tags.
    drafter (Drafter | None): Foresees tags, where a prompt begins with its source; changes the speed alone.
    effort (Effort | None): Counts what this takes.
    RAISES (ValueError): A prompt is empty, so nothing would decide its answer's first token.
    """
    with torch.inference_mode():
        found = dict(decode_each(
            model, prefix, prompts, sources, grammars, block=block, cache_tokens=cache_tokens, bias=bias, drafter=drafter,
            effort=effort,
        ))
    return [found[row] for row in range(len(sources))]


def decode_each(
    model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
    grammars: Sequence[Grammar], *, block: int = 6, cache_tokens: int | None = None, bias: Mapping[int, float] | None = None,
    drafter: Drafter | None = None, effort: Effort | None = None,
) -> Iterator[tuple[int, Answer]]:
    """Yield (index of the source, its answer) as answers end; arguments as of `decode`.

    Gradients are the caller's to turn off, each time that it asks for the next: what a generator turns off stays so between.
    """
    if not sources:
        return
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("Each prompt needs at least one token after the shared prefix.")
    chooser = Chooser(model.get_output_embeddings(), grammars[0].tokens, bias or {})
    more = [max(round(1.6 * len(source)), block) + LONGEST_DRAFT for source in sources]  # tokens of an answer, by estimate
    rows = [
        Row(source, grammar, chooser, prompt=prompt, written=len(prefix), length=len(prefix) + len(prompt) + n)
        for source, grammar, prompt, n in zip(sources, grammars, prompts, more, strict=True)
    ]
    passes = _Passes(model, chooser, prefix, rows, block=block, cache_tokens=cache_tokens, drafter=drafter, effort=effort)
    for i in passes.ending():
        yield i, rows[i].answer


class _Passes:
    """Passes of a model over many rows: who is in the cache, what the model reads, when a row's place goes to another."""

    def __init__(
        self, model: Any, chooser: Chooser, prefix: Sequence[int], rows: Sequence[Row], *, block: int, cache_tokens: int | None,
        drafter: Drafter | None, effort: Effort | None,
    ) -> None:
        self.model, self.chooser, self.rows, self.block = model, chooser, rows, block
        self.drafter, self.room, self.effort = drafter, cache_tokens, effort or Effort()
        self.ahead = block
        # Of the prefix, and of the rows that are open.
        lengths = [row.length for row in rows]
        needed, longest = sum(lengths), max(lengths)
        self.common = RowCache(model, len(prefix))
        self.common.reshape(1, len(prefix))
        self.cache = RowCache(model, len(rows) * longest if cache_tokens is None else max(longest, min(cache_tokens, needed)))
        for row in rows:
            row.draft(self.ahead)
        if prefix:
            self.forward(self.common, [list(prefix)], [0])

    def forward(self, cache: RowCache, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Return the last layer's states for new tokens of each row, (rows, longest, width); short rows are padded."""
        longest = max(map(len, tokens))
        device, config = self.model.device, self.model.config
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens], device=device)
        # A padding token writes behind its row's end, where the next pass writes over it.
        places = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)[None]
        mask = cache.begin(places)
        dtype = self.model.dtype
        hidden = torch.zeros(mask.shape, dtype=dtype, device=device).masked_fill(~mask, torch.finfo(dtype).min)
        if config._attn_implementation == ATTENTION:
            hidden = hidden.repeat(1, 1, config.num_attention_heads // config.num_key_value_heads, 1)
        self.effort.passes += 1
        self.effort.fed += padded.numel()
        return self.model.model(
            input_ids=padded, attention_mask=hidden, position_ids=places, past_key_values=cache, use_cache=True
        ).last_hidden_state

    def ending(self) -> Iterator[int]:
        """Go on until every row has ended, and yield the index of each that has; others take its room."""
        open_rows: list[int] = []  # as they stand in the cache
        yield from [i for i, row in enumerate(self.rows) if row.ended]
        waiting = [i for i, row in enumerate(self.rows) if not row.ended][::-1]
        while open_rows or waiting:
            joining = self.joining(open_rows, waiting)
            if not joining:
                self.step(self.cache, [self.rows[i] for i in open_rows])
            while joining:
                together = max(1, _READ // max(len(self.rows[i].pending) for i in joining))
                now, joining = joining[:together], joining[together:]
                self.begin(self.cache.part(len(open_rows), len(now), self.common), [self.rows[i] for i in now])
                open_rows += now
            live = [at for at, i in enumerate(open_rows) if not self.rows[i].ended]
            if len(live) < len(open_rows):
                ended = [i for i in open_rows if self.rows[i].ended]
                open_rows = [open_rows[at] for at in self.cache.keep(live)]
                yield from ended

    def joining(self, open_rows: list[int], waiting: list[int]) -> list[int]:
        """Take those that there is room for from the waiting rows, the next of which is the last; none if few would."""
        if not waiting:
            return []
        longest = max(self.rows[i].length for i in (*open_rows, *waiting))
        fit = len(open_rows) + len(waiting)
        if self.room is not None:
            fit = min(fit, max(1, self.room // longest))
        if fit > 1.2 * self.cache.rows:  # the shorter the windows that are left, the more of them
            self.cache.reshape(fit, max([longest, *(self.rows[i].written + LONGEST_DRAFT for i in open_rows)]))
        rows = self.cache.rows
        count = min(len(waiting), rows - len(open_rows))
        if count < len(waiting) and count < _JOINING * rows:
            return []
        return [waiting.pop() for _ in range(count)]

    def begin(self, cache: RowCache, rows: Sequence[Row]) -> None:
        """Read the prompts of these rows, and foresee their tags."""
        if self.drafter is None:
            self.step(cache, rows)
            return
        asked = [row.pending for row in rows]
        with watch_layer(self.model.model, self.drafter.layer) as seen:
            self.step(cache, rows)
        for i, (row, prompt) in enumerate(zip(rows, asked, strict=True)):
            if prompt[: len(row.source)] == list(row.source):
                row.foresee(self.drafter.foresee(seen[0][i, : len(row.source)]), self.ahead)

    def step(self, cache: RowCache, rows: Sequence[Row]) -> None:
        """Compute a pass of these rows, which are those of the cache, decide as far as their drafts hold, and guess anew."""
        self.ahead = max(self.block, min(LONGEST_DRAFT, _CHEAP // len(rows)))
        tokens = [row.pending + row.drafted for row in rows]
        hidden = self.forward(cache, tokens, [row.written for row in rows])
        picked: list[Tensor] = []
        own: list[int] = []
        for i, row in enumerate(rows):
            first = len(row.pending) - 1  # its state decides the first token of the draft
            picked.append(hidden[i, first : len(tokens[i])])
            own += row.own_tokens()
        logits = self.chooser.logits(torch.cat(picked), own)
        at = 0
        for row in rows:
            places = len(row.drafted) + 1
            self.effort.answered += row.verify(logits[at : at + places], own[at : at + places])
            row.draft(self.ahead)
            at += places
