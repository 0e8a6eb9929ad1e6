"""The README's example runs, and gives what it says."""

import re
import socket
from pathlib import Path

import pytest
import spacy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# A snippet and the output that stands below it.
SNIPPETS = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


needs_pipeline = pytest.mark.skipif(
    not spacy.util.is_package("en_kiwi_bert"), reason="en_kiwi_bert is not installed; `make test` installs packages/*.whl"
)


@needs_pipeline
@pytest.mark.parametrize(("snippet", "output"), SNIPPETS, ids=range(len(SNIPPETS)))
def test_readme_snippet_runs_without_network_and_prints_what_it_says(
    snippet: str, output: str, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(snippet, "README.md", "exec"), {})
    assert capsys.readouterr().out == output


def test_each_python_block_of_the_readme_stands_above_its_output() -> None:
    assert len(SNIPPETS) == README.count("```python") > 0


def test_links_of_readme_and_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page.name


def test_figures_of_the_readme_are_those_of_the_study() -> None:
    study = (ROOT / "docs/study.md").read_text(encoding="utf-8").replace("**", "")
    for line in re.findall(r"^\| `en_kiwi_\w+` \|.*$", README, re.MULTILINE):
        name, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
        rows = [row for row in study.splitlines() if row.startswith(f"| {name} |")]
        assert [cell for cell in cells if not any(f" {cell} |" in row for row in rows)] == []


@needs_pipeline
def test_shipped_pipeline_knows_its_provenance(no_network: None) -> None:
    doc = spacy.load("en_kiwi_bert")("No fever.")
    assert doc._.provenance["pipeline"] == "en_kiwi_bert"
    assert len(doc._.provenance["weights"]) == 16
