"""Copy-locked decoding: constrained greedy answers, verified in blocks over many windows at a time.

What comes next is mostly known, for most of an answer is its source. So each pass takes the rest of
a block as a draft, in which tags stand where the pass before would have put them, and keeps it up
to where the model decides otherwise. The result is that of deciding token by token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .grammar import Grammar, State

ATTENTION = "kiwi_grouped"
_CHEAP = 64  # tokens of a pass below which reading the weights takes longer than computing with them
LONGEST_DRAFT = 16  # tokens of an answer that a pass looks ahead, when few rows are left
LONGEST_GUESS = 8  # source tokens of a span whose end is guessed; a wrong guess costs time alone


def grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend with fewer key heads than query heads, without a copy of the keys for each query head.

    query (rows, heads, new, size); key, value (rows, key heads, width, size); attention_mask, additive, (rows, 1, new, width).
    """
    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    folded = query.reshape(rows, key.shape[1], groups * new, size)
    mask = attention_mask
    if mask is None and new > 1:
        width = key.shape[2]
        sees = torch.ones(new, width, dtype=torch.bool, device=query.device).tril(width - new)
        mask = torch.zeros(1, 1, new, width, dtype=query.dtype, device=query.device).masked_fill(~sees, float("-inf"))
    if mask is not None:
        mask = mask[:, :, :, : key.shape[2]].repeat(1, 1, groups, 1)
    out = F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling)
    return out.reshape(rows, heads, new, size).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, grouped_attention)


@dataclass
class Answer:
    """One window's answer: its tokens, without the end, and the probability of each among those allowed."""

    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


@dataclass
class Effort:
    """What decoding took: passes of the model, tokens that it was given, padding included, tokens of the answers."""

    passes: int = 0
    fed: int = 0
    answered: int = 0


class RowCache(Cache):
    """Keys and values of rows of unlike length: each row writes at places of its own and overwrites what it takes back."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.stores: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self.places = torch.zeros(1, 0, dtype=torch.long)  # (rows, new tokens), set before each pass
        self.width = 0  # columns that a pass sees

    def begin(self, places: Tensor) -> Tensor:
        """Say where the next pass writes, int (rows, new tokens); return its mask, bool (rows, 1, new tokens, width)."""
        self.places = places
        self.width = int(places.max()) + 1
        return torch.arange(self.width, device=places.device)[None, None, None] <= places[:, None, :, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Write (rows, heads, new tokens, size) of one layer; return all that it holds, up to the width of the pass."""
        store = self.stores[layer_idx]
        if store is None or store[0].shape[2] < self.width:
            rows, heads, _, size = key_states.shape
            shape = (rows, heads, self.width + 128, size)
            grown = key_states.new_zeros(shape), value_states.new_zeros(shape)
            if store is not None:
                for new, old in zip(grown, store):
                    new[:, :, : old.shape[2]] = old
            store = self.stores[layer_idx] = grown
        index = self.places[:, None, :, None].expand_as(key_states)
        for kept, new in zip(store, (key_states, value_states)):
            kept.scatter_(2, index, new)
        return store[0][:, :, : self.width], store[1][:, :, : self.width]

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows alone; one may be taken many times."""
        for layer, store in enumerate(self.stores):
            if store is not None:
                index = torch.tensor(list(rows), device=store[0].device)
                self.stores[layer] = (store[0].index_select(0, index), store[1].index_select(0, index))

    def get_seq_length(self, layer_idx: int | None = 0) -> int:
        return self.width

    def get_max_cache_shape(self) -> int | None:
        return None


class Chooser:
    """Decides among allowed tokens by a model's last states; only the rows of its head that can matter are computed."""

    def __init__(self, head: Any, tokens: Sequence[int], bias: Mapping[int, float]) -> None:
        """Build a chooser.

        head: The output layer, with `weight` (vocabulary, width) and perhaps `bias`.
        tokens (Sequence[int]): Every token that is not of a source: those of the tags, and the end.
        bias (Mapping): token > what is added to its logit.
        """
        self.weight, self.offset = head.weight, getattr(head, "bias", None)
        self.column = {token: i for i, token in enumerate(tokens)}
        self.index = torch.tensor(list(tokens), device=self.weight.device)
        self.rows = self.weight[self.index]
        self.bias = np.array([bias.get(token, 0.0) for token in tokens])
        self.own_bias = dict(bias)
        self.columns: dict[tuple[int, ...], np.ndarray] = {}

    def logits(self, states: Tensor, own: Sequence[int]) -> np.ndarray:
        """Return float64 (places, tokens + 1): logits of the tags' tokens and, last, of each place's own source token."""
        ids = torch.tensor(list(own), device=states.device)
        tags = states @ self.rows.T
        source = (states * self.weight[ids]).sum(1, keepdim=True)
        if self.offset is not None:
            tags, source = tags + self.offset[self.index], source + self.offset[ids][:, None]
        made = torch.cat([tags, source], 1).double().cpu().numpy()
        made[:, :-1] += self.bias
        if self.own_bias:
            made[:, -1] += [self.own_bias.get(token, 0.0) for token in own]
        return made

    def choose(self, logits: np.ndarray, allowed: Sequence[int], own: int) -> tuple[int, float]:
        """Return the best of the allowed tokens, the first of equals, and its probability among them."""
        if len(allowed) == 1:
            return allowed[0], 1.0
        first = allowed[0] == own
        rest = tuple(allowed[1:] if first else allowed)
        columns = self.columns.get(rest)
        if columns is None:
            columns = self.columns[rest] = np.array([self.column[token] for token in rest])
        scores = logits[columns]
        best = int(scores.argmax())
        top = float(scores[best])
        if first:
            source = float(logits[-1])
            most = max(top, source)
            total = float(np.exp(scores - most).sum()) + float(np.exp(source - most))
            if source >= top:
                return own, float(np.exp(source - most)) / total
            return rest[best], float(np.exp(top - most)) / total
        return rest[best], 1.0 / float(np.exp(scores - top).sum())


