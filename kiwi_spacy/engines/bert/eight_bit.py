"""Linear layers that multiply whole numbers: on a CPU an encoder predicts sooner, and finds nearly the same.

Each row of what comes in and each row of the weights has a scale of its own, so nothing has to be measured beforehand, and
notes that stand beside a note change no more than the last digits of what the layers get, which may turn a rounding here.
"""

from typing import Any

import torch
from torch.nn.functional import linear

# Seven bits of what comes in: products of two pairs then fit the 16 bits that processors without VNNI add them in.
STEPS = 63


class EightBitLinear(torch.nn.Linear):
    """A linear layer that predicts in eight bits on a CPU, and is `torch.nn.Linear` while it learns and elsewhere."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply rows (..., in) by the weights: (..., out), float32."""
        if torch.is_grad_enabled() or input.dtype != torch.float32 or input.device.type != "cpu":
            return linear(input, self.weight, self.bias)
        weight, scales, points = self._packed()
        flat = input.reshape(-1, self.in_features)
        largest = flat.abs().amax(-1, keepdim=True).clamp_min_(1e-9)
        rows = torch.addcmul(input.new_tensor(STEPS + 1.5), flat, STEPS / largest).to(torch.uint8)
        largest /= STEPS
        size = len(flat)
        rows = torch.nn.functional.pad(rows, (0, 0, 0, -size % _step(size)))
        found = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, STEPS + 1, weight, scales, points, None, 1.0, 0, torch.float32, "none", [], ""
        )[:size]
        found = found.mul_(largest) if self.bias is None else torch.addcmul(self.bias, found, largest)
        return found.view(*input.shape[:-1], self.out_features)

    def _packed(self) -> tuple[Any, torch.Tensor, torch.Tensor]:
        state = (self.weight.data_ptr(), self.weight._version)  # training changes weights in place
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != state:
            weight = self.weight.detach()
            scales = weight.abs().amax(1).clamp_min_(1e-9) / 127
            whole = (weight / scales[:, None]).round_().to(torch.int8)
            packed = torch.ops.onednn.qlinear_prepack(whole, None)
            kept = (state, packed, scales, torch.zeros(len(scales), dtype=torch.int32))
            self.__dict__["_kept"] = kept
        return kept[1:]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is packed for this processor."""
        return {key: value for key, value in self.__dict__.items() if key != "_kept"}


def _step(size: int) -> int:
    """Return what the number of rows is filled up to a multiple of.

    oneDNN keeps what it has prepared for every shape, a megabyte each.

    >>> [_step(size) for size in (1, 1000, 1500, 4000)]
    [128, 128, 256, 512]
    """
    return max(128, 1 << max(0, (size - 1).bit_length() - 3))


def available() -> bool:
    """Return whether this build of torch multiplies in eight bits."""
    return bool(torch.backends.mkldnn.is_available()) and hasattr(torch.ops.onednn, "qlinear_pointwise")


def predict_in_eight_bits(encoder: torch.nn.Module) -> None:
    """Turn all linear layers into such that predict in eight bits, once; weights and their names stay as they are."""
    for layer in encoder.modules():
        if type(layer) is torch.nn.Linear:
            layer.__class__ = EightBitLinear
