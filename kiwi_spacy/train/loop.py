"""Train a pipeline from a spaCy config, so that a killed run goes on at its step.

It reads the same `[training]` block as `spacy train` (but for `patience`, `logger` and the callbacks) and keeps,
beside the weights, the optimizer's moments and averages, the step and the state of the random numbers.
"""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import srsly
import torch
from spacy import blank, util
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import subdivide_batch
from spacy.ty import TrainableComponent
from spacy.util import registry, resolve_dot_names
from thinc.api import Config, Model, Optimizer, get_current_ops, set_gpu_allocator

from ..errors import TrainingError
from ..formats.corpus import read_examples
from ..scoring import doc_annotations

_PIECE = 160  # tokens of the pieces that notes are cut into, as in configs/bert.cfg
CHECKPOINT = "checkpoint"


def _say(line: str) -> None:
    print(line, flush=True)


def train(
    config_path: Path, output: Path, overrides: dict[str, Any] | None = None, *, base: str | None = None,
    device: str = "cpu",
) -> Path:
    """Train, write `output/model-last` (averaged weights, halved) and return its path.

    A run with the same settings whose `output/checkpoint` exists goes on from there.

    overrides (dict): Dotted config keys > values, such as {"paths.train": "corpus/train"}.
    base (str | None): A pipeline whose weights training starts from, in place of the bare backbone.
    device (str): `cpu` or `cuda`.
    RAISES (TrainingError): The corpus is empty, or the checkpoint belongs to other settings.
    """
    _use(device)
    config = util.load_config(config_path, overrides=overrides or {}, interpolate=False)
    resolved = config.interpolate()
    if "tuning" in resolved:
        return _tune(config, output, base=base, device=device)
    seed = resolved["training"]["seed"] or 0
    util.fix_random_seed(seed)
    torch.set_flush_denormal(True)  # averaged and decayed weights fall below what AVX handles fast
    settings = registry.resolve(resolved["training"], schema=ConfigSchemaTraining)
    nlp = init_nlp(config, use_gpu=-1 if device == "cpu" else 0)
    train_corpus, dev_corpus = resolve_dot_names(resolved, [settings["train_corpus"], settings["dev_corpus"]])
    examples = list(train_corpus(nlp))
    if not examples:
        raise TrainingError(f"No notes to train on in '{resolved['paths']['train']}'.")
    dev = list(dev_corpus(nlp)) if dev_corpus else []
    if base is not None:
        start_from(nlp, base)
    fingerprint = hashlib.sha256(resolved.to_str().encode()).hexdigest()
    return _go(nlp, examples, dev, settings, output, seed=seed, fingerprint=fingerprint)


def _use(device: str) -> None:
    if device != "cpu":
        from spacy import require_gpu

        set_gpu_allocator("pytorch")
        require_gpu(0)


def finetune(
    base: str, corpus: Path, output: Path, *, notes: Path | None = None, text_dir: Path | None = None, epochs: int = 6,
    rate: float = 5e-5, device: str = "cpu", progress: Callable[[str], None] = _say,
) -> Path:
    """Go on training a pipeline of the bert engine on annotated notes, by its own settings; return the new one's path.

    No config is needed. A run that was killed goes on at its step, as of `train`.

    notes (Path | None): A file of the notes' names to train on, one a line. text_dir (Path | None): Where the texts are,
        if not beside the annotations. rate (float): Learning rate at the first step, which falls to zero.
        progress (Callable): Gets a line now and then.
    RAISES (TrainingError): The pipeline cannot be trained, or there is no note.
    """
    _use(device)
    nlp = util.load_model(base)
    if not any(isinstance(pipe, TrainableComponent) and pipe.is_trainable for _, pipe in nlp.pipeline):
        raise TrainingError(f"'{base}' has no component of the bert engine to fine-tune. For the llama engine, see `kiwi train`.")
    util.fix_random_seed(0)
    torch.set_flush_denormal(True)
    schema: Any = next(pipe.schema for _, pipe in nlp.pipeline if hasattr(pipe, "schema"))
    examples = list(read_examples(
        nlp, [corpus], schema, notes=str(notes) if notes else None, text_dir=str(text_dir) if text_dir else None,
        max_words=_PIECE,
    ))
    if not examples:
        raise TrainingError(f"No notes to train on in '{corpus}'.")
    block: dict[str, Any] = dict(nlp.config.interpolate()["training"])
    batcher = registry.resolve({"batcher": block["batcher"]})["batcher"]
    steps = epochs * len(list(batcher(examples)))
    schedule = {"@schedules": "warmup_linear.v1", "initial_rate": rate, "warmup_steps": 0, "total_steps": steps}
    block |= {"max_steps": steps, "optimizer": {**block["optimizer"], "learn_rate": schedule}}
    settings = registry.resolve(block, schema=ConfigSchemaTraining)
    told = [weights_hash(nlp), [sorted(doc_annotations(eg.reference).spans) for eg in examples],
            [eg.reference.text for eg in examples], steps, rate]
    fingerprint = hashlib.sha256(srsly.json_dumps(told).encode()).hexdigest()
    return _go(nlp, examples, [], settings, output, seed=0, fingerprint=fingerprint, progress=progress)


