"""Foreseen tags: they change how many passes an answer takes, never the answer."""

import random
from pathlib import Path

import pytest
import torch

from kiwi_spacy.engines.llama.decoding import Effort, decode
from kiwi_spacy.engines.llama.drafts import Drafter, Lesson, choose_windows, learn_drafter, load_drafter, tags_at_places

from .test_decoding import LINKED, SINGLE, VOCABULARY, one_by_one, tiny_llama

SOURCES = [[random.Random(seed).randrange(20, VOCABULARY) for _ in range(n)] for seed, n in enumerate((30, 22, 22, 9, 1))]
PROMPTS = [[*source, 9] for source in SOURCES]


class Told(Drafter):
    """Foresees what it was told, in the order in which prompts are read."""

    def __init__(self, told: list[dict[int, list[int]]]) -> None:
        super().__init__(16, 0, [[]])
        self.told = list(told)

    def foresee(self, states: torch.Tensor) -> dict[int, list[int]]:
        return self.told.pop(0)


def foreseen(source: list[int], answer: list[int]) -> dict[int, list[int]]:
    return {i: list(tags) for i, tags in enumerate(tags_at_places(source, answer, LINKED.tokens)) if tags}


@pytest.mark.parametrize("seed", range(4))
def test_right_guesses_save_passes_and_wrong_ones_change_nothing(seed: int) -> None:
    model = tiny_llama(seed)
    definition = [one_by_one(model, [7, *prompt], source, LINKED, {}) for prompt, source in zip(PROMPTS, SOURCES)]
    right = [foreseen(source, answer) for source, answer in zip(SOURCES, definition)]
    draw = random.Random(seed)
    wrong = [{place: [draw.choice(LINKED.tokens)] for place in range(len(source) + 1)} for source in SOURCES]
    passes = []
    for told in (None, right, wrong):
        effort = Effort()
        found = decode(
            model, [7], PROMPTS, SOURCES, [LINKED] * len(SOURCES), block=4, effort=effort,
            drafter=None if told is None else Told(told),
        )
        assert [answer.tokens for answer in found] == definition
        passes.append(effort.passes)
    assert passes[1] < min(passes[0], passes[2])
    assert sum(map(len, right)) > 10


@pytest.mark.parametrize("seed", range(2))
def test_a_prompt_that_does_not_hold_its_source_is_not_foreseen(seed: int) -> None:
    model, drafter = tiny_llama(seed), Told([])  # nothing is asked of it
    prompts = [[9, *source] for source in SOURCES]
    found = decode(model, [], prompts, SOURCES, [SINGLE] * len(SOURCES), drafter=drafter)
    assert found[0].tokens == one_by_one(model, prompts[0], SOURCES[0], SINGLE, {})


def test_tags_stand_at_their_places() -> None:
    assert tags_at_places([20, 21], [2, 20, 5, 6, 3, 21, 5, 1], {1, 2, 3, 5, 6}) == [(2,), (5, 6, 3), (5, 1)]
    assert tags_at_places([2, 5], [2, 5, 1], {1, 2, 5}) == [(), (), (1,)]  # a note that spells tags


def test_a_head_learns_what_states_tell_and_is_read_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lessons = []
    for _ in range(60):
        states = torch.randn(40, 16)
        begins = torch.rand(40) < 0.2  # at the place before a token
        states[:, 3] = torch.where(begins, 3.0, -3.0)
        tags = [(2,) if begins[i] else (5, 6) if i and begins[i - 1] else () for i in range(40)]
        lessons.append(Lesson(states.half(), [*tags, (5, 6) if begins[39] else ()]))
    drafter = learn_drafter(lessons[:50], 1, epochs=40)
    assert sorted(map(tuple, drafter.sequences)) == [(), (2,), (5, 6)]

    def right(head: Drafter) -> float:
        hits = total = 0
        for lesson in lessons[50:]:
            guessed = head.foresee(lesson.states)
            hits += sum(tuple(guessed.get(i, ())) == tags for i, tags in enumerate(lesson.tags))
            total += len(lesson.tags)
        return hits / total

    assert right(drafter) > 0.95
    names = {2: "<a>", 5: "</a>", 6: "<ref/>"}
    drafter.save(tmp_path, names.__getitem__)
    read = load_drafter(tmp_path, {name: token + 100 for token, name in names.items()}.__getitem__)
    assert read is not None and read.layer == 1
    assert sorted(map(tuple, read.sequences)) == [(), (102,), (105, 106)]
    guess, again = drafter.foresee(lessons[55].states), read.foresee(lessons[55].states)
    assert again == {place: [token + 100 for token in tags] for place, tags in guess.items()} and guess
    assert load_drafter(tmp_path / "none", int) is None


def test_as_many_windows_as_are_enough_are_chosen() -> None:
    assert choose_windows([10, 20, 30], 0) == [0, 1, 2]
    some = choose_windows([900] * 500, 0)
    assert 60 < len(some) < 80 and some == choose_windows([900] * 500, 0) != choose_windows([900] * 500, 1)
