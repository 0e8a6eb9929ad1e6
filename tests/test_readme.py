"""The README's example runs, and gives what it says."""

import re
import socket
from pathlib import Path

import pytest
import spacy

ROOT = Path(__file__).parents[1]
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


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
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_readme_snippet_runs_without_network(snippet: str, no_network: None, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(snippet, "README.md", "exec"), {})
    assert "chest pain negation denies" in capsys.readouterr().out


@needs_pipeline
def test_shipped_pipeline_knows_its_provenance(no_network: None) -> None:
    doc = spacy.load("en_kiwi_bert")("No fever.")
    assert doc._.provenance["pipeline"] == "en_kiwi_bert"
    assert len(doc._.provenance["weights"]) == 16
