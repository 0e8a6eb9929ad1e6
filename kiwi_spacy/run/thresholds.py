"""Thresholds by label, given to the components of a pipeline that set the label."""

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.language import Language

from ..errors import KiwiError


def parse_thresholds(given: Sequence[str]) -> dict[str, float]:
    """Return {label: threshold} of words such as "problem=0.8".

    RAISES (KiwiError): One has no "=", no number from 0 to 1 behind it, or a label that came before.

    >>> parse_thresholds(["problem=0.8", "drug=0.5"])
    {'problem': 0.8, 'drug': 0.5}
    """
    thresholds: dict[str, float] = {}
    for word in given:
        label, _, value = word.rpartition("=")
        try:
            least = float(value)
        except ValueError:
            least = -1.0
        if not label or not 0 <= least <= 1:  # "nan" too is neither
            raise KiwiError(f"'{word}' is no threshold. Write LABEL=VALUE with a number from 0 to 1, such as problem=0.8.")
        if label in thresholds:
            raise KiwiError(f"'{label}' has two thresholds. Give one.")
        thresholds[label] = least
    return thresholds


def set_thresholds(nlp: Language, thresholds: Mapping[str, float]) -> None:
    """Keep of these labels only what scores at least as much. A modifier's threshold holds for its links as well.

    RAISES (KiwiError): No component of the pipeline gives scores for a label.
    """
    pipes: list[Any] = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "set_thresholds")]
    known = list(dict.fromkeys(label for pipe in pipes for label in pipe.labels))
    for label in thresholds:
        if label not in known:
            can = f"It takes them for {', '.join(known)}." if known else "It takes none: only the bert engine's components do."
            raise KiwiError(f"This pipeline takes no threshold for '{label}'. {can}")
    for pipe in pipes:
        pipe.set_thresholds({label: least for label, least in thresholds.items() if label in pipe.labels})
