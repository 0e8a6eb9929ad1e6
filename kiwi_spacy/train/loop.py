"""Train a pipeline from a spaCy config, so that a killed run goes on at its step.

It reads the same `[training]` block as `spacy train` (but for `patience`, `logger` and the callbacks) and keeps,
beside the weights, the optimizer's moments and averages, the step and the state of the random numbers.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from spacy import util
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import subdivide_batch
from spacy.ty import TrainableComponent
from spacy.util import registry, resolve_dot_names
from thinc.api import set_gpu_allocator

from ..errors import TrainingError
from ..extras import extra
from ..formats.corpus import own_schema, read_examples
from ..schema import load_schema
from .base import load_base, start_from, with_models_of
from .checkpoint import resume, save
from .identity import Identity, claim, digest, notes_digest, schema_digest
from .weights import weights_hash, write_halved

with extra("bert"):
    import torch

_PIECE = 160  # tokens of the pieces that notes are cut into, as in configs/bert.cfg
_TOLD_EVERY = 10  # steps
CHECKPOINT = "checkpoint"


def _say(line: str) -> None:
    print(line, flush=True)


def train(
    config_path: Path, output: Path, overrides: dict[str, Any] | None = None, *, base: str | None = None,
    device: str = "cpu", progress: Callable[[str], None] = _say,
) -> Path:
    """Train, write `output/model-last` (averaged weights, halved) and return its path.

    A run of the same settings, base, schema and notes that `output` holds goes on at its step. Where notes or schema were changed
    since, it begins anew.

    overrides (dict): Dotted config keys > values, such as {"paths.train": "corpus/train"}.
    base (str | None): A pipeline to start from, by name or folder. Its encoder takes the place of the config's backbone, its
        schema that of the packaged one, unless `paths.schema` names another.
    device (str): `cpu` or `cuda`. progress (Callable): Gets a line now and then.
    RAISES (TrainingError): A setting cannot be, the corpus is empty, the base does not fit, or `output` holds another run.
    """
    _use(device)
    overrides = overrides or {}
    config = util.load_config(config_path, overrides=overrides, interpolate=False)
    if "tuning" in config:
        from .tune import tune_by  # the bert engine needs nothing of the llama engine

        return tune_by(config, output, overrides, base=base, device=device, progress=progress)
    source = load_base(base) if base is not None else None
    if source is not None:
        config = with_models_of(config, source, str(base), overrides)
    resolved = config.interpolate()
    seed = resolved["training"]["seed"] or 0
    util.fix_random_seed(seed)
    torch.set_flush_denormal(True)  # averaged and decayed weights fall below what AVX handles fast
    settings = registry.resolve(resolved["training"], schema=ConfigSchemaTraining)
    if source is None:
        nlp = init_nlp(config, use_gpu=-1 if device == "cpu" else 0)
    else:
        nlp = util.load_model_from_config(config, auto_fill=True)
        start_from(nlp, source, str(base), own_schema=bool(resolved.get("paths", {}).get("schema")))
    train_corpus, dev_corpus = resolve_dot_names(resolved, [settings["train_corpus"], settings["dev_corpus"]])
    examples = list(train_corpus(nlp))
    if not examples:
        raise TrainingError(f"No notes to train on in '{resolved['paths']['train']}'.")
    dev = list(dev_corpus(nlp)) if dev_corpus else []
    run = Identity(
        settings=digest(resolved.to_str()), base=digest(repr((base, weights_hash(source) if source is not None else None))),
        schema=schema_digest(own_schema(nlp)), notes=notes_digest(examples),
    )
    return _go(nlp, examples, dev, settings, output, seed=seed, run=run, progress=progress)


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

    No config is needed. A run that was killed goes on at its step, and one whose notes were changed begins anew, as of `train`.

    notes (Path | None): A file of the notes' names to train on, one a line. text_dir (Path | None): Where the texts are,
        if not beside the annotations. rate (float): Learning rate at the first step, which falls to zero.
        progress (Callable): Gets a line now and then.
    RAISES (TrainingError): The pipeline cannot be trained, or there is no note.
    """
    _use(device)
    nlp = load_base(base)
    if not any(isinstance(pipe, TrainableComponent) and pipe.is_trainable for _, pipe in nlp.pipeline):
        raise TrainingError(f"'{base}' has no component of the bert engine to fine-tune. For the llama engine, see `kiwi train`.")
    util.fix_random_seed(0)
    torch.set_flush_denormal(True)
    schema = own_schema(nlp) or load_schema()
    examples = list(read_examples(
        nlp, [corpus], schema, notes=str(notes) if notes else None, text_dir=str(text_dir) if text_dir else None,
        max_words=_PIECE,
    ))
    if not examples:
        raise TrainingError(f"No notes to train on in '{corpus}'.")
    block: dict[str, Any] = dict(nlp.config.interpolate()["training"])
    batcher = registry.resolve({"batcher": block["batcher"]})["batcher"]
    steps = epochs * len(_batched(batcher, examples))
    schedule = {"@schedules": "warmup_linear.v1", "initial_rate": rate, "warmup_steps": 0, "total_steps": steps}
    block |= {"max_steps": steps, "optimizer": {**block["optimizer"], "learn_rate": schedule}}
    settings = registry.resolve(block, schema=ConfigSchemaTraining)
    run = Identity(
        settings=digest(repr((epochs, rate))), base=digest(repr((base, weights_hash(nlp)))), schema=schema_digest(schema),
        notes=notes_digest(examples),
    )
    return _go(nlp, examples, [], settings, output, seed=0, run=run, progress=progress)


