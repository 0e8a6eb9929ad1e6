"""Starting from another pipeline: its encoder, its schema and its weights take the place of the config's."""

from typing import Any

from spacy import util
from spacy.language import Language
from thinc.api import Config

from ..errors import TrainingError


def with_models_of(config: Config, source: Language, base: str, overrides: dict[str, Any]) -> Config:
    """Return a config whose components have the models of `source`, so that its weights fit: the encoder, its size, its windows.

    What the overrides say of a model stands, as does all that is not a model, such as thresholds.

    base (str): How `source` was named, for errors. overrides (dict): Dotted config keys > values.
    RAISES (TrainingError): A component with a model is not in `source`, or is of another kind there.
    """
    changed = config.copy()
    plain, theirs = config.interpolate(), source.config.interpolate()["components"]
    for name in plain["nlp"]["pipeline"]:
        if "model" not in theirs.get(name, {}) and "model" not in plain["components"].get(name, {}):
            continue
        check_has(source, base, name)
        if plain["components"][name]["factory"] != theirs[name]["factory"]:
            raise TrainingError(
                f"'{name}' is a {theirs[name]['factory']} in '{base}' and a {plain['components'][name]['factory']} in the config."
            )
        changed["components"][name]["model"] = theirs[name]["model"]
    backbone = source.config.interpolate().get("paths", {}).get("backbone")
    if backbone is not None and "paths.backbone" not in overrides:
        changed["paths"]["backbone"] = backbone
    again = {key: value for key, value in overrides.items() if key.startswith("components.") and ".model." in key}
    return Config().from_str(changed.to_str(), overrides=again, interpolate=False)


def start_from(nlp: Language, source: Language, base: str, *, own_schema: bool) -> None:
    """Give a pipeline the weights of another with the same components, and its schema.

    own_schema (bool): Whether `nlp` keeps the schema that it has; its labels must be those of `source`.
    RAISES (TrainingError): A component is missing in `source`, has other labels, or another shape.
    """
    for name, pipe in nlp.pipeline:
        if not hasattr(pipe, "model"):
            continue
        check_has(source, base, name)
        theirs: Any = source.get_pipe(name)
        if own_schema and getattr(pipe, "labels", ()) != getattr(theirs, "labels", ()):
            raise TrainingError(
                f"'{base}' was trained with other labels in '{name}'. Train without --base, or with its own schema: leave "
                "paths.schema out."
            )
        kept = ["schema"] if own_schema else []
        try:
            pipe.from_bytes(theirs.to_bytes(exclude=kept), exclude=kept)  # type: ignore[attr-defined]
        except (ValueError, RuntimeError, KeyError) as error:  # of weights and shapes: no note was read into it
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise TrainingError(f"The weights of '{name}' in '{base}' do not fit the config: {first}") from None


def check_has(source: Language, base: str, name: str) -> None:
    """Raise a TrainingError where a pipeline lacks a component."""
    if name not in source.pipe_names:
        raise TrainingError(f"'{base}' has no component '{name}' to start from; it has {', '.join(source.pipe_names)}.")


def load_base(base: str) -> Language:
    """Return the pipeline of a name or a folder. RAISES (TrainingError): It cannot be loaded."""
    try:
        return util.load_model(base)
    except OSError as error:
        raise TrainingError(f"The pipeline '{base}' cannot be loaded: {str(error).splitlines()[0]}") from None

