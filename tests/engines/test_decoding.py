"""Copy-locked decoding against its definition: one token at a time, each the best of those allowed."""

import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kiwi_spacy.engines.llama import decoding
from kiwi_spacy.engines.llama.cache import ATTENTION, RowCache
from kiwi_spacy.engines.llama.decoding import decode
from kiwi_spacy.engines.llama.grammar import Grammar, Linking, Locked, State

END, VOCABULARY = 1, 40
SINGLE = Grammar({"a": [2], "b": [3], "in": [4]}, {"a": [5], "b": [5], "in": [6]}, END, lambda opened, label: (
    not opened if label != "in" else "in" not in opened and len(opened) < 2
))
SPELT = Grammar(
    {"a": [10, 11, 12], "b": [10, 11, 13, 14]}, {"a": [10, 15], "b": [10, 15]}, END, lambda opened, label: len(opened) < 2
)
LINKED = Grammar(
    {"a": [2], "b": [3]}, {"a": [5], "b": [5]}, END, lambda opened, label: len(opened) < 2, linking={"a": [6], "b": [7, 8]},
    may_link=lambda closed, label: closed != label,
)


def tiny_llama(seed: int) -> LlamaForCausalLM:
    """A random LLaMA-3-shaped model (grouped keys) in double precision."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.7, rope_theta=500000.0,
    )
    model = LlamaForCausalLM(config).double().eval()
    model.config._attn_implementation = ATTENTION
    return model


def one_by_one(model: LlamaForCausalLM, prompt: list[int], source: list[int], grammar: Grammar, bias: dict) -> list[int]:
    """The definition: no cache, no block, no batch, the whole vocabulary, transformers' own attention."""
    model.config._attn_implementation = "sdpa"
    state, answer = State(), []
    while not grammar.ended(state, source):
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + answer])).logits[0, -1]
        allowed = grammar.allowed(state, source)
        scores = [float(logits[token]) + bias.get(token, 0.0) for token in allowed]
        token = allowed[scores.index(max(scores))]
        state = grammar.step(state, token, source)
        if not state.done:
            answer.append(token)
    model.config._attn_implementation = ATTENTION
    return answer


@pytest.mark.parametrize("grammar", [SINGLE, SPELT, LINKED], ids=["single", "spelt", "linked"])
@pytest.mark.parametrize("block, cheap, room", [(1, 0, None), (3, 0, 250), (16, 0, 160), (2, 40, 1), (3, 40, 1000)])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_equal_token_by_token(
    grammar: Grammar, block: int, cheap: int, room: int | None, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_CHEAP", cheap)
    model = tiny_llama(seed)
    draw = random.Random(seed)
    # Source tokens from the whole vocabulary, tags and the end included: any note is legal input.
    sources = [[draw.randrange(VOCABULARY) for _ in range(length)] for length in (33, 0, 20, 18, 7, 7, 1)]
    prompts = [[draw.randrange(VOCABULARY) for _ in range(draw.randrange(1, 9))] for _ in sources]
    prefix = [7, 8, 9]
    bias = {2: 0.5, 10: -0.5}
    found = decode(model, prefix, prompts, sources, [grammar] * len(sources), block=block, cache_tokens=room, bias=bias)
    tags = 0
    for answer, prompt, source in zip(found, prompts, sources):
        assert answer.tokens == one_by_one(model, prefix + prompt, source, grammar, bias)
        assert len(answer.probabilities) == len(answer.tokens) and all(0 < p <= 1 for p in answer.probabilities)
        tags += len(answer.tokens) - len(source)
        spans, links = grammar.read(answer.tokens, source, answer.probabilities)
        assert all(0 <= span.start < span.end <= len(source) and 0 < span.score <= 1 for span in spans)
        assert all(early < late and spans[early].label != spans[late].label for late, early, _ in links)
    assert tags > 0  # the models do tag, so the blocks were interrupted


def test_ties_go_to_the_source() -> None:
    model = tiny_llama(0)
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every token ties at every step
    source = [20, 21, 22, 23]
    (answer,) = decode(model, [], [[7]], [source], [SINGLE], block=3)
    assert answer.tokens == source == one_by_one(model, [7], source, SINGLE, {})


def test_spans_nest_and_are_never_empty() -> None:
    spans, links = SINGLE.read([2, 20, 4, 21, 6, 5, 22], [20, 21, 22])
    assert [(s.start, s.end, s.label) for s in spans] == [(1, 2, "in"), (0, 2, "a")] and links == []
    assert 5 not in SINGLE.allowed(State(0, ("a",), False), [20])
    assert SINGLE.allowed(State(1, ("a",), True), [20]) == [5]  # at the end only closing is left


def test_a_note_that_spells_a_tag_is_copied() -> None:
    source = [10, 11, 12, 10, 15]
    state = State()
    for token in source:
        assert SPELT.allowed(state, source)[0] == token
        state = SPELT.step(state, token, source)
    assert SPELT.ended(state, source)
    assert SPELT.read(source, source) == ([], [])
    assert SPELT.allowed(State(), source) == [10]  # a tag would begin like the note, so it waits


def test_tags_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="begins another"):
        Grammar({"a": [2], "b": [2, 3]}, {"a": [4], "b": [4]}, END, lambda opened, label: True)
    with pytest.raises(ValueError, match="same opening"):
        Grammar({"a": [2], "b": [2]}, {"a": [4], "b": [4]}, END, lambda opened, label: True)


