"""What a copy-locked answer may say next: the source's next token, or a legal tag.

An answer without its tags is the source, whatever the model prefers; so no offset is ever searched for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Tag = tuple[int, ...]  # the tokens of a tag: one of its own, or several that spell it


@dataclass(frozen=True)
class State:
    """Where an answer stands.

    place: Source tokens written. opened: Labels open now, outermost first. filled: Whether a source
    token came since the last tag opened. partial: Tokens of a tag that is begun and not ended.
    closed: Labels of the spans closed so far, in order. just: Whether a span closed last, links
    aside, so that links of it may follow. named: Labels of its links. done: The answer has ended.
    """

    place: int = 0
    opened: tuple[str, ...] = ()
    filled: bool = True
    partial: Tag = ()
    closed: tuple[str, ...] = ()
    just: bool = False
    named: tuple[str, ...] = ()
    done: bool = False


@dataclass(frozen=True)
class Marked:
    """A span of an answer, half-open, in source tokens, with the probabilities of its two tags."""

    start: int
    end: int
    label: str
    score: float


class Grammar:
    """Legal continuations of answers with tags around parts of a source.

    Spans nest; none is empty. When one has closed it may name its partners, by link tags: the first
    tag of a label means the nearest closed span of that label, the second the one before it, and so on.
    A tag does not begin where its first token equals the source's next one: a note that spells a
    tag is copied, never read as markup.
    """

    def __init__(
        self, opening: Mapping[str, Sequence[int]], closing: Mapping[str, Sequence[int]], end: int,
        may_open: Callable[[tuple[str, ...], str], bool], *, linking: Mapping[str, Sequence[int]] | None = None,
        may_link: Callable[[str, str], bool] = lambda closed, label: True,
    ) -> None:
        """Build a grammar.

        opening, closing, linking (Mapping): label > the tag's tokens; labels may share a closing tag.
        end (int): The token that ends an answer.
        may_open (Callable): (labels open now, label) > whether it may open inside them.
        may_link (Callable): (label of the span that has closed, label of an earlier one) > whether they may be linked.
        RAISES (ValueError): A tag is empty, or begins another, so that they cannot be told apart.
        """
        self.opening = {label: tuple(tokens) for label, tokens in opening.items()}
        self.closing = {label: tuple(tokens) for label, tokens in closing.items()}
        self.linking = {label: tuple(tokens) for label, tokens in (linking or {}).items()}
        self.end = end
        self.may_open = may_open
        self.may_link = may_link
        if len({*self.opening.values(), *self.linking.values()}) < len(self.opening) + len(self.linking):
            raise ValueError("Two labels have the same opening tag.")
        tags = {*self.opening.values(), *self.closing.values(), *self.linking.values()}
        for tag in tags:
            if not tag or tag[0] == end or any(tag != other and other[: len(tag)] == tag for other in tags):
                raise ValueError(f"Tag {tag} is empty, begins another tag or is the end of an answer.")
        self.tokens = sorted({token for tag in tags for token in tag} | {end})  # every token that is not of a source
        self._legal: dict[tuple[tuple[str, ...], bool, bool, tuple[str, ...]], list[Tag]] = {}

    def _links(self, state: State) -> tuple[str, ...]:
        """Return the labels that the span just closed may still name."""
        if not state.just:
            return ()
        last, before = state.closed[-1], state.closed[:-1]
        return tuple(
            label for label in self.linking
            if self.may_link(last, label) and before.count(label) > state.named.count(label)
        )

    def _tags(self, state: State, source: Sequence[int]) -> list[Tag]:
        """Return the whole tags that are legal at a state."""
        more = state.place < len(source)
        key = (state.opened, state.filled, more, self._links(state))
        tags = self._legal.get(key)
        if tags is None:
            tags = [self.closing[state.opened[-1]]] if state.opened and state.filled else []
            tags += [self.linking[label] for label in key[3]]
            if more:
                tags += [tag for label, tag in self.opening.items() if self.may_open(state.opened, label)]
            self._legal[key] = tags
        return [tag for tag in tags if tag[0] != source[state.place]] if more else tags

    def allowed(self, state: State, source: Sequence[int]) -> list[int]:
        """Return the tokens that may come next: the source's own or the end first, the rest in ascending order."""
        tags = self._tags(state, source)
        if state.partial:
            n = len(state.partial)
            return sorted({tag[n] for tag in tags if tag[:n] == state.partial})
        first = sorted({tag[0] for tag in tags})
        if state.place < len(source):
            return [source[state.place], *first]
        return first if state.opened else [self.end, *first]

    def step(self, state: State, token: int, source: Sequence[int]) -> State:
        """Return the state after one of the allowed tokens."""
        if not state.partial:
            if state.place < len(source):
                if token == source[state.place]:
                    return State(state.place + 1, state.opened, True, closed=state.closed)
            elif token == self.end:
                return State(state.place, closed=state.closed, done=True)
        tag = (*state.partial, token)
        if state.opened and state.filled and tag == self.closing[state.opened[-1]]:
            return State(state.place, state.opened[:-1], True, closed=(*state.closed, state.opened[-1]), just=True)
        for label in self._links(state):
            if tag == self.linking[label]:
                return State(
                    state.place, state.opened, state.filled, closed=state.closed, just=True, named=(*state.named, label)
                )
        for label, tokens in self.opening.items():
            if tag == tokens and self.may_open(state.opened, label):
                return State(state.place, (*state.opened, label), False, closed=state.closed)
        return State(state.place, state.opened, state.filled, tag, state.closed, state.just, state.named)

    def ended(self, state: State, source: Sequence[int]) -> bool:
        """Whether the answer has ended, or nothing but its end may follow."""
        if state.done:
            return True
        return state.place == len(source) and not state.opened and not state.partial and not self._links(state)

    def read(
        self, answer: Sequence[int], source: Sequence[int], probabilities: Sequence[float] | None = None
    ) -> tuple[list[Marked], list[tuple[int, int, float]]]:
        """Return the spans of an answer, by their ends, and its links: (later span, earlier span, probability), by index."""
        state = State()
        open_tags: list[tuple[int, float]] = []
        spans: list[Marked] = []
        links: list[tuple[int, int, float]] = []
        score = 1.0  # of the tag that is being spelt
        for token, probability in zip(answer, probabilities or [1.0] * len(answer)):
            after = self.step(state, token, source)
            score *= probability
            if len(after.opened) > len(state.opened):
                open_tags.append((after.place, score))
            elif len(after.opened) < len(state.opened):
                start, opened = open_tags.pop()
                spans.append(Marked(start, after.place, state.opened[-1], opened * score))
            elif len(after.named) > len(state.named):
                label, times = after.named[-1], after.named.count(after.named[-1])
                partners = [i for i, span in enumerate(spans[:-1]) if span.label == label]
                links.append((len(spans) - 1, partners[-times], score))
            if not after.partial:
                score = 1.0
            state = after
        return spans, links

    def write(
        self, spans: Sequence[tuple[int, int, str]], links: Sequence[tuple[int, int]], source: Sequence[int]
    ) -> tuple[list[int], int, int]:
        """Return the answer that says spans (start, end, label) and links (indices of two spans): what a model learns.

        RETURNS (tuple): The tokens with the end, and how many spans and links no legal answer could say.
        """
        # Outer spans open first; of two of one extent the label that opens at the top level is the outer.
        order = sorted(
            (i for i, (start, end, _) in enumerate(spans) if 0 <= start < end <= len(source)),
            key=lambda i: (spans[i][0], -spans[i][1], not self.may_open((), spans[i][2])),
        )
        opens: dict[int, list[int]] = {}
        for i in order:
            opens.setdefault(spans[i][0], []).append(i)
        state = State()
        answer: list[int] = []
        stack: list[int] = []
        closed: list[int] = []
        said = 0

        def say(tag: Sequence[int]) -> None:
            nonlocal state
            for token in tag:
                answer.append(token)
                state = self.step(state, token, source)

        for place in range(len(source) + 1):
            while stack and spans[stack[-1]][1] == place:
                i = stack.pop()
                say(self.closing[spans[i][2]])
                closed.append(i)
                partners = {a if b == i else b for a, b in links if i in (a, b)} & set(closed)
                for label in self.linking:
                    ranks = [j for j in reversed(closed[:-1]) if spans[j][2] == label]
                    for j in ranks:  # a nearer one that is not a partner cannot be skipped
                        if j not in partners or label not in self._links(state):
                            break
                        say(self.linking[label])
                        said += 1
            for i in opens.get(place, ()):
                tag, end = self.opening[spans[i][2]], spans[i][1]
                fits = all(end <= spans[j][1] for j in stack)
                if fits and place < len(source) and tag in self._tags(state, source):
                    say(tag)
                    stack.append(i)
            if place < len(source):
                say([source[place]])
        say([self.end])
        return answer, len(spans) - len(closed), len(links) - said