def _go(
    nlp: Language, examples: list[Example], dev: list[Example], settings: dict[str, Any], output: Path, *, seed: int,
    run: Identity, progress: Callable[[str], None],
) -> Path:
    """Train to the last step, from a checkpoint where there is one, and return the path of what is written."""
    optimizer = settings["optimizer"]
    total = _steps(examples, settings)
    claim(output, run, output / CHECKPOINT, progress)
    first = resume(nlp, optimizer, output / CHECKPOINT, run.digest)
    progress(f"{len(examples)} pieces of notes to train on, {len(dev)} to watch; step {first} of {total}")
    losses: dict[str, float] = {}
    told = first  # the step of the last line of losses
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
        if done % _TOLD_EVERY == 0 or done == total:
            mean = "  ".join(f"{name} {value / (done - told):.4f}" for name, value in losses.items() if name != "transformer")
            left = (time.time() - began) / (done - first) * (total - done)
            speed = words / (time.time() - began)
            progress(f"step {done}/{total}  {mean}  {speed:.0f} tokens/s  {left / 60:.1f} min left")
            losses, told = {}, done
        if done % settings["eval_frequency"] == 0 or done == total:
            save(nlp, optimizer, output / CHECKPOINT, run.digest, done)
            if dev:
                with nlp.use_params(optimizer.averages):
                    scores = nlp.evaluate([Example(nlp.make_doc(eg.text), eg.reference) for eg in dev])
                figures = {k: round(v, 4) for k, v in scores.items() if k.startswith("kiwi") and isinstance(v, float)}
                progress(f"step {done}  {figures}")
    with nlp.use_params(optimizer.averages) if optimizer.averages else nullcontext():
        path = write_halved(nlp, output / "model-last")
    progress(f"written: {path}")
    return path


def _steps(examples: list[Example], settings: dict[str, Any]) -> int:
    """Return how many steps a run has.

    RAISES (TrainingError): It has none: the settings say so, or the batcher gives no batch.
    """
    if settings["max_steps"]:
        return int(settings["max_steps"])
    if settings["max_epochs"] < 1:
        raise TrainingError("[training] max_steps and max_epochs leave no step to train. Set one of them to 1 or more.")
    return len(_batched(settings["batcher"], examples)) * int(settings["max_epochs"])


def batches(examples: list[Example], batcher: Any, total: int, seed: int) -> Iterator[tuple[int, list[Example]]]:
    """Yield (step, batch), `total` in all; the order depends on the seed and the step alone.

    RAISES (TrainingError): The batcher gives no batch.
    """
    step = epoch = 0
    while step < total:
        order = list(examples)
        random.Random(seed * 1009 + epoch).shuffle(order)
        for batch in _batched(batcher, order)[: total - step]:
            yield step, batch
            step += 1
        epoch += 1


def _batched(batcher: Any, examples: list[Example]) -> list[list[Example]]:
    """Return the batches of an epoch. RAISES (TrainingError): There is none, so that no step would ever come."""
    made = [list(batch) for batch in batcher(examples)]
    if not made:
        raise TrainingError(
            f"[training.batcher] makes no batch of {len(examples)} pieces of notes. With 'discard_oversize = true' it leaves out "
            "what is longer than 'size': raise 'size', or set 'discard_oversize = false'."
        )
    return made
