"""A small head that foresees where an answer will hold tags, so that decoding drafts them: it changes the speed alone.

The prompt holds the note, so what is known of it when it has been read says most of the answer: states of a layer two thirds
up the model, of the tokens around a place, are classified into what stands there between two source tokens.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

DRAFTS_FILE = "drafts.safetensors"
_AROUND = (-1, 0, 1, 2, 3, 4)  # source tokens, from the one after a place on, whose states tell what stands there
_HIDDEN = 256
_RARE = 3  # sequences of tags seen less often are not foreseen
_ENOUGH = 60_000  # places to learn from


class Drafter(nn.Module):
    """Foresees the tags before each source token, and after the last, from states of a prompt."""

    def __init__(self, width: int, layer: int, sequences: Sequence[Sequence[int]]) -> None:
        """Build a head; width: of the model; layer: whose states it reads; sequences: what may stand at a place, as tokens."""
        super().__init__()
        self.layer, self.sequences = layer, [list(sequence) for sequence in sequences]
        self.inner = nn.Linear(len(_AROUND) * width, _HIDDEN)
        self.outer = nn.Linear(_HIDDEN, len(sequences))

    def forward(self, around: Tensor) -> Tensor:
        """Return logits (places, sequences) of what `look_around` gives."""
        made: Tensor = self.outer(F.dropout(F.gelu(self.inner(around)), 0.2, self.training))
        return made

    def foresee(self, states: Tensor) -> dict[int, list[int]]:
        """Return place > tags, where there are any, of the states (source tokens, width) of its layer."""
        best = self(look_around(states)).argmax(1).tolist()
        return {place: list(self.sequences[k]) for place, k in enumerate(best) if self.sequences[k]}

    def save(self, folder: Path, name: Callable[[int], str]) -> None:
        """Write the head, in half precision, beside an adapter; name: token > its text."""
        told = {"layer": str(self.layer), "sequences": json.dumps([[name(token) for token in s] for s in self.sequences])}
        weights = {key: tensor.detach().cpu().half().contiguous() for key, tensor in self.state_dict().items()}
        save_file(weights, folder / DRAFTS_FILE, metadata=told)


def load_drafter(folder: Path, token: Callable[[str], int]) -> Drafter | None:
    """Return the head beside an adapter, if it has one; token: text of a tag > its token."""
    path = folder / DRAFTS_FILE
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        told = file.metadata()
        weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118  (it is no mapping)
    sequences = [[token(text) for text in sequence] for sequence in json.loads(told["sequences"])]
    made = Drafter(weights["inner.weight"].shape[1] // len(_AROUND), int(told["layer"]), sequences)
    made.load_state_dict(weights)
    return made.eval().requires_grad_(False)


def look_around(states: Tensor) -> Tensor:
    """Return (source tokens + 1, around * width): normed states of the tokens around each place, zeros beyond the ends."""
    normed = F.rms_norm(states.float(), states.shape[-1:])
    before, behind = -min(_AROUND), max(_AROUND) + 1
    padded = F.pad(normed, (0, 0, before, behind))
    return torch.cat([padded[before + shift : before + shift + len(states) + 1] for shift in _AROUND], 1)


def drafting_layer(model: Any) -> int:
    """Return the layer whose states are read, two thirds up: a later one knows less of what the note says."""
    return max(0, round(model.config.num_hidden_layers * 2 / 3) - 1)


@contextmanager
def watch_layer(inner: Any, layer: int) -> Iterator[list[Tensor]]:
    """Collect the states (rows, tokens, width) that a layer of a LLaMA gives in each pass."""
    seen: list[Tensor] = []
    hook = inner.layers[layer].register_forward_hook(
        lambda module, args, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    try:
        yield seen
    finally:
        hook.remove()


@dataclass
class Lesson:
    """A window to learn from: states of its source tokens (tokens, width), and the tags at each place."""

    states: Tensor
    tags: list[tuple[int, ...]]


def tags_at_places(source: Sequence[int], answer: Sequence[int], tags: Collection[int]) -> list[tuple[int, ...]]:
    """Return the tags, each a token of its own, before each source token and after the last."""
    found: list[list[int]] = [[]]
    for token in answer:
        place = len(found) - 1
        if token in tags and not (place < len(source) and token == source[place]):
            found[-1].append(token)
        elif place < len(source):
            found.append([])
    return [tuple(said) for said in found]


def choose_windows(sizes: Sequence[int], seed: int) -> list[int]:
    """Return the windows to learn from, by their number of source tokens: all, or as many of them as are enough."""
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    chosen, total = [], 0
    for i in order:
        if total >= _ENOUGH:
            break
        chosen.append(i)
        total += sizes[i] + 1
    return sorted(chosen)


def learn_drafter(lessons: Sequence[Lesson], layer: int, *, epochs: int = 6, seed: int = 0) -> Drafter:
    """Return a head that has learned from windows; half a minute on two cores for as many as are enough."""
    seen = Counter(tags for lesson in lessons for tags in lesson.tags)
    sequences: list[tuple[int, ...]] = [(), *sorted(s for s, count in seen.items() if s and count >= _RARE)]
    index = {sequence: i for i, sequence in enumerate(sequences)}
    around = torch.cat([look_around(lesson.states).bfloat16() for lesson in lessons])
    right = torch.tensor([index.get(tags, 0) for lesson in lessons for tags in lesson.tags])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Drafter(lessons[0].states.shape[1], layer, sequences).train()
        batch = 512
        steps = epochs * -(-len(around) // batch)
        optimizer = torch.optim.AdamW(made.parameters(), weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1)
        for _ in range(epochs):
            for rows in torch.randperm(len(around)).split(batch):
                loss = F.cross_entropy(made(around[rows].float()), right[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return made.eval().requires_grad_(False)