def _go(
    nlp: Language, examples: list[Example], dev: list[Example], settings: dict[str, Any], output: Path, *, seed: int,
    fingerprint: str, progress: Callable[[str], None] = _say,
) -> Path:
    """Train to the last step, from a checkpoint where there is one, and return the path of what is written."""
    optimizer = settings["optimizer"]
    total = settings["max_steps"]
    if not total:
        per_epoch = len(list(settings["batcher"](examples)))
        total = per_epoch * settings["max_epochs"]
    first = resume(nlp, optimizer, output / CHECKPOINT, fingerprint)
    progress(f"{len(examples)} pieces of notes to train on, {len(dev)} to watch; step {first} of {total}")
    losses: dict[str, float] = {}
    began, words = time.time(), 0
    for step, batch in batches(examples, settings["batcher"], total, seed):
        if step < first:
            continue
        frozen = settings["frozen_components"]
        for part in subdivide_batch(batch, settings["accumulate_gradient"]):
            nlp.update(part, sgd=False, losses=losses, annotates=settings["annotating_components"], exclude=frozen)  # type: ignore[arg-type]
        # Only now: given to update(), the optimizer would step the encoder before the heads' gradients reach it,
        # a step late, and what a checkpoint holds would not be all.
        for name, pipe in nlp.pipeline:
            if isinstance(pipe, TrainableComponent) and pipe.is_trainable and name not in frozen:
                pipe.finish_update(optimizer)
        optimizer.step_schedules()
        words += sum(len(eg.predicted) for eg in batch)
        done = step + 1
        if done % 10 == 0 or done == total:
            parts = "  ".join(f"{name} {value / 10:.4f}" for name, value in losses.items() if name != "transformer")
            left = (time.time() - began) / (done - first) * (total - done)
            speed = words / (time.time() - began)
            progress(f"step {done}/{total}  {parts}  {speed:.0f} tokens/s  {left / 60:.1f} min left")
            losses = {}
        if done % settings["eval_frequency"] == 0 or done == total:
            save(nlp, optimizer, output / CHECKPOINT, fingerprint, done)
            if dev:
                with nlp.use_params(optimizer.averages):
                    scores = nlp.evaluate([Example(nlp.make_doc(eg.text), eg.reference) for eg in dev])
                figures = {k: round(v, 4) for k, v in scores.items() if k.startswith("kiwi") and isinstance(v, float)}
                progress(f"step {done}  {figures}")
    if optimizer.averages:
        with nlp.use_params(optimizer.averages):
            path = finish(nlp, output)
    else:
        path = finish(nlp, output)
    progress(f"written: {path}")
    return path


def _tune(config: Config, output: Path, *, base: str | None, device: str) -> Path:
    """Tune the llama engine's adapter, by the settings of `[tuning]`; arguments as of `train`."""
    from ..engines.llama.tuning import Settings, tune

    resolved = config.interpolate()
    try:
        settings = Settings(**resolved["tuning"])
    except TypeError as error:
        known = ", ".join(Settings.__dataclass_fields__)
        raise TrainingError(f"[tuning] has a setting that does not exist; known are {known}.") from error
    nlp = util.load_model_from_config(config, auto_fill=True)
    corpora = registry.resolve({"corpora": resolved["corpora"]})["corpora"]
    examples = list(corpora["train"](nlp))
    if not examples:
        raise TrainingError(f"No notes to train on in '{resolved['paths']['train']}'.")
    component: Any = nlp.get_pipe("kiwi_llm")
    if base is not None:
        source = util.load_model(base)
        if "kiwi_llm" not in source.pipe_names:
            raise TrainingError(f"'{base}' has no component 'kiwi_llm' to start from; it has {', '.join(source.pipe_names)}.")
        component.model.adapter = getattr(source.get_pipe("kiwi_llm").model, "adapter", None)  # type: ignore[attr-defined]
        if component.model.adapter is None:
            raise TrainingError(f"'{base}' has no adapter to go on with. Train without --base.")
    dev = list(corpora["dev"](nlp)) if settings.score_every else []
    tune(component, examples, output, settings, dev=dev, device=device)
    path = output / "model-last"
    _write(nlp, path)
    return path


def start_from(nlp: Language, base: str) -> None:
    """Give the pipeline the weights of another of the same components.

    RAISES (TrainingError): It lacks a component, or its schema or shape is another.
    """
    source = util.load_model(base)
    for name, pipe in nlp.pipeline:
        if not hasattr(pipe, "model"):
            continue
        if name not in source.pipe_names:
            raise TrainingError(f"'{base}' has no component '{name}' to start from; it has {', '.join(source.pipe_names)}.")
        theirs = source.get_pipe(name)
        if getattr(pipe, "labels", ()) != getattr(theirs, "labels", ()):
            raise TrainingError(f"'{base}' was trained with other labels in '{name}'. Train without --base.")
        pipe.from_bytes(theirs.to_bytes())  # type: ignore[attr-defined]