def decode(
    model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
    grammars: Sequence[Grammar], *, block: int = 6, bias: Mapping[int, float] | None = None, effort: Effort | None = None,
) -> list[Answer]:
    """Return the copy-locked greedy answer for each source.

    model: A causal language model of transformers, LLaMA's kind, that takes a cache and a 4D mask.
    prefix (Sequence[int]): Tokens that all prompts begin with; computed once for all.
    prompts (Sequence[Sequence[int]]): What follows the prefix before each answer; not empty.
    sources (Sequence[Sequence[int]]): The tokens that each answer copies.
    grammars (Sequence[Grammar]): What each answer may say; all with the same tokens.
    block (int): Tokens of an answer that a pass looks ahead, at least: with few rows left, more cost nothing.
    bias (Mapping | None): token > what is added to its logit, such as a bias on opening tags.
    effort (Effort | None): Counts what this takes.
    RAISES (ValueError): A prompt is empty, so nothing would decide its answer's first token.
    """
    if not sources:
        return []
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("Each prompt needs at least one token after the shared prefix.")
    with torch.inference_mode():
        run = _Run(model, prefix, prompts, sources, grammars, block, bias or {}, effort or Effort())
        return run.answers()


class _Run:
    def __init__(
        self, model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
        grammars: Sequence[Grammar], block: int, bias: Mapping[int, float], effort: Effort,
    ) -> None:
        self.model, self.grammars, self.block, self.effort = model, grammars, block, effort
        self.chooser = Chooser(model.get_output_embeddings(), grammars[0].tokens, bias)
        self.sources = sources
        rows = len(sources)
        self.found = [Answer() for _ in range(rows)]
        self.states = [State() for _ in range(rows)]
        self.ahead = block
        self.cache = RowCache(model.config.num_hidden_layers)
        self.written = [0] * rows  # tokens of each row whose keys are final
        self.pending = [list(prompt) for prompt in prompts]  # final tokens that are not computed yet
        self.hints: list[dict[int, list[int]]] = [{} for _ in range(rows)]  # place > tags that may come before it
        self.margins: list[dict[int, float]] = [{} for _ in range(rows)]  # place > how near a closing tag was
        self.drafts: list[list[int]] = [self.draft(row) for row in range(rows)]
        if prefix:
            self.forward([list(prefix)], [0])
            self.cache.select([0] * rows)
            self.written = [len(prefix)] * rows

    def forward(self, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Return the last layer's states for new tokens of each row, (rows, longest, width); short rows are padded."""
        longest = max(map(len, tokens))
        device = self.model.device
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens], device=device)
        # A padding token writes behind its row's end, where the next pass writes over it.
        places = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)[None]
        mask = self.cache.begin(places)
        dtype = self.model.dtype
        hidden = torch.zeros(mask.shape, dtype=dtype, device=device).masked_fill(~mask, torch.finfo(dtype).min)
        self.effort.passes += 1
        self.effort.fed += padded.numel()
        return self.model.model(
            input_ids=padded, attention_mask=hidden, position_ids=places, past_key_values=self.cache, use_cache=True
        ).last_hidden_state

    def draft(self, row: int) -> list[int]:
        """Return a guess of what follows: the source, with the hinted tags before its tokens where they are legal."""
        source, grammar, state = self.sources[row], self.grammars[row], self.states[row]
        hints = {place: list(tags) for place, tags in self.hints[row].items()}
        tokens: list[int] = []
        while len(tokens) < self.ahead and not grammar.ended(state, source):
            allowed = grammar.allowed(state, source)
            guess = allowed[0]
            waiting = hints.get(state.place)
            while waiting and not state.partial:
                hint = waiting.pop(0)
                if hint in allowed:
                    guess = hint
                    break
            opened = len(state.opened)
            state_after = grammar.step(state, guess, source)
            if len(state_after.opened) > opened:
                self.guess_end(row, state_after, hints)
            tokens.append(guess)
            state = state_after
        return tokens

    def guess_end(self, row: int, state: State, hints: dict[int, list[int]]) -> None:
        """Hint at a closing tag for the span that has just opened, unless there is one: where it came nearest to be said."""
        closing = self.grammars[row].closing[state.opened[-1]]
        if len(closing) > 1:
            return
        places = range(state.place + 1, min(state.place + LONGEST_GUESS, len(self.sources[row])) + 1)
        following = next((place for place in places if hints.get(place)), None)
        if following is not None and closing[0] in hints[following]:
            return
        ends = [place for place in places if following is None or place <= following]
        if ends:
            margins = self.margins[row]
            best = max(ends, key=lambda place: margins.get(place, -1e9))
            hints.setdefault(best, []).insert(0, closing[0])

    def answers(self) -> list[Answer]:
        """Go on until every row has ended."""
        held = list(range(len(self.sources)))  # the rows of the cache
        live = [row for row in held if not self.grammars[row].ended(self.states[row], self.sources[row])]
        while live:
            if len(live) <= 0.8 * len(held):
                self.cache.select([held.index(row) for row in live])
                held = list(live)
            going = set(live)
            self.ahead = max(self.block, min(LONGEST_DRAFT, _CHEAP // len(live)))
            tokens = [self.pending[row] + self.drafts[row] if row in going else [0] for row in held]
            hidden = self.forward(tokens, [self.written[row] for row in held])
            picked, own = [], []
            for i, row in enumerate(held):
                if row in going:
                    first = len(self.pending[row]) - 1  # its state decides the first token of the draft
                    picked.append(hidden[i, first : len(tokens[i])])
                    own += self.own_tokens(row)
            logits = self.chooser.logits(torch.cat(picked), own)
            at = 0
            for row in live:
                places = len(self.drafts[row]) + 1
                self.verify(row, logits[at : at + places], own[at : at + places])
                at += places
            live = [row for row in live if not self.grammars[row].ended(self.states[row], self.sources[row])]
        return self.found

    def own_tokens(self, row: int) -> list[int]:
        """Return, for each place of a draft and the one after it, the source token that could be copied there."""
        source, grammar, state = self.sources[row], self.grammars[row], self.states[row]
        own = []
        for guess in [*self.drafts[row], None]:
            own.append(source[state.place] if state.place < len(source) else grammar.end)
            if guess is not None:
                state = grammar.step(state, guess, source)
        return own

    def verify(self, row: int, logits: np.ndarray, own: list[int]) -> None:
        """Keep the draft up to the first other decision, make that decision, and guess anew."""
        source, grammar, state, draft = self.sources[row], self.grammars[row], self.states[row], self.drafts[row]
        answer, kept = self.found[row], 0
        decided = None
        for guess in [*draft, None]:
            if grammar.ended(state, source):
                break
            token, probability = self.chooser.choose(logits[kept], grammar.allowed(state, source), own[kept])
            state = grammar.step(state, token, source)
            self.effort.answered += 1
            if not state.done:
                answer.tokens.append(token)
                answer.probabilities.append(probability)
            if token != guess:
                decided = token
                break
            kept += 1
        self.written[row] += len(self.pending[row]) + kept
        self.pending[row] = [] if decided is None else [decided]
        # What the rest of this pass says of the places behind is of another past, but mostly right.
        hints: dict[int, list[int]] = {}
        ahead = self.states[row]
        closing = grammar.closing[next(iter(grammar.closing))][0]
        column = self.chooser.column[closing]
        for index, guess in enumerate(draft):
            if index > kept and not ahead.partial:
                token, _ = self.chooser.choose(logits[index], grammar.allowed(ahead, source), own[index])
                if token != own[index]:
                    hints.setdefault(ahead.place, []).append(token)
                elif guess == token and not ahead.opened:
                    self.margins[row][ahead.place] = float(logits[index][column] - logits[index][-1])
            ahead = grammar.step(ahead, guess, source)
        for place, tags in self.hints[row].items():
            if place > ahead.place:
                hints[place] = tags
        self.hints[row] = hints
        self.states[row] = state
        self.drafts[row] = self.draft(row)
