"""Weights in eight bits: near to what they were, and the same after another round."""

import torch

from kiwi_spacy.engines.bert.eight_bits import is_packed, pack, unpack


def test_each_weight_is_off_by_half_a_step_of_its_row_at_most() -> None:
    rows = torch.randn(64, 128, generator=torch.Generator().manual_seed(1)) * torch.logspace(-4, 2, 64)[:, None]
    back = unpack(pack({"w": rows}))["w"]
    assert bool(((back - rows).abs().amax(1) <= rows.abs().amax(1) / 127 * 0.5001).all())


def test_rows_of_zeros_stay_zeros_and_small_ones_stay_in_half_precision() -> None:
    state = {"zeros": torch.zeros(64, 64), "small": torch.ones(2, 3), "bias": torch.ones(8192), "ids": torch.arange(9)}
    packed = pack(state)
    assert {name: value.dtype for name, value in packed.items()} == {
        "zeros": torch.int8, "zeros.scale": torch.float32, "small": torch.float16, "bias": torch.float16, "ids": torch.int64,
    }
    back = unpack(packed)
    assert all(torch.equal(back[name].to(value.dtype), value) for name, value in state.items())


def test_a_second_round_changes_nothing() -> None:
    once = unpack(pack({"w": torch.randn(100, 100, generator=torch.Generator().manual_seed(2))}))
    assert torch.equal(unpack(pack(once))["w"], once["w"])


def test_a_state_that_is_not_packed_comes_back_as_it_is() -> None:
    state = {"layer.scale": torch.ones(4), "layer": torch.ones(4, 4)}
    assert not is_packed(state)
    assert unpack(state) == state
