"""Pages that list the pages of many notes, to go through one after the other."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .markup import html_text

ON_A_PAGE = 500  # notes
_SCRIPT = Path(__file__).with_name("index.js").read_text(encoding="utf-8")
_STYLE = Path(__file__).with_name("index.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Listed:
    """A note in the list: the file of its page, relative to the list and as Python reads names, "" of a note that has none;
    and what is to be said of it, such as why it failed."""

    name: str
    file: str
    remark: str = ""


def index_name(number: int) -> str:
    """Return the file of the first list, or of a further one, counted from 1.

    >>> index_name(1), index_name(2)
    ('index.html', 'index-0002.html')
    """
    return "index.html" if number == 1 else f"index-{number:04d}.html"


def index_pages(notes: Sequence[Listed], title: str = "Notes") -> dict[str, str]:
    """Return the pages that list these notes, file name > HTML; one at least.

    A note's page opens beside the list; two buttons, or the keys j and k, go to the next and the one before. Without its small
    script the list has links alone. Nothing is fetched from a network.

    >>> list(index_pages([Listed(str(i), f"{i}.html") for i in range(501)]))
    ['index.html', 'index-0002.html']
    """
    parts = [notes[first : first + ON_A_PAGE] for first in range(0, len(notes), ON_A_PAGE)] or [[]]
    return {
        index_name(number): _page(part, title, number, len(parts), (number - 1) * ON_A_PAGE, len(notes))
        for number, part in enumerate(parts, start=1)
    }


def _page(notes: Sequence[Listed], title: str, number: int, of: int, before: int, in_all: int) -> str:
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    # No default-src: a page of a file has no origin that a frame could be allowed by.
    policy = (
        f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'none'; connect-src 'none'; object-src 'none'; "
        "form-action 'none'; base-uri 'none'"
    )
    name, first = html_text(title), next((note.file for note in notes if note.file), "")
    shown = f"{before + 1}–{before + len(notes)} of {in_all}" if notes else "none"
    lists = "".join(
        f'<a rel="{rel}" href="{index_name(other)}">{words}</a>'
        for rel, words, other in (("prev", "earlier notes", number - 1), ("next", "further notes", number + 1))
        if 1 <= other <= of
    )
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">',
        f'<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title><style>{_STYLE}</style></head>",
        f'<body><nav aria-label="Notes"><h1>{name}: {shown}</h1>',
        '<p id="steps" hidden><button type="button" id="before">Before (k)</button>'
        '<button type="button" id="after">Next (j)</button></p>',
        f"<p>{lists}</p>" if lists else "",
        "<ol>",
        *map(_item, notes),
        "</ol></nav>",
        f'<iframe name="note" title="Note"{f" src={chr(34)}{_href(first)}{chr(34)}" if first else ""}></iframe>',
        f"<script>{_SCRIPT}</script></body></html>",
        "",
    ])


def _item(note: Listed) -> str:
    remark = f" <small>{html_text(note.remark)}</small>" if note.remark else ""
    if not note.file:
        return f"<li>{html_text(note.name)}{remark}</li>"
    return f'<li><a href="{_href(note.file)}" target="note">{html_text(note.name)}</a>{remark}</li>'


def _href(file: str) -> str:
    return html_text(quote(os.fsencode(file)))
