"""Training the llama engine: a config's `[tuning]`, and what it takes from a base."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy import util
from spacy.language import Language
from spacy.util import registry
from thinc.api import Config

from ..engines.llama.settings import read_settings
from ..engines.llama.tuning import tune
from ..errors import TrainingError
from .base import check_has, load_base
from .identity import Identity, claim, digest, notes_digest, schema_digest
from .weights import write

_NAME = "kiwi_llm"
_PROMPT = ("schema", "template", "examples")  # of [paths]: what an adapter was taught with


def tune_by(
    config: Config, output: Path, overrides: dict[str, Any], *, base: str | None, device: str,
    progress: Callable[[str], None],
) -> Path:
    """Tune the llama engine's adapter by the settings of `[tuning]`; arguments as of `train`.

    A base gives its adapter, the LLaMA below it and, unless the config's paths name others, its schema, prompt and examples.

    RAISES (TrainingError): A setting cannot be, there is no note, or the base has no adapter.
    """
    settings = read_settings(config.interpolate()["tuning"])
    source = load_base(base) if base is not None else None
    if source is not None:
        check_has(source, str(base), _NAME)
        llama = getattr(source.get_pipe(_NAME).model, "base", None)  # type: ignore[attr-defined]
        if llama is not None and "paths.base" not in overrides and "base" in config.get("paths", {}):
            config["paths"]["base"] = llama
    resolved = config.interpolate()
    nlp = util.load_model_from_config(config, auto_fill=True)
    component: Any = nlp.get_pipe(_NAME)
    if source is not None:
        _start_from(component, source, str(base), keep_prompt=any(resolved.get("paths", {}).get(key) for key in _PROMPT))
    corpora = registry.resolve({"corpora": resolved["corpora"]})["corpora"]
    examples = list(corpora["train"](nlp))
    if not examples:
        raise TrainingError(f"No notes to train on in '{resolved['corpora']['train'].get('path')}'.")
    dev = list(corpora["dev"](nlp)) if settings.score_every else []
    run = Identity(
        settings=digest(resolved.to_str()), base=digest(repr((base, getattr(component.model, "describe", str)()))),
        schema=schema_digest(component.schema), notes=notes_digest([*examples, *dev]),
    )
    claim(output, run, output / "checkpoint.pt", progress)
    tune(component, examples, output, settings, dev=dev, device=device)
    path = output / "model-last"
    write(nlp, path)
    progress(f"written: {path}")
    return path


def _start_from(component: Any, source: Language, base: str, *, keep_prompt: bool) -> None:
    """Give a component the adapter of a base, and the schema, prompt and examples that it was taught with."""
    theirs: Any = source.get_pipe(_NAME)
    component.model.adapter = getattr(theirs.model, "adapter", None)
    if component.model.adapter is None:
        raise TrainingError(f"'{base}' has no adapter to go on with. Train without --base.")
    if not keep_prompt:
        component.task.from_bytes(theirs.task.to_bytes())
