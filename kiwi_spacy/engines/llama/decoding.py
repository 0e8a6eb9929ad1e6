"""Copy-locked decoding: constrained greedy answers, verified in blocks over many windows at a time.

What comes next is mostly known, for most of an answer is its source. So each pass takes the rest of
a block as a draft, in which tags stand where a small head foresaw them when it read the prompt (`drafts`), or
where the pass before would have put them, and keeps it up to where the model decides otherwise. The
result is that of deciding token by token. A window that has ended makes room for one that waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .cache import ATTENTION, RowCache
from .drafts import Drafter, watch_layer
from .grammar import Grammar, State

_CHEAP = 64  # tokens of a pass below which reading the weights takes longer than computing with them
_JOINING = 0.2  # of the rows that there is room for: so many at least begin together
_READ = 1000  # tokens of prompts that are read side by side, padding included
LONGEST_DRAFT = 16  # tokens of an answer that a pass looks ahead, when few rows are left
LONGEST_GUESS = 8  # source tokens of a span whose end is guessed; a wrong guess costs time alone


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
    run = _Run(model, prefix, prompts, sources, grammars, block, cache_tokens, bias or {}, drafter, effort or Effort())
    for row in run.ending():
        yield row, run.found[row]


class _Run:
    def __init__(
        self, model: Any, prefix: Sequence[int], prompts: Sequence[Sequence[int]], sources: Sequence[Sequence[int]],
        grammars: Sequence[Grammar], block: int, cache_tokens: int | None, bias: Mapping[int, float],
        drafter: Drafter | None, effort: Effort,
    ) -> None:
        self.model, self.grammars, self.block, self.effort = model, grammars, block, effort
        self.drafter, self.room = drafter, cache_tokens
        self.chooser = Chooser(model.get_output_embeddings(), grammars[0].tokens, bias)
        self.sources = sources
        rows = len(sources)
        more = [max(round(1.6 * len(source)), block) + LONGEST_DRAFT for source in sources]  # tokens of an answer, by estimate
        self.lengths = [len(prefix) + len(prompt) + n for prompt, n in zip(prompts, more)]
        self.found = [Answer() for _ in range(rows)]
        self.states = [State() for _ in range(rows)]
        self.ahead = block
        # Of the prefix, and of the rows that are open.
        needed, longest = sum(self.lengths), max(self.lengths)
        self.common = RowCache(model, len(prefix))
        self.common.reshape(1, len(prefix))
        self.cache = RowCache(model, rows * longest if cache_tokens is None else max(longest, min(cache_tokens, needed)))
        self.written = [len(prefix)] * rows  # tokens of each row whose keys are final
        self.pending = [list(prompt) for prompt in prompts]  # final tokens that are not computed yet
        self.hints: list[dict[int, list[int]]] = [{} for _ in range(rows)]  # place > tags that may come before it
        self.foreseen: list[dict[int, list[int]]] = [{} for _ in range(rows)]  # the same, by the drafter
        self.margins: list[dict[int, float]] = [{} for _ in range(rows)]  # place > how near a closing tag was
        self.drafts: list[list[int]] = [self.draft(row) for row in range(rows)]
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

    def draft(self, row: int) -> list[int]:
        """Return a guess of what follows: the source, with the hinted tags before its tokens where they are legal."""
        source, grammar, state = self.sources[row], self.grammars[row], self.states[row]
        hints = {place: list(tags) for place, tags in {**self.hints[row], **self.foreseen[row]}.items() if place >= state.place}
        for token in reversed(self.found[row].tokens):  # tags that this place has already
            if token not in self.chooser.column:
                break
            if token in hints.get(state.place, ()):
                hints[state.place].remove(token)
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

    def ending(self) -> Iterator[int]:
        """Go on until every row has ended, and yield each that has; others take its room."""
        open_rows: list[int] = []  # as they stand in the cache
        yield from [row for row in range(len(self.sources)) if self.ended(row)]
        waiting = [row for row in range(len(self.sources)) if not self.ended(row)][::-1]
        while open_rows or waiting:
            joining = self.joining(open_rows, waiting)
            if not joining:
                self.step(self.cache, open_rows)
            while joining:
                together = max(1, _READ // max(len(self.pending[row]) for row in joining))
                rows, joining = joining[:together], joining[together:]
                self.begin(self.cache.part(len(open_rows), len(rows), self.common), rows)
                open_rows += rows
            live = [i for i, row in enumerate(open_rows) if not self.ended(row)]
            if len(live) < len(open_rows):
                ended = [row for row in open_rows if self.ended(row)]
                open_rows = [open_rows[i] for i in self.cache.keep(live)]
                yield from ended

    def joining(self, open_rows: list[int], waiting: list[int]) -> list[int]:
        """Take those that there is room for from the waiting rows, the next of which is the last; none if few would."""
        if not waiting:
            return []
        longest = max(self.lengths[row] for row in (*open_rows, *waiting))
        fit = len(open_rows) + len(waiting)
        if self.room is not None:
            fit = min(fit, max(1, self.room // longest))
        if fit > 1.2 * self.cache.rows:  # the shorter the windows that are left, the more of them
            self.cache.reshape(fit, max([longest, *(self.written[row] + LONGEST_DRAFT for row in open_rows)]))
        rows = self.cache.rows
        count = min(len(waiting), rows - len(open_rows))
        if count < len(waiting) and count < _JOINING * rows:
            return []
        return [waiting.pop() for _ in range(count)]

    def ended(self, row: int) -> bool:
        return self.grammars[row].ended(self.states[row], self.sources[row])

    def begin(self, cache: RowCache, rows: list[int]) -> None:
        """Read the prompts of these rows, and foresee their tags."""
        if self.drafter is None:
            self.step(cache, rows)
            return
        asked = [self.pending[row] for row in rows]
        with watch_layer(self.model.model, self.drafter.layer) as seen:
            self.step(cache, rows)
        for i, row in enumerate(rows):
            source = self.sources[row]
            if asked[i][: len(source)] == list(source):
                self.foreseen[row] = self.drafter.foresee(seen[0][i, : len(source)])
                self.drafts[row] = self.draft(row)

    def step(self, cache: RowCache, rows: list[int]) -> None:
        """Compute a pass of these rows, which are those of the cache, and decide as far as their drafts hold."""
        self.ahead = max(self.block, min(LONGEST_DRAFT, _CHEAP // len(rows)))
        tokens = [self.pending[row] + self.drafts[row] for row in rows]
        hidden = self.forward(cache, tokens, [self.written[row] for row in rows])
        picked, own = [], []
        for i, row in enumerate(rows):
            first = len(self.pending[row]) - 1  # its state decides the first token of the draft
            picked.append(hidden[i, first : len(tokens[i])])
            own += self.own_tokens(row)
        logits = self.chooser.logits(torch.cat(picked), own)
        at = 0
        for row in rows:
            places = len(self.drafts[row]) + 1
            self.verify(row, logits[at : at + places], own[at : at + places])
            at += places

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
