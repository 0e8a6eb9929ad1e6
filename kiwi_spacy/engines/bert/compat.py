"""Private names of thinc and spacy-transformers, all in one place, and what makes their torch layers safe among threads.

thinc switches a module to `eval` for every prediction and back to `train` after it. Another thread that computes
meanwhile does so with dropout, and its result is wrong without a word. Here modules rest in `eval`, and a lock lets one
pass through a module at a time, so that a step of training never meets a prediction.
"""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import srsly
import torch
from spacy_transformers.layers.hf_shim import HFShim
from thinc.api import Model, PyTorchWrapper
from thinc.shims.pytorch import PyTorchShim
from transformers import AutoModel

from ..workers import EngineLock
from .eight_bits import is_packed, pack, unpack


class _Guarded:
    """Comes before a shim of thinc: one pass at a time, and the module in `eval` except while a step of training reads."""

    _model: Any
    _mixed_precision: bool
    lock: EngineLock

    def predict(self, inputs: Any) -> Any:
        with self.lock, torch.no_grad(), torch.autocast("cuda", enabled=self._mixed_precision):
            rest(self._model)
            return self._model(*inputs.args, **inputs.kwargs)

    def begin_update(self, inputs: Any) -> Any:
        with self.lock:
            try:
                return super().begin_update(inputs)  # type: ignore[misc]
            finally:
                self._model.eval()

    def finish_update(self, optimizer: Any) -> None:
        with self.lock:
            super().finish_update(optimizer)  # type: ignore[misc]

    def from_bytes(self, bytes_data: bytes) -> Any:
        with self.lock:
            super().from_bytes(bytes_data)  # type: ignore[misc]
            if self._model is not None:
                self._model.eval()
        return self


class GuardedShim(_Guarded, PyTorchShim):
    """A torch layer of a head."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__(layer.eval())
        self.lock = EngineLock()


class GuardedEncoder(_Guarded, HFShim):
    """The encoder. With `eight_bits` its weights are written so; those read so come back in single precision."""

    def __init__(self, stock: HFShim) -> None:
        super().__init__(stock._hfmodel, model_cls=_Unpacking(self))
        self.lock = EngineLock()
        self.eight_bits = False

    def to_bytes(self) -> Any:
        written = super().to_bytes()
        if not self.eight_bits or self._model is None:
            return written
        whole = BytesIO()
        torch.save(pack(self._model.state_dict()), whole)
        return srsly.msgpack_dumps({**srsly.msgpack_loads(written), "state": whole.getvalue()})


class _Unpacking:
    """Builds the encoder of a shim, so that it takes weights in eight bits as well."""

    def __init__(self, shim: GuardedEncoder) -> None:
        self.shim = shim

    def from_config(self, config: Any) -> torch.nn.Module:
        model: torch.nn.Module = AutoModel.from_config(config)

        def unpack_once(module: torch.nn.Module, state: dict[str, torch.Tensor], *_: Any) -> None:
            hook.remove()  # else the module could not be pickled
            self.shim.eight_bits = is_packed(state)
            whole = unpack(state)
            state.clear()
            state.update(whole)

        hook = model.register_load_state_dict_pre_hook(unpack_once)
        return model


def rest(module: torch.nn.Module) -> None:
    """Switch a module to `eval` if somebody has left it in `train`; called under its lock."""
    if module.training:
        module.eval()


def torch_layer(layer: torch.nn.Module, convert_inputs: Callable[..., Any] | None = None) -> Model:
    """Return thinc's model of a torch layer that threads can share."""
    model: Model = PyTorchWrapper(layer, convert_inputs=convert_inputs)
    model.shims[0] = GuardedShim(layer)
    return model


def guard_encoder(model: Model) -> None:
    """Let threads share the encoder of spacy-transformers' model."""
    model.layers[0].shims[0] = GuardedEncoder(model.layers[0].shims[0])  # type: ignore[arg-type]


def encoder_shim(model: Model) -> GuardedEncoder:
    """Return what holds the encoder in spacy-transformers' model."""
    return model.layers[0].shims[0]  # type: ignore[return-value]


def torch_module(shim: Any) -> Any:
    """Return the torch module of a shim."""
    return shim._model


def wrap_forward(model: Model, forward: Callable[..., Any]) -> None:
    """Let `forward(stock, model, X, is_train)` compute in place of the model's own function, which it gets first."""
    model._func = partial(forward, model._func)


def set_forward(model: Model, forward: Callable[..., Any]) -> None:
    """Let `forward(model, X, is_train)` compute."""
    model._func = forward
