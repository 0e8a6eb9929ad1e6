"""The components of both engines, as spaCy finds them: names and settings, without what computes.

spaCy imports every installed factory whenever a pipeline is built, so nothing here may import an engine's libraries.
"""

from collections.abc import Callable
from typing import Any, Literal

from spacy.language import Language
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.util import registry
from thinc.api import Model

for _name in ("llm_tasks", "llm_models"):  # spacy-llm's; where it is missing, spaCy would miss these and not name it
    if _name not in registry.get_registry_names():
        registry.create(_name, entry_points=True)

_TAGGER_MODEL = {
    "@architectures": "kiwi.SpanTagger.v1",
    "tok2vec": {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
        "upstream": "*",
    },
    "hidden": 256,
    "dropout": 0.2,
    "rate_factor": 10.0,
}
_LINK_MODEL = {**_TAGGER_MODEL, "@architectures": "kiwi.LinkScorer.v1"}
_TAGGER = {
    "model": _TAGGER_MODEL, "max_chunk": 256, "loss": "crf", "schema": None, "scorer": {"@scorers": "kiwi.Scorer.v1"},
    "thresholds": {},
}


@Language.factory(
    "kiwi_entities", assigns=["doc.ents"], default_config=_TAGGER,
    default_score_weights={"kiwi_entities_f": 0.4, "kiwi_entities_relaxed_f": 0.0},
)
def create_entities(
    nlp: Language, name: str, model: Model, max_chunk: int, loss: str, schema: str | None, scorer: Callable | None,
    thresholds: dict[str, float],
) -> TrainablePipe:
    """Build the component that finds entities; `thresholds` are least probabilities by label."""
    return _create_tagger(nlp, name, model, "entities", max_chunk, loss, schema, scorer, thresholds)


@Language.factory(
    "kiwi_modifiers", assigns=["doc.spans"], default_config={**_TAGGER, "scorer": None},
    default_score_weights={"kiwi_modifiers_f": 0.3},
)
def create_modifiers(
    nlp: Language, name: str, model: Model, max_chunk: int, loss: str, schema: str | None, scorer: Callable | None,
    thresholds: dict[str, float],
) -> TrainablePipe:
    """Build the component that finds modifiers; `thresholds` are least probabilities by label."""
    return _create_tagger(nlp, name, model, "modifiers", max_chunk, loss, schema, scorer, thresholds)


def _create_tagger(
    nlp: Language, name: str, model: Model, kind: Literal["entities", "modifiers"], max_chunk: int, loss: Any,
    schema: str | None, scorer: Callable | None, thresholds: dict[str, float],
) -> TrainablePipe:
    from .bert.tagger import SpanTagger

    return SpanTagger(
        nlp.vocab, model, name, kind=kind, max_chunk=max_chunk, loss=loss, schema=schema, scorer=scorer, thresholds=thresholds
    )


@Language.factory(
    "kiwi_relations", requires=["doc.ents", "doc.spans"], assigns=["doc._.relations"],
    default_config={
        "model": _LINK_MODEL, "max_distance": 60, "threshold": 0.5, "thresholds": {}, "schema": None, "scorer": None,
    },
    default_score_weights={"kiwi_relations_f": 0.3, "kiwi_relations_relaxed_f": 0.0},
)
def create_relations(
    nlp: Language, name: str, model: Model, max_distance: int, threshold: float, schema: str | None,
    scorer: Callable | None, thresholds: dict[str, float],
) -> TrainablePipe:
    """Build the component that links modifiers to entities.

    threshold: Least probability of any link. thresholds: Higher ones for links of a modifier's label.
    """
    from .bert.links import LinkScorer

    return LinkScorer(
        nlp.vocab, model, name, max_distance=max_distance, threshold=threshold, schema=schema, scorer=scorer,
        thresholds=thresholds,
    )


@Language.factory(
    "kiwi_llm",
    assigns=["doc.ents", "doc.spans"],
    default_config={"task": {"@llm_tasks": "kiwi.Joint.v1"}, "model": {"@llm_models": "kiwi.LocalLlama.v1"}},
)
def create_llm(nlp: Language, name: str, task: Any, model: Any) -> Any:
    """Build the component that asks a LLaMA: a task of ours and a model, both local by default."""
    from .llama.component import KiwiLLM

    return KiwiLLM(nlp, name, task, model)
