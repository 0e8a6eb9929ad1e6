"""Checkpoints: weights, the optimizer's moments and averages, the step and the state of the random numbers."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import srsly
from spacy.language import Language
from thinc.api import Optimizer, get_current_ops

from ..errors import TrainingError
from ..extras import extra
from .weights import modules, parameters

with extra("bert"):
    import torch


def save(nlp: Language, optimizer: Optimizer, path: Path, run: str, step: int) -> None:
    """Write a checkpoint, so that a kill at any moment leaves a whole one. run (str): The digest of the run's `Identity`."""
    fresh = path.with_name(path.name + ".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    keys = _keys(nlp)
    state: dict[str, Any] = {"step": step, "fingerprint": run}
    for name in ("mom1", "mom2", "averages"):
        table = getattr(optimizer, name) or {}
        state[name] = {
            keys[key]: torch.from_numpy(numpy.array(get_current_ops().to_numpy(value)))
            for key, value in table.items() if key in keys
        }
    state["nr_update"] = {keys[key]: int(n) for key, n in optimizer.nr_update.items() if key in keys}
    state["weights"] = {place: module.state_dict() for place, module in modules(nlp).items()}
    state["parameters"] = {
        parameter: torch.from_numpy(numpy.array(get_current_ops().to_numpy(node.get_param(parameter[2]))))
        for parameter, node in parameters(nlp).items()
    }
    state["random"] = torch.get_rng_state()
    torch.save(state, fresh / "state.pt")
    srsly.write_json(fresh / "step.json", {"step": step, "fingerprint": run})
    old = path.with_name(path.name + ".old")
    if path.exists():
        os.replace(path, old)
    os.replace(fresh, path)
    if old.exists():
        shutil.rmtree(old)


def resume(nlp: Language, optimizer: Optimizer, path: Path, run: str) -> int:
    """Load a checkpoint into pipeline and optimizer; return the steps done, 0 where there is none.

    RAISES (TrainingError): The checkpoint is of another run.
    """
    old = path.with_name(path.name + ".old")
    if not path.exists() and old.exists():  # killed between the two renames
        os.replace(old, path)
    if not path.exists():
        return 0
    state = torch.load(path / "state.pt", weights_only=True)
    if state["fingerprint"] != run:
        raise TrainingError(
            f"{path} is of another run, or of another version. Delete it to begin anew, or train into another folder."
        )
    keys = {plain: key for key, plain in _keys(nlp).items()}
    for name in ("mom1", "mom2", "averages"):
        table = getattr(optimizer, name)
        for plain, value in state[name].items():
            table[keys[plain]] = get_current_ops().asarray(value.numpy())
    for plain, n in state["nr_update"].items():
        optimizer.nr_update[keys[plain]] = n
    for place, module in modules(nlp).items():
        module.load_state_dict(state["weights"][place])
    for parameter, node in parameters(nlp).items():
        array: Any = get_current_ops().asarray(state["parameters"][parameter].numpy())
        node.set_param(parameter[2], array)
    for _ in range(state["step"]):
        optimizer.step_schedules()
    torch.set_rng_state(state["random"])
    return int(state["step"])


def _keys(nlp: Language) -> dict[tuple[int, str], tuple[str, int, str]]:
    """Return {the optimizer's key of a parameter: one that another process can know it by}."""
    keys = {}
    for name, pipe in nlp.pipeline:
        if not hasattr(pipe, "model"):
            continue
        for index, node in enumerate(pipe.model.walk()):
            for parameter in node.param_names:
                keys[node.id, parameter] = (name, index, parameter)
            for shim in node.shims:
                for parameter, _ in shim._model.named_parameters():
                    keys[shim.id, parameter] = (name, index, "torch:" + parameter)
    return keys
