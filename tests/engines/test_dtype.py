"""Bfloat16 where the processor is quick in it."""

import pytest
import torch

from kiwi_spacy.engines.llama.local import choose_dtype
from kiwi_spacy.errors import KiwiError


@pytest.mark.parametrize("able, dtype", [(True, torch.bfloat16), (False, torch.float32)], ids=["amx", "none"])
def test_auto_is_bfloat16_on_a_cpu_with_amx_alone(monkeypatch: pytest.MonkeyPatch, able: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": able, "avx512_bf16": True}, raising=False)
    assert choose_dtype("auto", "cpu") == dtype
    with pytest.raises(KiwiError, match="one of float32"):
        choose_dtype("float8", "cpu")
