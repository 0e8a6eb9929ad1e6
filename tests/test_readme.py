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


def test_figures_of_the_readme_are_those_of_the_cards_and_the_study() -> None:
    """F1 on the 16 notes, exact, is the card's or the study's; notes a second, and memory, stand in a row of the study."""
    study = (ROOT / "docs/study.md").read_text(encoding="utf-8").replace("**", "")
    dev = study[study.index("## mtsamples-dev") :].split("\n## ", 1)[0]
    costs = study[study.index("| system | load, s |") :].split("\n\n", 1)[0]
    table = re.findall(r"^\| `(en_kiwi_\w+)` \|(.*)\|$", README, re.MULTILINE)
    assert [name for name, _ in table] == ["en_kiwi_bert", "en_kiwi_llama"]
    for name, line in table:
        card = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        of_card = [round(100 * float(cell), 1) for cell in _row(card, "MTSamples dev")[1:7:2]]
        of_study = [float(_row(dev, name, task)[4].split(" ")[0]) for task in ("Entities", "Modifiers", "Relations, end to end")]
        cells = [cell.strip() for cell in line.split("|")]
        assert [float(cell.split(" ")[0]) for cell in cells[:3]] in (of_card, of_study)
        _, _, notes, _, memory, *_ = _row(costs, name)
        assert cells[3:5] == [notes, memory]


def _row(page: str, *first: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    (found,) = [row for row in rows if tuple(row[: len(first)]) == first]
    return found
