"""Where the results of a run stand, a folder or a database: what a run asks of it."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from ..formats.outputs import Output
from .manifest import Entry, Head


class Results(Protocol):
    """`head` is the manifest's, None where no run was; `live` the last entry of each note whose result stands there whole."""

    head: Head | None
    live: dict[str, Entry]

    @property
    def path(self) -> Path | str:
        """What it is called in a message."""

    @property
    def output(self) -> Output:
        """How results lie there."""

    def begin(self, head: Head, drop: Collection[str]) -> None:
        """Take the results of some notes away, before any is written."""

    def write(self, entry: Entry, data: bytes) -> None:
        """Write a note's result, in the place of an earlier one."""

    def fail(self, entry: Entry) -> None:
        """Say that a note has no result; an earlier one is taken away."""

    def sync(self) -> None:
        """See that what is written outlives the machine's going down."""

    def finish(self, order: Iterable[str], left_out: Iterable[tuple[str, str]]) -> None:
        """Leave what a run that was never stopped leaves."""
