"""HTML as the output of a run: a page a note below `notes`, and pages that list them."""

import re
from collections.abc import Iterable
from pathlib import Path

from spacy.tokens import Doc

from ..formats.outputs import Output
from ..show import render_html
from ..show.index import Listed, index_pages

_INDEX = re.compile(r"index(-\d{4,})?\.html")


def _render(name: str, doc: Doc) -> bytes:
    return render_html(doc, title=name).encode("utf-8")


PAGES = Output("file a note", ".html", _render, folder="notes/")


def index_files(folder: Path) -> set[str]:
    """Return the names of the lists that stand in a folder."""
    return {path.name for path in folder.iterdir() if _INDEX.fullmatch(path.name)}


def index_of(listed: Iterable[Listed]) -> dict[str, bytes]:
    """Return the lists of a run's notes, file name > HTML."""
    return {name: page.encode("utf-8") for name, page in index_pages(list(listed)).items()}
