"""Annotated notes as pages and tables."""

from .notebook import displacy_colours, displacy_ents, displacy_options, displacy_spans
from .page import render_frame, render_html
from .words import summary_table

__all__ = [
    "displacy_colours", "displacy_ents", "displacy_options", "displacy_spans", "render_frame", "render_html", "summary_table",
]
