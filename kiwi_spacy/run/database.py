"""Results of a run in a table of a database: rows and what the manifest says of them change in one transaction a batch."""

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..formats.database import RowTable
from ..formats.outputs import Output
from ..formats.tables import columns_of
from .lock import hold
from .manifest import Entry, Head, Settings, parse, render, render_entry

_HEAD = ""  # the name of no note, for the manifest's first line


@contextmanager
def open_database(url: str, name: str, settings: Settings, output: Output) -> Iterator["DatabaseResults"]:
    """Give a table of results, which is made where there is none, while no other run writes to it.

    RAISES (KiwiError): The database cannot be reached. RAISES (OutputError): No run of this command made the table.
    RAISES (HeldError): Another run writes to it.
    """
    table = RowTable(url, name, columns_of(settings.table, settings.columns))
    with ExitStack() as held:
        held.enter_context(table.hold())
        if table.engine.dialect.name == "sqlite" and table.engine.url.database:
            lock = Path(f"{table.engine.url.database}.kiwi")
            lock.mkdir(exist_ok=True)
            held.callback(shutil.rmtree, lock, ignore_errors=True)
            held.enter_context(hold(lock))
        try:
            yield DatabaseResults(table, output)
        finally:
            table.engine.dispose()


class DatabaseResults:
    """What `Folder` is for files. Results are written when `sync` is called; a run that is killed before does them again."""

    def __init__(self, table: RowTable, output: Output) -> None:
        self.path, self.output = table.place, output
        self.head: Head | None = None
        self.live: dict[str, Entry] = {}
        self._table = table
        self._rows: list[Mapping[str, Any]] = []
        self._lines: dict[str, str] = {}
        self._stale: set[str] = set()  # notes whose rows are not those that were written
        if not table.is_ours:
            if table.is_there:
                raise OutputError(f"{table.place} is there, and this command did not make it. Name another table by --into.")
            return
        lines = table.lines()
        if _HEAD not in lines:  # killed when it was just made
            return
        data = "\n".join([lines.pop(_HEAD), *lines.values()]) + "\n"
        self.head, entries = parse(data.encode(), table.place)
        counts = table.counts() if table.is_there else {}
        # Rows that somebody took away or added are made again.
        self.live = {entry.note: entry for entry in entries if counts.get(entry.note, 0) == entry.end}
        self._stale = ({*lines} | counts.keys()) - self.live.keys()

    def begin(self, head: Head, drop: Collection[str]) -> None:
        """Take the results of some notes away; make the table anew where its columns are to be others."""
        self.head = head
        if not self._table.fits or not self._table.is_ours:
            self._table.make()
            self.live = {}
        self.live = {name: entry for name, entry in self.live.items() if name not in drop}
        self._table.replace([_HEAD, *drop, *self._stale], [], {_HEAD: _line(render(head, ()))})

    def write(self, entry: Entry, data: bytes) -> None:
        """Take a note's result, to be written with its batch in the place of an earlier one."""
        rows = json.loads(data)
        self._rows += rows
        self.live[entry.note] = replace(entry, file=self._table.place, end=len(rows))
        self._lines[entry.note] = _line(render_entry(self.live[entry.note]))

    def fail(self, entry: Entry) -> None:
        """Say that a note has no result; an earlier one is taken away with its batch."""
        self.live[entry.note] = entry
        self._lines[entry.note] = _line(render_entry(entry))

    def sync(self) -> None:
        """Write what was taken since the last time, in one transaction."""
        if self._lines:
            self._table.replace(self._lines, self._rows, self._lines)
            self._rows, self._lines = [], {}

    def finish(self, order: Iterable[str], left_out: Iterable[tuple[str, str]]) -> None:
        """Write the rest, and that the run is at its end; rows of a database have no order."""
        assert self.head is not None
        self.sync()
        self.head = replace(self.head, redo="")
        self._table.replace([_HEAD], [], {_HEAD: _line(render(self.head, ()))})


def _line(data: bytes) -> str:
    return data.decode().rstrip("\n")
