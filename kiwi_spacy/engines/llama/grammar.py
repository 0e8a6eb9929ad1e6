"""What a copy-locked answer may say next: the source's next token, or a legal tag.

An answer without its tags is the source, whatever the model prefers; so no offset is ever searched for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Tag = tuple[int, ...]  # the tokens of a tag: one reserved token, or several that spell it


@dataclass(frozen=True)
class State:
    """Where an answer stands.

    place: Source tokens written. opened: Labels open now, outermost first. filled: Whether a source
    token came since the last tag opened. partial: Tokens of a tag that is begun and not ended.
    """

    place: int = 0
    opened: tuple[str, ...] = ()
    filled: bool = True
    partial: Tag = ()


class Grammar:
    """Legal continuations of answers with tags around parts of a source.

    Tags nest; no span is empty. A tag does not begin where its first token equals the source's next
    one: a note that spells a tag is copied, never read as markup.
    """

    def __init__(
        self, opening: Mapping[str, Sequence[int]], closing: Mapping[str, Sequence[int]], end: int,
        may_open: Callable[[tuple[str, ...], str], bool],
    ) -> None:
        """Build a grammar.

        opening, closing (Mapping): label > the tag's tokens; labels may share a closing tag.
        end (int): The token that ends an answer.
        may_open (Callable): (labels open now, label) > whether it may open inside them.
        RAISES (ValueError): A tag is empty, or begins another, so that they cannot be told apart.
        """
        self.opening = {label: tuple(tokens) for label, tokens in opening.items()}
        self.closing = {label: tuple(tokens) for label, tokens in closing.items()}
        self.end = end
        self.may_open = may_open
        if len(set(self.opening.values())) < len(self.opening):
            raise ValueError("Two labels have the same opening tag.")
        tags = {*self.opening.values(), *self.closing.values()}
        for tag in tags:
            if not tag or tag[0] == end or any(tag != other and other[: len(tag)] == tag for other in tags):
                raise ValueError(f"Tag {tag} is empty, begins another tag or is the end of an answer.")

    def _tags(self, state: State, source: Sequence[int]) -> list[Tag]:
        """Return the whole tags that are legal at a state."""
        tags = []
        if state.opened and state.filled:
            tags.append(self.closing[state.opened[-1]])
        if state.place < len(source):
            tags += [tag for label, tag in self.opening.items() if self.may_open(state.opened, label)]
            tags = [tag for tag in tags if tag[0] != source[state.place]]
        return tags

    def allowed(self, state: State, source: Sequence[int]) -> list[int]:
        """Return the tokens that may come next, the source's own first, the rest in ascending order."""
        if state.partial:
            n = len(state.partial)
            return sorted({tag[n] for tag in self._tags(state, source) if tag[:n] == state.partial})
        if state.place == len(source):
            return [self.closing[state.opened[-1]][0]] if state.opened else [self.end]
        following = source[state.place]
        return [following, *sorted({tag[0] for tag in self._tags(state, source)})]

    def step(self, state: State, token: int, source: Sequence[int]) -> State:
        """Return the state after one of the allowed tokens."""
        if not state.partial and state.place < len(source) and token == source[state.place]:
            return State(state.place + 1, state.opened, True)
        tag = (*state.partial, token)
        if state.opened and state.filled and tag == self.closing[state.opened[-1]]:
            return State(state.place, state.opened[:-1], True)
        for label, tokens in self.opening.items():
            if tag == tokens and self.may_open(state.opened, label):
                return State(state.place, (*state.opened, label), False)
        return State(state.place, state.opened, state.filled, tag)

    def ended(self, state: State, source: Sequence[int]) -> bool:
        """Whether all is copied and closed, so that only the end may follow."""
        return state.place == len(source) and not state.opened and not state.partial

    def spans(self, answer: Sequence[int], source: Sequence[int]) -> list[tuple[int, int, str]]:
        """Return the spans of a whole answer: (start, end, label), half-open, in source tokens, by their ends."""
        state, starts, spans = State(), [], []
        for token in answer:
            after = self.step(state, token, source)
            if len(after.opened) > len(state.opened):
                starts.append(after.place)
            elif len(after.opened) < len(state.opened):
                spans.append((starts.pop(), after.place, state.opened[-1]))
            state = after
        return spans
