"""Copy-locked decoding against its definition: one token at a time, each the best of those allowed."""

import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kiwi_spacy.engines.llama.decoding import choose, decode
from kiwi_spacy.engines.llama.grammar import Grammar, State

END, VOCABULARY = 1, 40
SINGLE = Grammar({"a": [2], "b": [3], "in": [4]}, {"a": [5], "b": [5], "in": [6]}, END, lambda opened, label: (
    not opened if label != "in" else "in" not in opened and len(opened) < 2
))
SPELT = Grammar(
    {"a": [10, 11, 12], "b": [10, 11, 13, 14]}, {"a": [10, 15], "b": [10, 15]}, END, lambda opened, label: len(opened) < 2
)


def tiny_llama(seed: int) -> LlamaForCausalLM:
    """A random LLaMA-3-shaped model (grouped keys) in double precision."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.7, rope_theta=500000.0,
    )
    return LlamaForCausalLM(config).double().eval()


def one_by_one(model: LlamaForCausalLM, prompt: list[int], source: list[int], grammar: Grammar, bias: dict) -> list[int]:
    """The definition: no cache, no block, no batch."""
    state, answer = State(), []
    while not grammar.ended(state, source):
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + answer])).logits[0, -1]
        token, _ = choose(logits, grammar.allowed(state, source), bias)
        answer.append(token)
        state = grammar.step(state, token, source)
    return answer


@pytest.mark.parametrize("grammar", [SINGLE, SPELT], ids=["single", "spelt"])
@pytest.mark.parametrize("block", [1, 3, 16])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_equal_token_by_token(grammar: Grammar, block: int, seed: int) -> None:
    model = tiny_llama(seed)
    draw = random.Random(seed)
    # Source tokens from the whole vocabulary, tags and the end included: any note is legal input.
    sources = [[draw.randrange(VOCABULARY) for _ in range(length)] for length in (0, 1, 7, 20, 33)]
    prompts = [[draw.randrange(VOCABULARY) for _ in range(draw.randrange(1, 9))] for _ in sources]
    prefix = [7, 8, 9]
    bias = {2: 0.5, 10: -0.5}
    found = decode(model, prefix, prompts, sources, grammar, block=block, bias=bias)
    tags = 0
    for answer, prompt, source in zip(found, prompts, sources):
        assert answer.tokens == one_by_one(model, prefix + prompt, source, grammar, bias)
        assert len(answer.probabilities) == len(answer.tokens) and all(0 < p <= 1 for p in answer.probabilities)
        tags += len(answer.tokens) - len(source)
        for start, end, _ in grammar.spans(answer.tokens, source):
            assert 0 <= start < end <= len(source)
    assert tags > 0  # the models do tag, so the blocks were interrupted


def test_ties_go_to_the_source() -> None:
    model = tiny_llama(0)
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every token ties at every step
    source = [20, 21, 22, 23]
    (answer,) = decode(model, [], [[7]], [source], SINGLE, block=3)
    assert answer.tokens == source == one_by_one(model, [7], source, SINGLE, {})


def test_spans_nest_and_are_never_empty() -> None:
    assert SINGLE.spans([2, 20, 4, 21, 6, 5, 22], [20, 21, 22]) == [(1, 2, "in"), (0, 2, "a")]
    assert 5 not in SINGLE.allowed(State(0, ("a",), False), [20])
    assert SINGLE.allowed(State(1, ("a",), True), [20]) == [5]  # at the end only closing is left


def test_a_note_that_spells_a_tag_is_copied() -> None:
    source = [10, 11, 12, 10, 15]
    state = State()
    for token in source:
        assert SPELT.allowed(state, source)[0] == token
        state = SPELT.step(state, token, source)
    assert SPELT.ended(state, source)
    assert SPELT.spans(source, source) == []
    assert SPELT.allowed(State(), source) == [10]  # a tag would begin like the note, so it waits


def test_tags_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="begins another"):
        Grammar({"a": [2], "b": [2, 3]}, {"a": [4], "b": [4]}, END, lambda opened, label: True)
    with pytest.raises(ValueError, match="same opening"):
        Grammar({"a": [2], "b": [2]}, {"a": [4], "b": [4]}, END, lambda opened, label: True)
