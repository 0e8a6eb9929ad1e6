"""What the trained heads share: torch layers on a listener, labels from the schema, saving both."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import srsly
import torch
import yaml
from spacy import util
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer
from thinc.types import Floats2d

from ...errors import SchemaError, TrainingError
from ...schema import Schema, load_schema, schema_from_dict, schema_to_dict
from .compat import set_forward


def on_tokens(tok2vec: Model[list[Doc], list[Floats2d]], name: str, **attrs: Any) -> Model:
    """Return a model of one encoder layer; its torch head is added once labels and width are known."""
    return Model(name, _unbuilt, layers=[tok2vec], refs={"tok2vec": tok2vec}, attrs=attrs)


def _unbuilt(model: Model, X: Any, is_train: bool) -> Any:
    raise TrainingError("This component has no weights yet: call nlp.initialize() or load a trained pipeline.")


class Head(TrainablePipe):
    """A trained head: subclasses say how their torch layer is built and what its scores mean."""

    def __init__(
        self, vocab: Vocab, model: Model, name: str, schema: str | None, scorer: Callable | None,
        thresholds: Mapping[str, float],
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        # A saved pipeline brings its schema itself: the file that it was trained with need not be here.
        self._schema_file = schema
        self._schema = load_schema(schema) if schema is None or Path(schema).is_file() else None
        self.cfg: dict[str, Any] = {"width": None}
        self._rehearsal_model = None
        self.thresholds = dict(thresholds)

    @property
    def schema(self) -> Schema:
        """The component's own schema: that of the file, until a saved one is loaded.

        RAISES (SchemaError): The file is missing, and no saved schema was loaded.
        """
        if self._schema is None:
            self._schema = load_schema(self._schema_file)
        return self._schema

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Score a batch by the component's own schema."""
        return self.scorer(examples, **{"schema": self.schema, **settings}) if self.scorer else {}

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Keep of these labels only what scores at least as much (0 to 1); thresholds of other labels stay.

        RAISES (SchemaError): The component does not set a label, or a threshold is not from 0 to 1.
        """
        for label, least in thresholds.items():
            if label not in self.labels:
                can = ", ".join(self.labels)
                raise SchemaError(f"'{self.name}' has a threshold for '{label}', which it does not set. It sets {can}.")
            if not 0 <= least <= 1:
                raise SchemaError(f"'{self.name}': the threshold of '{label}' is {least!r}; it must be a number from 0 to 1.")
        self.thresholds.update(thresholds)

    def build(self, width: int) -> None:
        """Add the torch layer, for token vectors of `width`, to the model."""
        raise TypeError(f"{type(self).__name__} does not say how its layer is built")

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """The labels that this component sets, from the schema; none while spaCy loads one whose schema is still to be read."""
        return () if self._schema is None else tuple(self.own_labels(self._schema))

    def own_labels(self, schema: Schema) -> Iterable[str]:
        """Return the labels of a schema that this component sets, in its order."""
        raise TypeError(f"{type(self).__name__} does not say which labels it sets")

    @property
    def label_data(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.labels

    def add_label(self, label: str) -> int:
        raise TrainingError(f"Labels come from the schema ({self.schema.source}); add '{label}' there.")

    def initialize(
        self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None, labels: Any = None
    ) -> None:
        """Build the layer for the width of the encoder that the tok2vec layer listens to.

        labels: Ignored: labels come from the schema.
        RAISES (TrainingError): There are no examples, or the width cannot be known.
        """
        self.set_thresholds(self.thresholds)
        first = next(iter(get_examples()), None)
        if first is None:
            raise TrainingError(f"'{self.name}' cannot be initialized: the training corpus holds no notes.")
        tok2vec = self.model.get_ref("tok2vec")
        tok2vec.initialize(X=[first.reference])
        width = tok2vec.maybe_get_dim("nO")
        if nlp is not None and width is None:
            for name, pipe in nlp.pipeline:
                if name == "transformer":
                    width = pipe.model.transformer.config.hidden_size  # type: ignore[attr-defined]
        if width is None:
            raise TrainingError(
                f"'{self.name}' cannot tell the width of its tok2vec layer. Put a 'transformer' component "
                "before it, or use a tok2vec layer with the dimension nO."
            )
        if self.cfg["width"] is None:
            self._build(width)

    def _build(self, width: int) -> None:
        self.cfg["width"] = width
        self.build(width)

    def set_head(self, layer: Model, forward: Callable[..., Any]) -> None:
        """Put the built layer behind the encoder and let `forward` compute."""
        self.model.layers[1:] = [layer]
        set_forward(self.model, forward)

    def learn(self, examples: list[Example]) -> float:
        """Send the gradient of a batch back through the model and return its loss; nothing steps yet."""
        raise TypeError(f"{type(self).__name__} does not say how it learns")

    def update(
        self, examples: Iterable[Example], *, drop: float = 0.0, sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch's own annotations; `drop` is ignored, dropout being a setting of the model."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        losses[self.name] += self.learn(examples)
        if sgd:
            self.finish_update(sgd)
        return losses

    def skip_update(self, docs: list[Doc]) -> None:
        """Tell the encoder that there is nothing to learn: it waits for its last listener."""
        vectors, backprop = self.model.get_ref("tok2vec").begin_update(docs)
        backprop([v * 0 for v in vectors])

    def _kept(self) -> dict[str, Any]:
        return {**self.cfg, "thresholds": self.thresholds}

    def _schema_text(self) -> str:
        return yaml.safe_dump(schema_to_dict(self.schema), sort_keys=False, allow_unicode=True)

    def _restore(self, cfg: dict[str, Any]) -> None:
        self.set_thresholds({**cfg.pop("thresholds", {}), **self.thresholds})  # the config's come before saved ones
        if cfg.get("width") is not None and (self.cfg["width"] is None or self.cfg != cfg):
            self.cfg.update(cfg)
            self._build(cfg["width"])

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return schema, settings and weights as bytes."""
        parts: dict[str, Any] = {
            "cfg": lambda: srsly.json_dumps(self._kept()).encode(), "schema": self._schema_text, "model": self.model.to_bytes,
        }
        return util.to_bytes(parts, exclude)

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "Head":
        """Load what `to_bytes` gave."""
        parts: list[tuple[str, Callable[[Any], Any]]] = [  # in this order: the schema says how many weights there are
            ("schema", self._read_schema),
            ("cfg", lambda raw: self._restore(srsly.json_loads(raw))),
            ("model", self.model.from_bytes),
        ]
        for name, read in parts:
            util.from_bytes(data, {name: read}, exclude)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write schema, settings and weights into the folder `path`."""
        parts: dict[str, Any] = {
            "cfg": lambda p: srsly.write_json(p, self._kept()),
            "schema.yml": lambda p: p.write_text(self._schema_text(), encoding="utf-8"),
            "model": lambda p: p.write_bytes(self.model.to_bytes()),
        }
        util.to_disk(Path(path), parts, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "Head":
        """Load what `to_disk` wrote."""
        parts: dict[str, Any] = {
            "schema.yml": lambda p: self._read_schema(p.read_text(encoding="utf-8")),
            "cfg": lambda p: self._restore(srsly.read_json(p)),
            "model": lambda p: self.model.from_bytes(p.read_bytes()),
        }
        util.from_disk(Path(path), parts, exclude)
        return self

    def _read_schema(self, text: str) -> None:
        self._schema = schema_from_dict(yaml.safe_load(text), f"the schema of '{self.name}'")
        self.set_thresholds(self.thresholds)


def project_span(doc: Doc, start_char: int, end_char: int) -> tuple[int, int] | None:
    """Return the token range of a character range, None where it does not fall on tokens."""
    span = doc.char_span(start_char, end_char)
    return None if span is None else (span.start, span.end)


def as_tensor(array: Any) -> torch.Tensor:
    """Return a torch tensor of a thinc array, on the CPU where losses and decoding run."""
    return torch.as_tensor(array.get() if hasattr(array, "get") else array)
