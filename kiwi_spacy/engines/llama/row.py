"""One window's answer on its way: what is decided, what is guessed to follow, and what a pass of the model says of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .chooser import Chooser
from .grammar import Grammar, State

LONGEST_GUESS = 8  # source tokens of a span whose end is guessed; a wrong guess costs time alone


@dataclass
class Answer:
    """One window's answer: its tokens, without the end, and the probability of each among those allowed."""

    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


class Row:
    """A window whose answer is being decided.

    source (Sequence[int]): The tokens that the answer copies. answer (Answer): What is decided. state (State): After it.
    pending (list[int]): Final tokens that the model has not read. written (int): Tokens whose keys are final.
    drafted (list[int]): What is guessed to follow `pending`. length (int): Tokens of prompt and answer together, by estimate.
    """

    def __init__(
        self, source: Sequence[int], grammar: Grammar, chooser: Chooser, *, prompt: Sequence[int], written: int, length: int,
    ) -> None:
        self.source, self.grammar, self.chooser, self.length = source, grammar, chooser, length
        self.answer, self.state = Answer(), State()
        self.written, self.pending = written, list(prompt)
        self.drafted: list[int] = []
        self._hints: dict[int, list[int]] = {}  # place > tags that may come before it
        self._foreseen: dict[int, list[int]] = {}  # the same, by the drafter
        self._margins: dict[int, float] = {}  # place > how near a closing tag was

    @property
    def ended(self) -> bool:
        """Whether the answer is complete."""
        return self.grammar.ended(self.state, self.source)

    def foresee(self, tags: Mapping[int, Sequence[int]], ahead: int) -> None:
        """Take tags that may come before places of the source, and guess anew."""
        self._foreseen = {place: list(tokens) for place, tokens in tags.items()}
        self.draft(ahead)

    def draft(self, ahead: int) -> None:
        """Guess up to `ahead` tokens: the source, with the hinted tags before its tokens where they are legal."""
        source, grammar, state = self.source, self.grammar, self.state
        hints = {place: list(tags) for place, tags in {**self._hints, **self._foreseen}.items() if place >= state.place}
        for token in reversed(self.answer.tokens):  # tags that this place has already
            if token not in self.chooser.column:
                break
            if token in hints.get(state.place, ()):
                hints[state.place].remove(token)
        tokens: list[int] = []
        while len(tokens) < ahead and not grammar.ended(state, source):
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
                self._guess_end(state_after, hints)
            tokens.append(guess)
            state = state_after
        self.drafted = tokens

    def _guess_end(self, state: State, hints: dict[int, list[int]]) -> None:
        """Hint at a closing tag for the span that has just opened, unless there is one: where it came nearest to be said."""
        closing = self.grammar.closing[state.opened[-1]]
        if len(closing) > 1:
            return
        places = range(state.place + 1, min(state.place + LONGEST_GUESS, len(self.source)) + 1)
        following = next((place for place in places if hints.get(place)), None)
        if following is not None and closing[0] in hints[following]:
            return
        ends = [place for place in places if following is None or place <= following]
        if ends:
            best = max(ends, key=lambda place: self._margins.get(place, -1e9))
            hints.setdefault(best, []).insert(0, closing[0])

    def own_tokens(self) -> list[int]:
        """Return, for each place of the draft and the one after it, the source token that could be copied there."""
        source, grammar, state = self.source, self.grammar, self.state
        own = []
        for guess in [*self.drafted, None]:
            own.append(source[state.place] if state.place < len(source) else grammar.end)
            if guess is not None:
                state = grammar.step(state, guess, source)
        return own

    def verify(self, logits: np.ndarray, own: Sequence[int]) -> int:
        """Keep the draft up to the first other decision, and make that decision; return how many tokens were decided.

        logits (numpy.ndarray): (places, tokens + 1), as of `Chooser.logits`, for each place of the draft and the one after it.
        own (Sequence[int]): As of `own_tokens`.
        """
        source, grammar, state, answer = self.source, self.grammar, self.state, self.answer
        kept = count = 0
        decided = None
        for guess in [*self.drafted, None]:
            if grammar.ended(state, source):
                break
            token, probability = self.chooser.choose(logits[kept], grammar.allowed(state, source), own[kept])
            state = grammar.step(state, token, source)
            count += 1
            if not state.done:
                answer.tokens.append(token)
                answer.probabilities.append(probability)
            if token != guess:
                decided = token
                break
            kept += 1
        self.written += len(self.pending) + kept
        self.pending = [] if decided is None else [decided]
        self._learn_hints(logits, own, kept)
        self.state = state
        return count

    def _learn_hints(self, logits: np.ndarray, own: Sequence[int], kept: int) -> None:
        """Take hints from what the pass says of the places behind the first other decision.

        It says so of another past, but is mostly right. `kept` is how many tokens of the draft held.
        """
        source, grammar, ahead = self.source, self.grammar, self.state
        hints: dict[int, list[int]] = {}
        closing = grammar.closing[next(iter(grammar.closing))][0]
        column = self.chooser.column[closing]
        for index, guess in enumerate(self.drafted):
            if index > kept and not ahead.partial:
                token, _ = self.chooser.choose(logits[index], grammar.allowed(ahead, source), own[index])
                if token != own[index]:
                    hints.setdefault(ahead.place, []).append(token)
                elif guess == token and not ahead.opened:
                    self._margins[ahead.place] = float(logits[index][column] - logits[index][-1])
            ahead = grammar.step(ahead, guess, source)
        for place, tags in self._hints.items():
            if place > ahead.place:
                hints[place] = tags
        self._hints = hints
