"""A run that writes pages: each note has one, and lists lead through them in order."""

import re
from pathlib import Path

import pytest
from spacy.language import Language

from kiwi_spacy.run.extract import extract
from kiwi_spacy.run.manifest import MANIFEST
from kiwi_spacy.show import index


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "ward #1").mkdir(parents=True)
    for name, text in (("a", "denies fever"), ("b", "EXPLODE"), ("index", "mild cough"), ("ward #1/a%20b", "CT")):
        (folder / f"{name}.txt").write_text(text)
    return folder


def _links(page: Path) -> list[str]:
    return re.findall(r'<a href="([^"]*)" target="note">', page.read_text(encoding="utf-8"))


def test_the_list_links_every_page_and_names_a_note_that_failed(nlp: Language, notes: Path, tmp_path: Path) -> None:
    summary = extract([str(notes)], nlp, tmp_path / "out", "html")
    assert (summary.done, [name for name, _ in summary.failed]) == (3, ["b"])
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"index.html", MANIFEST, "notes/a.html", "notes/index.html", "notes/ward #1/a%20b.html"}
    page = tmp_path / "out" / "index.html"
    assert _links(page) == ["notes/a.html", "notes/index.html", "notes/ward%20%231/a%2520b.html"]
    assert "<li>b <small>the pipeline raised RuntimeError at " in page.read_text(encoding="utf-8")
    assert "absent" in (tmp_path / "out" / "notes" / "a.html").read_text(encoding="utf-8")  # facts are found for a page


def test_long_lists_have_pages_and_those_that_are_too_many_go(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "ON_A_PAGE", 2)
    out = tmp_path / "out"
    extract([str(notes)], nlp, out, "html")
    assert [_links(out / name) for name in ("index.html", "index-0002.html")] == [
        ["notes/a.html"], ["notes/index.html", "notes/ward%20%231/a%2520b.html"],
    ]
    first = (out / "index.html").read_text(encoding="utf-8")
    assert '<a rel="next" href="index-0002.html">' in first and "1–2 of 4" in first and 'rel="prev"' not in first
    for name in ("b", "index"):
        (notes / f"{name}.txt").unlink()
    extract([str(notes)], nlp, out, "html", redo="changed")
    assert sorted(path.name for path in out.iterdir()) == ["index.html", MANIFEST, "notes"]
    extract([str(notes)], nlp, out, "brat", redo="changed")
    assert sorted(path.name for path in out.iterdir()) == ["a.ann", MANIFEST, "ward #1"]


def test_a_name_stays_text_in_the_list(nlp: Language, tmp_path: Path) -> None:
    table = tmp_path / "n.csv"
    table.write_text('id,text\n<b>&"\',fever\n')
    extract([str(table)], nlp, tmp_path / "out", "html")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;&quot;&#x27;</a>" in page and "<b>" not in page
