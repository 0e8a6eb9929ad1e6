"""A pipeline's weights: where they are, their hash, and the pipeline written with them halved."""

import hashlib
import shutil
from pathlib import Path

import srsly
from spacy import blank
from spacy.language import Language
from thinc.api import Model

from ..extras import extra

with extra("bert"):
    import torch


def modules(nlp: Language) -> dict[tuple[str, int], torch.nn.Module]:
    """Return all torch modules of a pipeline by component and place in its model, in order."""
    return {
        (name, index): shim._model
        for name, pipe in nlp.pipeline if hasattr(pipe, "model")
        for index, node in enumerate(pipe.model.walk())
        for shim in node.shims
    }


def parameters(nlp: Language) -> dict[tuple[str, int, str], Model]:
    """Return {component, place in its model, parameter: node} of weights outside torch, such as spaCy's own heads."""
    return {
        (name, index, parameter): node
        for name, pipe in nlp.pipeline if hasattr(pipe, "model")
        for index, node in enumerate(pipe.model.walk())
        for parameter in node.param_names if node.has_param(parameter)
    }


def weights_hash(nlp: Language) -> str:
    """Return the first 16 hex digits of the SHA-256 over all weights, in the order of the pipeline."""
    digest = hashlib.sha256()
    for module in modules(nlp).values():
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_halved(nlp: Language, path: Path) -> Path:
    """Halve the weights, note their hash, write the pipeline, and return its path.

    What is written is what a load gives back, so any score of it is the shipped pipeline's own.
    """
    for module in modules(nlp).values():
        module.half()
    if "kiwi_provenance" in nlp.pipe_names:
        nlp.get_pipe("kiwi_provenance").weights = weights_hash(nlp)  # type: ignore[attr-defined]
    write(nlp, path)
    for module in modules(nlp).values():
        module.float()
    return path


def write(nlp: Language, path: Path) -> None:
    """Write a pipeline, without the words of the notes that it has read: spaCy would keep them among its strings."""
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(path)
    labels = {label for _, pipe in nlp.pipeline for label in getattr(pipe, "labels", ())}
    known = set(blank(nlp.lang or "en").vocab.strings) | labels
    srsly.write_json(path / "vocab" / "strings.json", sorted(known))
