"""The number format that both engines compute in."""

from typing import Any

import torch

from ..errors import KiwiError


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the number format: `auto` is bfloat16 where it is quick (on a CPU, one with AMX), else float32.

    RAISES (KiwiError): Another name than auto, float32, bfloat16, float16, float64.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
    if name in known:
        return known[name]
    if name != "auto":
        raise KiwiError(f"dtype is '{name}'; it must be auto or one of {', '.join(known)}.")
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "cpu":
        known_of: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if known_of.get("amx_bf16") else torch.float32
    return torch.float32


def quick(dtype: str = "auto") -> torch.autocast:
    """Return a context in which a CPU multiplies matrices of single precision in bfloat16, where `dtype` says so."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=choose_dtype(dtype, "cpu") == torch.bfloat16)
