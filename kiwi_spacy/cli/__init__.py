"""The command `kiwi`. Each command parses its arguments and calls a plain function of another module."""

from ..run import memory
from . import annotations, extract, omop, study, train, vocabulary
from .common import app

__all__ = ["annotations", "app", "extract", "main", "omop", "study", "train", "vocabulary"]


def main() -> None:
    """Run the command; the entry point of `kiwi` and of `python -m kiwi_spacy.cli`."""
    memory.keep()  # this process is ours alone
    app()
