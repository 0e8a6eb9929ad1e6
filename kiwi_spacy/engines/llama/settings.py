"""How an adapter is tuned: the settings of a config's `[tuning]`, each checked before anything is read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...errors import TrainingError

_Allowed = tuple[str, type | tuple[type, ...], float, float]  # in words, types, least, the first that is too large
_MANY = float("inf")
_ALLOWED: dict[str, _Allowed] = {
    "epochs": ("a number from 0", (int, float), 0, _MANY),
    "rank": ("a whole number from 1", int, 1, _MANY),
    "alpha": ("a whole number from 1", int, 1, _MANY),
    "dropout": ("a number from 0, below 1", (int, float), 0, 1),
    "rate": ("a number from 0, such as 0.001", (int, float), 0, _MANY),
    "tag_rate": ("a number from 0, such as 0.001", (int, float), 0, _MANY),
    "warmup": ("a part of the steps, from 0, below 1", (int, float), 0, 1),
    "weight_decay": ("a number from 0", (int, float), 0, _MANY),
    "batch_tokens": ("a whole number from 1", int, 1, _MANY),
    "seed": ("a whole number from 0", int, 0, _MANY),
    "save_every": ("a number of seconds from 0", (int, float), 0, _MANY),
    "score_every": ("a number of epochs from 0", (int, float), 0, _MANY),
}
_CHOICES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "own_tags": ("true or false", (True, False)),
    "autocast": ("true or false", (True, False)),
    "quantize": ('null or "nf4"', (None, "nf4")),
}


@dataclass(frozen=True)
class Settings:
    """How an adapter is learned.

    rank, alpha, dropout: Of LoRA, on every linear layer of every block. rate, tag_rate: Highest
    learning rates of the adapter and of the tags' embeddings; both rise over the first `warmup` of
    the steps and fall to zero by a half cosine. batch_tokens: Tokens a step, padding included.
    save_every: Seconds between checkpoints. score_every: Epochs after which dev notes are annotated and the adapter that
    finds their entities best is kept; 0 keeps the last. own_tags: Whether tags become tokens of their own. autocast:
    Whether matrices are multiplied in bfloat16, weights kept in single precision. quantize: "nf4" holds the base in four
    bits, on CUDA.

    RAISES (TrainingError): A value is of another type, or out of range.
    """

    epochs: float = 3.0
    rank: int = 32
    alpha: int = 32
    dropout: float = 0.0
    rate: float = 1e-3
    tag_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    batch_tokens: int = 1500
    seed: int = 0
    save_every: float = 240
    score_every: float = 0
    own_tags: bool = True
    autocast: bool = False
    quantize: str | None = None

    def __post_init__(self) -> None:
        for key, (words, types, least, below) in _ALLOWED.items():
            value = getattr(self, key)
            # True is an int to Python; "not least <=" also refuses NaN.
            if isinstance(value, bool) or not isinstance(value, types) or not least <= value < below:  # type: ignore[operator]
                raise _refused(key, value, words)
        for key, (words, choices) in _CHOICES.items():
            value = getattr(self, key)
            if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
                raise _refused(key, value, words)


def _refused(key: str, value: object, words: str) -> TrainingError:
    return TrainingError(
        f"[tuning] {key} is {value!r}; it must be {words}. Correct it in the config, or set it by --tuning.{key} VALUE."
    )


def read_settings(block: Mapping[str, Any]) -> Settings:
    """Return the settings that a `[tuning]` block gives; what it leaves out keeps its default.

    RAISES (TrainingError): A key is unknown, or a value cannot be; the message names the key, what was found, what is allowed.

    >>> read_settings({"rank": 8, "rate": 0.0005}).rank
    8
    """
    known = [field.name for field in fields(Settings)]
    unknown = [str(key) for key in block if key not in known]
    if unknown:
        raise TrainingError(f"[tuning] has the unknown key {', '.join(unknown)}; known are: {', '.join(known)}.")
    return Settings(**block)