def batches(examples: list[Example], batcher: Any, total: int, seed: int) -> Iterator[tuple[int, list[Example]]]:
    """Yield (step, batch), `total` in all; the order depends on the seed and the step alone."""
    step = epoch = 0
    while True:
        order = list(examples)
        random.Random(seed * 1009 + epoch).shuffle(order)
        for batch in batcher(order):
            if step >= total:
                return
            yield step, list(batch)
            step += 1
        epoch += 1


def _modules(nlp: Language) -> dict[tuple[str, int], torch.nn.Module]:
    """Return all torch modules of a pipeline by component and place in its model, in order."""
    return {
        (name, index): shim._model
        for name, pipe in nlp.pipeline if hasattr(pipe, "model")
        for index, node in enumerate(pipe.model.walk())
        for shim in node.shims
    }


def _parameters(nlp: Language) -> dict[tuple[str, int, str], Model]:
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
    for module in _modules(nlp).values():
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def finish(nlp: Language, output: Path) -> Path:
    """Halve the weights, note their hash, write `output/model-last`, and return its path.

    What is written is what a load gives back, so any score of it is the shipped pipeline's own.
    """
    path = output / "model-last"
    for module in _modules(nlp).values():
        module.half()
    if "kiwi_provenance" in nlp.pipe_names:
        nlp.get_pipe("kiwi_provenance").weights = weights_hash(nlp)  # type: ignore[attr-defined]
    _write(nlp, path)
    for module in _modules(nlp).values():
        module.float()
    return path


def _write(nlp: Language, path: Path) -> None:
    """Write a pipeline, without the words of the notes that it has read: spaCy would keep them among its strings."""
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(path)
    labels = {label for _, pipe in nlp.pipeline for label in getattr(pipe, "labels", ())}
    known = set(blank(nlp.lang or "en").vocab.strings) | labels
    srsly.write_json(path / "vocab" / "strings.json", sorted(known))


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


def save(nlp: Language, optimizer: Optimizer, path: Path, fingerprint: str, step: int) -> None:
    """Write weights, optimizer and random state, so that a kill at any moment leaves a whole checkpoint."""
    fresh = path.with_name(path.name + ".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    keys = _keys(nlp)
    state: dict[str, Any] = {"step": step, "fingerprint": fingerprint}
    for name in ("mom1", "mom2", "averages"):
        table = getattr(optimizer, name) or {}
        state[name] = {
            keys[key]: torch.from_numpy(numpy.array(get_current_ops().to_numpy(value)))
            for key, value in table.items() if key in keys
        }
    state["nr_update"] = {keys[key]: int(n) for key, n in optimizer.nr_update.items() if key in keys}
    state["weights"] = {place: module.state_dict() for place, module in _modules(nlp).items()}
    state["parameters"] = {
        parameter: torch.from_numpy(numpy.array(get_current_ops().to_numpy(node.get_param(parameter[2]))))
        for parameter, node in _parameters(nlp).items()
    }
    state["random"] = torch.get_rng_state()
    torch.save(state, fresh / "state.pt")
    srsly.write_json(fresh / "step.json", {"step": step, "fingerprint": fingerprint})
    old = path.with_name(path.name + ".old")
    if path.exists():
        os.replace(path, old)
    os.replace(fresh, path)
    if old.exists():
        shutil.rmtree(old)


def resume(nlp: Language, optimizer: Optimizer, path: Path, fingerprint: str) -> int:
    """Load a checkpoint into pipeline and optimizer; return the steps done, 0 where there is none.

    RAISES (TrainingError): The checkpoint was written under other settings.
    """
    old = path.with_name(path.name + ".old")
    if not path.exists() and old.exists():  # killed between the two renames
        os.replace(old, path)
    if not path.exists():
        return 0
    state = torch.load(path / "state.pt", weights_only=True)
    if state["fingerprint"] != fingerprint:
        raise TrainingError(
            f"{path} was written with another config. Delete it to start anew, or train into another folder."
        )
    keys = {plain: key for key, plain in _keys(nlp).items()}
    for name in ("mom1", "mom2", "averages"):
        table = getattr(optimizer, name)
        for plain, value in state[name].items():
            table[keys[plain]] = get_current_ops().asarray(value.numpy())
    for plain, n in state["nr_update"].items():
        optimizer.nr_update[keys[plain]] = n
    for place, module in _modules(nlp).items():
        module.load_state_dict(state["weights"][place])
    for parameter, node in _parameters(nlp).items():
        array: Any = get_current_ops().asarray(state["parameters"][parameter].numpy())
        node.set_param(parameter[2], array)
    for _ in range(state["step"]):
        optimizer.step_schedules()
    torch.set_rng_state(state["random"])
    return int(state["step"])
