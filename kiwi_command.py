"""The command `kiwi`. It stands beside the package, not in it, so that `import kiwi_spacy` knows who asks.

Whoever else imports the package gets all of it and spaCy with it, which takes seconds (docs/decisions/0017-start.md).
"""


def main() -> None:
    """Run the command; the entry point of `kiwi`."""
    from kiwi_spacy.cli import main as run

    run()
