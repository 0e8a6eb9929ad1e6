"""`kiwi_provenance`: notes on every Doc which pipeline, version, engine and weights annotated it."""

from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from ..contract import name_pipeline, set_provenance


class Provenance:
    """A component without weights; `weights` is the hash that training wrote."""

    def __init__(self, nlp: Language, engine: str, weights: str) -> None:
        self.meta: dict[str, Any] = nlp._meta
        self.engine = engine
        self.weights = weights

    def __call__(self, doc: Doc) -> Doc:
        set_provenance(doc, **name_pipeline(self.meta), engine=self.engine, weights=self.weights)
        return doc

    def to_bytes(self, **kwargs: Any) -> bytes:
        return srsly.msgpack_dumps({"weights": self.weights})

    def from_bytes(self, data: bytes, **kwargs: Any) -> "Provenance":
        self.weights = srsly.msgpack_loads(data)["weights"]
        return self

    def to_disk(self, path: str | Path, **kwargs: Any) -> None:
        srsly.write_json(Path(path).with_suffix(".json"), {"weights": self.weights})

    def from_disk(self, path: str | Path, **kwargs: Any) -> "Provenance":
        self.weights = srsly.read_json(Path(path).with_suffix(".json"))["weights"]
        return self


@Language.factory("kiwi_provenance", default_config={"engine": "bert", "weights": ""})
def create_provenance(nlp: Language, name: str, engine: str, weights: str) -> Provenance:
    """Build the component; put it last but for `doc_cleaner`."""
    return Provenance(nlp, engine, weights)
