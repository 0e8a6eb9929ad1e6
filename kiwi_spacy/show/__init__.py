"""Annotated notes as pages and tables."""

from .facts import fact_tables, medication_list, problem_list, result_table
from .notebook import displacy_colours, displacy_ents, displacy_facts, displacy_options, displacy_spans
from .page import render_frame, render_html
from .words import summary_table

__all__ = [
    "displacy_colours", "displacy_ents", "displacy_facts", "displacy_options", "displacy_spans", "fact_tables", "medication_list",
    "problem_list", "render_frame", "render_html", "result_table", "summary_table",
]
