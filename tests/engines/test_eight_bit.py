"""Linear layers in eight bits."""

import copy
import pickle

import pytest
import torch

from kiwi_spacy.engines.bert.eight_bit import EightBitLinear, available, predict_in_eight_bits

pytestmark = pytest.mark.skipif(not available(), reason="this build of torch does not multiply in eight bits")


def both(bias: bool = True) -> tuple[torch.nn.Linear, torch.nn.Linear]:
    """A linear layer, and one of the same weights that predicts in eight bits."""
    torch.manual_seed(0)
    plain = torch.nn.Linear(96, 40, bias=bias)
    eight = copy.deepcopy(plain)
    predict_in_eight_bits(torch.nn.Sequential(eight))
    assert isinstance(eight, EightBitLinear)
    return plain, eight


@pytest.mark.parametrize("bias", [True, False])
def test_products_are_close(bias: bool) -> None:
    plain, eight = both(bias)
    x = torch.randn(3, 7, 96) * torch.logspace(-3, 3, 7)[:, None]  # every row has a scale of its own
    with torch.no_grad():
        expected, found = plain(x), eight(x)
    assert found.shape == expected.shape and found.dtype == torch.float32
    error = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp_min(1e-3)
    assert 0 < error.max() < 0.03


def test_a_row_has_one_result_whatever_stands_beside_it() -> None:
    _, eight = both()
    x = torch.randn(50, 96)
    x[1:] *= 1000
    with torch.no_grad():
        assert torch.equal(eight(x)[:1], eight(x[:1]))
        assert torch.equal(eight(torch.zeros(1, 96))[0], eight.bias)


def test_largest_values_do_not_overflow() -> None:
    _, eight = both(bias=False)
    with torch.no_grad():
        eight.weight.fill_(1.0)
        found = eight(torch.ones(2, 96))
    assert torch.allclose(found, torch.full((2, 40), 96.0))


def test_training_is_that_of_a_plain_layer_and_its_steps_are_seen() -> None:
    plain, eight = both()
    x = torch.randn(5, 96)
    with torch.no_grad():
        before = eight(x)
    for layer in (plain, eight):
        layer(x).pow(2).sum().backward()
        torch.optim.SGD(layer.parameters(), lr=0.1).step()
    assert torch.equal(plain.weight, eight.weight)
    with torch.no_grad():
        after = eight(x)
        assert (after - before).abs().max() > 0.1
        assert (after - plain(x)).norm() / plain(x).norm() < 0.03


def test_names_of_weights_stay_and_copies_work() -> None:
    plain, eight = both()
    x = torch.randn(2, 96)
    with torch.no_grad():
        found = eight(x)
        assert eight.state_dict().keys() == plain.state_dict().keys()
        assert torch.equal(copy.deepcopy(eight)(x), found)
        assert torch.equal(pickle.loads(pickle.dumps(eight))(x), found)


def test_few_shapes_are_multiplied_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, eight = both()
    multiply, shapes = torch.ops.onednn.qlinear_pointwise, set()

    def noted(rows: torch.Tensor, *rest: object) -> torch.Tensor:
        shapes.add(tuple(rows.shape))
        return multiply(rows, *rest)

    monkeypatch.setattr(torch.ops.onednn, "qlinear_pointwise", noted)
    for size in range(1, 4097, 45):
        x = torch.randn(size, 96)
        with torch.no_grad():
            assert (eight(x) - plain(x)).norm() / plain(x).norm() < 0.03
    assert len(shapes) <= 16
