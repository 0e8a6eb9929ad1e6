"""What a reader gives in place of a note that it cannot read."""

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal["unreadable-file", "no-text", "no-annotations"]


@dataclass(frozen=True)
class Failure:
    """A note that could not be read at all; `line` is 0 where the whole `file` is meant."""

    name: str
    reason: str
    kind: FailureKind = "unreadable-file"
    file: str = ""
    line: int = 0