class Locked(Grammar):
    """A grammar whose top-level spans of some labels are given: answers mark these, and of the labels no others."""

    def __init__(self, free: Grammar, given: Sequence[tuple[int, int, str]], labels: Collection[str]) -> None:
        """Build a grammar for one source.

        free (Grammar): What may be said besides.
        given (Sequence): Spans (start, end, label) in source tokens, apart from each other.
        labels (Collection[str]): The labels that answers say only where they are given.
        """
        self.__dict__.update(free.__dict__)
        self.labels = frozenset(labels)
        self.starts = {start: label for start, _, label in given}
        self.ends = {start: end for start, end, _ in given}
        self._begun = sorted(self.starts)

    def _forced(self, state: State, source: Sequence[int]) -> Tag | None:
        """Return the tag that must come here, links aside."""
        opened = state.opened
        if opened and opened[0] in self.labels:
            start = max((s for s in self._begun if s < state.place), default=None)
            ends = start is not None and state.filled and self.ends[start] <= state.place
            tag = self.closing[opened[-1]] if ends else None
        elif state.place in self.starts:
            tag = self.closing[opened[-1]] if opened else self.opening[self.starts[state.place]]
        else:
            tag = None
        return None if tag and state.place < len(source) and tag[0] == source[state.place] else tag

    def _tags(self, state: State, source: Sequence[int]) -> list[Tag]:
        forced = self._forced(state, source)
        links = [self.linking[label] for label in self._links(state)]
        if forced is not None:
            tags = [forced, *links]
        else:
            inside = bool(state.opened) and state.opened[0] in self.labels
            tags = [tag for tag in super()._tags(state, source) if tag not in links]
            barred = {self.opening[label] for label in self.labels}
            if inside and len(state.opened) == 1:
                barred |= {self.closing[state.opened[0]]}
            tags = [tag for tag in tags if tag not in barred] + links
        return [tag for tag in tags if state.place == len(source) or tag[0] != source[state.place]]

    def allowed(self, state: State, source: Sequence[int]) -> list[int]:
        forced = None if state.partial else self._forced(state, source)
        if forced is None:
            return super().allowed(state, source)
        return [forced[0], *sorted({tag[0] for tag in self._tags(state, source)} - {forced[0]})]