def test_what_is_written_is_read_again() -> None:
    source = list(range(20, 32))
    draw = random.Random(1)
    for _ in range(300):
        spans, place = [], 0
        while place < len(source):
            start = place + draw.randrange(3)
            end = start + 1 + draw.randrange(3)
            if end <= len(source):
                spans.append((start, end, draw.choice("ab")))
            place = end
        links = []
        for late, (_, _, label) in enumerate(spans):
            before = [i for i in range(late) if spans[i][2] != label]
            links += [(late, early) for early in before[len(before) - draw.randrange(3) :]] if before else []
        answer, spans_lost, links_lost = LINKED.write(spans, links, source)
        assert (spans_lost, links_lost) == (0, 0) and answer[-1] == END
        read, read_links = LINKED.read(answer, source)
        assert [(s.start, s.end, s.label) for s in read] == spans
        assert sorted((late, early) for late, early, _ in read_links) == sorted(links)


def test_what_no_answer_can_say_is_counted() -> None:
    source = [20, 21, 22, 23]
    _, spans_lost, links_lost = LINKED.write([(0, 2, "a"), (1, 3, "b")], [(0, 1)], source)  # they cross
    assert (spans_lost, links_lost) == (1, 1)
    spans = [(0, 1, "a"), (1, 2, "a"), (2, 3, "b")]
    assert LINKED.write(spans, [(0, 2)], source)[1:] == (0, 1)  # the nearer "a" cannot be skipped
    assert LINKED.write(spans, [(1, 2)], source)[1:] == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_given_spans_are_said_and_no_others_of_their_labels(seed: int) -> None:
    model = tiny_llama(seed)
    draw = random.Random(seed)
    sources = [[draw.randrange(20, VOCABULARY) for _ in range(length)] for length in (4, 12, 25)]
    given = [[(0, 2, "a"), (2, 3, "a")], [(5, 12, "a")], []]
    grammars: list[Grammar] = [Locked(LINKED, spans, {"a"}) for spans in given]
    bias = {3: 2.0, 2: 5.0}  # many of both labels, were they free
    found = decode(model, [7], [[8]] * 3, sources, grammars, block=4, bias=bias)
    others = 0
    for answer, source, spans, grammar in zip(found, sources, given, grammars):
        assert answer.tokens == one_by_one(model, [7, 8], source, grammar, bias)
        marked, _ = grammar.read(answer.tokens, source)
        assert [(s.start, s.end, s.label) for s in marked if s.label == "a"] == spans
        others += sum(s.label == "b" for s in marked)
        assert [t for t in answer.tokens if t >= 20] == source
    assert others > 0


@pytest.mark.parametrize("seed", range(4))
def test_with_all_spans_given_links_alone_are_decided(seed: int) -> None:
    model = tiny_llama(seed)
    draw = random.Random(seed)
    sources = [[draw.randrange(20, VOCABULARY) for _ in range(length)] for length in (6, 14, 9)]
    given = [
        [(0, 2, "a"), (2, 3, "b"), (3, 4, "a"), (4, 5, "a")],  # one ends where the next begins
        [(1, 6, "b"), (2, 4, "a"), (8, 9, "b"), (10, 14, "a")],
        [],
    ]
    grammars: list[Grammar] = [Linking(LINKED, spans, source) for spans, source in zip(given, sources)]
    bias = {6: 3.0, 7: 3.0, 2: 5.0}
    found = decode(model, [7], [[8]] * 3, sources, grammars, block=4, bias=bias)
    links = 0
    for answer, source, spans, grammar in zip(found, sources, given, grammars):
        assert answer.tokens == one_by_one(model, [7, 8], source, grammar, bias)
        marked, linked = grammar.read(answer.tokens, source)
        assert sorted((s.start, s.end, s.label) for s in marked) == spans
        assert [t for t in answer.tokens if t >= 20] == source
        links += len(linked)
    assert links > 0


def test_the_cache_is_divided_anew_within_its_memory() -> None:
    cache = RowCache(tiny_llama(0), 24)
    memory = [block.data_ptr() for block in cache.blocks]

    def first_rows(width: int) -> list[list[list[float]]]:
        return [store[:2, :width, -1, -1].tolist() for store in cache.stores]

    cache.reshape(2, 12)
    for store in cache.stores:
        store[:] = torch.arange(24.0).reshape(2, 12)[:, :, None, None]
    short = [[list(range(6)), list(range(12, 18))]] * len(memory)
    cache.reshape(4, 6)
    assert first_rows(6) == short
    cache.reshape(3, 8)  # rows move up, the last of them first
    assert first_rows(6) == short
    assert [block.data_ptr() for block in cache.blocks] == memory  # new memory beside it would double what is held
    cache.reshape(4, 9)
    assert first_rows(6) == short
    assert all(len(block) == 36 for block in cache.blocks)
