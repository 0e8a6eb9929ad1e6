"""The example notebook runs from top to bottom, shows what it promises, and is kept without outputs."""

import html
from pathlib import Path
from typing import Any

import nbformat
import pytest
import spacy
from nbclient import NotebookClient

from kiwi_spacy.schema import load_schema

NOTEBOOK = Path(__file__).parents[1] / "docs" / "example.ipynb"


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    """Every output of the notebook, run in its own folder."""
    if not spacy.util.is_package("en_kiwi_bert"):
        pytest.skip("en_kiwi_bert is not installed; `make test` installs packages/*.whl")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def _html(outputs: list[Any], mark: str) -> list[str]:
    """The HTML outputs that hold `mark`."""
    return [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {}) and mark in o.data["text/html"]]


def test_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_notebook_runs_without_errors_or_warnings(outputs: list[Any]) -> None:
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


def test_notebook_shows_entities_and_modifiers_in_the_schema_colours(outputs: list[Any]) -> None:
    schema = load_schema()
    (ents,) = _html(outputs, 'class="entities"')
    assert [label for label in schema.entities if schema.colours[label] not in ents] == []
    (spans,) = _html(outputs, 'class="spans"')
    assert [label for label in ("severity", "negation", "strength") if schema.colours[label] not in spans] == []


def test_notebook_shows_our_page_in_a_frame(outputs: list[Any]) -> None:
    (frame,) = _html(outputs, "<iframe")
    page = html.unescape(frame.split('srcdoc="')[1].split('"')[0])
    assert page.startswith("<!DOCTYPE html>")
    note = (NOTEBOOK.parents[1] / "corpus" / "test" / "outpatient-12.txt").read_text(encoding="utf-8")
    assert page.count('<div class="line"') == note.count("\n") + 1
    assert '<path data-head="' in page


def test_notebook_prints_flags_links_and_a_batch(outputs: list[Any]) -> None:
    printed = "".join(o.text for o in outputs if o.output_type == "stream")
    for expected in (
        "is_negated", "is_somebody_else", "problems of the patient", "linked to nothing",
        "DocBin keeps the links:   True", "to_bytes keeps the links: True", "'pipeline': 'en_kiwi_bert'", "discharge-06",
    ):
        assert expected in printed
