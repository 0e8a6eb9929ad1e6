"""What `kiwi` itself takes, and that the texts beside it hold together."""

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiwi_spacy import __version__
from kiwi_spacy.cli import app

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("args, said", [
    (["--version"], __version__), (["--help"], "Exit codes"), (["--help"], "--install-completion"),
], ids=["version", "exit-codes", "completion"])
def test_kiwi_says(args: list[str], said: str) -> None:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0
    assert said in result.output


def test_no_heading_of_the_study_stands_twice() -> None:
    lines = (ROOT / "docs" / "study.md").read_text(encoding="utf-8").split("\n")
    assert [line for line, times in Counter(line for line in lines if line.startswith("#")).items() if times > 1] == []
