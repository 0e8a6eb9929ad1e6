"""A pipeline's weights: where they are, their hash, and the pipeline written with them halved."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import srsly
from spacy import blank
from spacy.language import Language
from thinc.api import Model

from ..errors import TrainingError
from ..extras import extra

with extra("bert"):
    import torch

    from ..engines.bert.compat import GuardedEncoder, torch_module
    from ..engines.bert.eight_bits import pack, unpack


def _nodes(nlp: Language) -> Iterator[tuple[str, int, Model]]:
    """Yield each part of each trained component's model: the component's name, the place in its model, the part."""
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if isinstance(model, Model):  # that of kiwi_llm is none of thinc's
            for index, node in enumerate(model.walk()):
                yield name, index, node


def modules(nlp: Language) -> dict[tuple[str, int], torch.nn.Module]:
    """Return all torch modules of a pipeline by component and place in its model, in order."""
    return {(name, index): shim._model for name, index, node in _nodes(nlp) for shim in node.shims}


def parameters(nlp: Language) -> dict[tuple[str, int, str], Model]:
    """Return {component, place in its model, parameter: node} of weights outside torch, such as spaCy's own heads."""
    return {
        (name, index, parameter): node for name, index, node in _nodes(nlp)
        for parameter in node.param_names if node.has_param(parameter)
    }


def weights_hash(nlp: Language) -> str:
    """Return the first 16 hex digits of the SHA-256 over all weights, in the order of the pipeline."""
    digest = hashlib.sha256()
    for module in modules(nlp).values():
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_halved(nlp: Language, path: Path, *, eight_bits: bool = False) -> Path:
    """Halve the weights, note their hash, write the pipeline, and return its path.

    What is written is what a load gives back, so any score of it is the shipped pipeline's own.

    eight_bits (bool): The matrices of a bert engine's encoder take eight bits a number, with a scale a row.
    RAISES (TrainingError): There is no such encoder to write in eight bits.
    """
    encoder = _rounded_encoder(nlp) if eight_bits else None
    for module in modules(nlp).values():
        if module is not encoder:
            module.half()
    if "kiwi_provenance" in nlp.pipe_names and modules(nlp):
        nlp.get_pipe("kiwi_provenance").weights = weights_hash(nlp)  # type: ignore[attr-defined]
    write(nlp, path)
    for module in modules(nlp).values():
        module.float()
    return path


def _rounded_encoder(nlp: Language) -> torch.nn.Module:
    """Give the encoder the values that eight bits hold, and have it written so; return its module."""
    shims = [shim for _, _, node in _nodes(nlp) for shim in node.shims if isinstance(shim, GuardedEncoder)]
    if not shims:
        raise TrainingError("Only an encoder of the bert engine is written in eight bits, and this pipeline has none.")
    shims[0].eight_bits = True
    module: torch.nn.Module = torch_module(shims[0])
    module.load_state_dict(unpack(pack(module.state_dict())))
    return module


def write(nlp: Language, path: Path) -> None:
    """Write a pipeline, without the words of the notes that it has read: spaCy would keep them among its strings."""
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(path)
    labels = {label for _, pipe in nlp.pipeline for label in getattr(pipe, "labels", ())}
    known = set(blank(nlp.lang or "en").vocab.strings) | labels
    srsly.write_json(path / "vocab" / "strings.json", sorted(known))
