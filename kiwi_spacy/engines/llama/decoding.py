"""Copy-locked decoding: constrained greedy answers, verified in blocks over many windows at a time.

What comes next is mostly known, for most of an answer is its source. So each pass takes the rest of
a block as a draft, in which tags stand where the pass before would have put them, and keeps it up
to where the model decides otherwise. The result is that of deciding token by token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from .grammar import Grammar, State


@dataclass
class Answer:
    """One window's answer: its tokens, without the end, and the probability of each among those allowed."""

    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


class RowCache(Cache):
    """Keys and values of rows of unlike length: each row writes at places of its own and overwrites what it takes back."""

    def __init__(self, layers: int, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.stores: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self.places = torch.zeros(rows, 0, dtype=torch.long)  # (rows, new tokens), set before each pass
        self.width = 0  # columns that a pass sees

    def begin(self, places: Tensor) -> Tensor:
        """Say where the next pass writes, int (rows, new tokens); return its mask, bool (rows, 1, new tokens, width)."""
        self.places = places
        self.width = max(self.width, int(places.max()) + 1)
        return torch.arange(self.width, device=places.device)[None, None, None] <= places[:, None, :, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Write (rows, heads, new tokens, size) of one layer; return all that it holds, up to the width of the pass."""
        store = self.stores[layer_idx]
        if store is None or store[0].shape[2] < self.width:
            rows, heads, _, size = key_states.shape
            shape = (rows, heads, self.width + self.width // 2 + 16, size)
            grown = key_states.new_zeros(shape), value_states.new_zeros(shape)
            if store is not None:
                for new, old in zip(grown, store):
                    new[:, :, : old.shape[2]] = old
            store = self.stores[layer_idx] = grown
        index = self.places[:, None, :, None].expand_as(key_states)
        for kept, new in zip(store, (key_states, value_states)):
            kept.scatter_(2, index, new)
        return store[0][:, :, : self.width], store[1][:, :, : self.width]

    def get_seq_length(self, layer_idx: int | None = 0) -> int:
        return self.width

    def get_max_cache_shape(self) -> int | None:
        return None


def choose(logits: Tensor, allowed: Sequence[int], bias: Mapping[int, float]) -> tuple[int, float]:
    """Return the best of the allowed tokens, the first of equals, and its probability among them; logits (vocabulary,)."""
    scores = logits[list(allowed)].double()
    if bias:
        scores = scores + torch.tensor([bias.get(token, 0.0) for token in allowed], dtype=scores.dtype, device=scores.device)
    best = int((scores == scores.max()).nonzero()[0, 0])
    return allowed[best], float(scores.softmax(0)[best])


def decode(
    model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]], grammar: Grammar,
    *, block: int = 32, bias: Mapping[int, float] | None = None,
) -> list[Answer]:
    """Return the copy-locked greedy answer for each source.

    model: A causal language model of transformers, LLaMA's kind, that takes a cache and a 4D mask.
    prefix (Sequence[int]): Tokens that all prompts begin with; computed once for all.
    prompts (Sequence[Sequence[int]]): What follows the prefix before each answer; not empty.
    sources (Sequence[Sequence[int]]): The tokens that each answer copies.
    block (int): Tokens of an answer that a pass looks ahead.
    bias (Mapping | None): token > what is added to its logit, such as a bias on opening tags.
    RAISES (ValueError): A prompt is empty, so nothing would decide its answer's first token.
    """
    if not sources:
        return []
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("Each prompt needs at least one token after the shared prefix.")
    with torch.inference_mode():
        return _Run(model, prefix, prompts, sources, grammar, block, bias or {}).answers()


class _Run:
    def __init__(
        self, model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
        grammar: Grammar, block: int, bias: Mapping[int, float],
    ) -> None:
        self.model, self.grammar, self.block, self.bias = model, grammar, block, bias
        self.sources = sources
        rows = len(sources)
        self.found = [Answer() for _ in range(rows)]
        self.states = [State() for _ in range(rows)]
        self.cache = RowCache(model.config.num_hidden_layers, rows)
        self.written = [0] * rows  # tokens of each row whose keys are final
        self.pending = [list(prompt) for prompt in prompts]  # final tokens that are not computed yet
        self.drafts: list[list[int]] = [self.draft(row, self.states[row], {}) for row in range(rows)]
        if prefix:
            self.share(prefix)

    def share(self, prefix: Sequence[int]) -> None:
        """Compute the prefix in one row and copy it to all."""
        rows, self.cache.rows = self.cache.rows, 1
        self.forward([list(prefix)], [0])
        self.cache.rows = rows
        self.cache.stores = [
            (store[0].repeat(rows, 1, 1, 1), store[1].repeat(rows, 1, 1, 1)) for store in self.cache.stores if store
        ]
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
        return self.model.model(
            input_ids=padded, attention_mask=hidden, position_ids=places, past_key_values=self.cache, use_cache=True
        ).last_hidden_state

    def draft(self, row: int, state: State, wanted: Mapping[int, int]) -> list[int]:
        """Return a guess of what follows: the source, with the tags `wanted` before its tokens where they are legal."""
        source = self.sources[row]
        tokens: list[int] = []
        while len(tokens) < self.block and not self.grammar.ended(state, source):
            allowed = self.grammar.allowed(state, source)
            guess = wanted.get(state.place)
            if guess is not None and guess in allowed and not state.partial:
                wanted = {place: token for place, token in wanted.items() if place != state.place}
            else:
                guess = allowed[0]
            tokens.append(guess)
            state = self.grammar.step(state, guess, source)
        return tokens

    def answers(self) -> list[Answer]:
        """Go on until every row has ended."""
        live = list(range(len(self.sources)))
        live = [row for row in live if not self.grammar.ended(self.states[row], self.sources[row])]
        while live:
            tokens = [self.pending[row] + self.drafts[row] if row in live else [0] for row in range(len(self.sources))]
            hidden = self.forward(tokens, self.written)
            for row in live:
                first = len(self.pending[row]) - 1  # its logits decide the first token of the draft
                self.verify(row, self.model.lm_head(hidden[row, first : len(tokens[row])]))
            live = [row for row in live if not self.grammar.ended(self.states[row], self.sources[row])]
        return self.found

    def verify(self, row: int, logits: Tensor) -> None:
        """Keep the draft up to the first other decision, make that decision, and guess anew."""
        source, state, draft = self.sources[row], self.states[row], self.drafts[row]
        answer, kept = self.found[row], 0
        decided = None
        for guess in [*draft, None]:
            if self.grammar.ended(state, source):
                break
            token, probability = choose(logits[kept], self.grammar.allowed(state, source), self.bias)
            answer.tokens.append(token)
            answer.probabilities.append(probability)
            state = self.grammar.step(state, token, source)
            if token != guess:
                decided = token
                break
            kept += 1
        self.written[row] += len(self.pending[row]) + kept
        self.pending[row] = [] if decided is None else [decided]
        # What the rest of this pass says of the places behind is of another past, but mostly right.
        wanted: dict[int, int] = {}
        ahead = self.states[row]
        for index, guess in enumerate(draft):
            if index > kept and not ahead.partial:
                token, _ = choose(logits[index], self.grammar.allowed(ahead, source), self.bias)
                if token != (source[ahead.place] if ahead.place < len(source) else None):
                    wanted.setdefault(ahead.place, token)
            ahead = self.grammar.step(ahead, guess, source)
        self.states[row] = state
        self.drafts[row] = self.draft(row, state, wanted)
