"""Extract from one of our own notes with every installed pipeline of ours; print a table, write an HTML page."""

import sys
import warnings
from pathlib import Path

import spacy

from kiwi_spacy.visualise import render_html, summary_table

PIPELINES = ("en_kiwi_bert",)
NOTE = Path(__file__).parent.parent / "corpus" / "test" / "outpatient-12.txt"
OUTPUT = Path("demo")


def main() -> None:
    """Run the demonstration."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    text = NOTE.read_text(encoding="utf-8")
    print(text)
    OUTPUT.mkdir(exist_ok=True)
    for name in PIPELINES:
        if not spacy.util.is_package(name):
            sys.exit(f"Pipeline {name} is not installed. Run: make demo")
        doc = spacy.load(name)(text)
        page = OUTPUT / f"{name}.html"
        page.write_text(render_html(doc, title=f"{NOTE.stem} by {name}"), encoding="utf-8")
        print(f"\n{name}: {len(doc.ents)} entities, {len(doc._.relations)} links\n")
        print(summary_table(doc))
        print(f"\nThe same in colour: {page}")


if __name__ == "__main__":
    main()