class Linking(Grammar):
    """A grammar whose spans are all given: answers mark these, no others, and add links."""

    def __init__(self, free: Grammar, given: Sequence[tuple[int, int, str]], source: Sequence[int]) -> None:
        """Build a grammar for one source.

        free (Grammar): What spans and links may be.
        given (Sequence): Spans (start, end, label) in source tokens; those that no legal answer can say are left out.
        """
        self.__dict__.update(free.__dict__)
        self._following: dict[tuple[int, int, int, bool, Tag], int] = {}
        state = State()
        for token in free.write(given, [], source)[0]:
            self._following[self._place(state)] = token
            state = free.step(state, token, source)

    @staticmethod
    def _place(state: State) -> tuple[int, int, int, bool, Tag]:
        """Return where a state stands among the given spans, links aside."""
        return state.place, len(state.opened), len(state.closed), state.filled, state.partial

    def allowed(self, state: State, source: Sequence[int]) -> list[int]:
        following, n = self._following.get(self._place(state)), len(state.partial)
        links = {self.linking[label][n:][:1] for label in self._links(state) if self.linking[label][:n] == state.partial}
        more = {tag[0] for tag in links if n or state.place == len(source) or tag[0] != source[state.place]}
        first = [] if following is None else [following]
        return [*first, *sorted(more - set(first))]
