"""An encoder's weights in eight bits: whole numbers from -127 to 127, with a scale for each row of a matrix.

They take half of the room of half precision in a wheel. A load gives single precision back, so nothing else changes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"  # ends the name of a packed matrix's scales
LEAST = 1024  # numbers; smaller matrices stay in half precision


def is_packable(value: Tensor) -> bool:
    """Whether a parameter is a matrix large enough to be packed; biases and norms stay as they are."""
    return value.ndim == 2 and value.is_floating_point() and value.numel() >= LEAST


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state with each large matrix as int8 (rows, columns) and its scales as single (rows,); the rest in half precision.

    A number is its whole number times the scale of its row, which is the largest of the row over 127.

    >>> packed = pack({"weight": torch.arange(-4096.0, 4096.0).view(2, 4096), "bias": torch.ones(2)})
    >>> {name: (value.dtype, tuple(value.shape)) for name, value in packed.items()}
    {'weight': (torch.int8, (2, 4096)), 'weight.scale': (torch.float32, (2,)), 'bias': (torch.float16, (2,))}
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not is_packable(value):
            packed[name] = value.half() if value.is_floating_point() else value
            continue
        rows = value.detach().float().cpu()
        scale = rows.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        packed[name] = (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
        packed[name + SCALE] = scale
    return packed


def is_packed(state: Mapping[str, Tensor]) -> bool:
    """Whether a state has matrices in eight bits."""
    return any(value.dtype == torch.int8 and name + SCALE in state for name, value in state.items())


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of a packed one, in single precision; a state that is not packed comes back as it is.

    Packing what comes back gives the same again, so that a pipeline loaded and written anew keeps its weights.
    """
    if not is_packed(state):
        return dict(state)
    scales = {name: value for name, value in state.items() if name.endswith(SCALE)}
    return {
        name: value.float() * scales[name + SCALE][:, None] if name + SCALE in scales else value
        for name, value in state.items() if name not in scales
    }
