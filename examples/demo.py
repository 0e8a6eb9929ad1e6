"""Extract from one of our own notes with every installed pipeline of ours; print tables of what it finds, write HTML pages."""

import html
import sys
import warnings
from pathlib import Path

import spacy
from spacy.tokens import Doc, Span

from kiwi_spacy.show import fact_tables, render_html, summary_table

PIPELINES = ("en_kiwi_bert", "en_kiwi_llama")
NOTE = Path(__file__).parent.parent / "corpus" / "test" / "outpatient-12.txt"
OUTPUT = Path("demo")


def main() -> None:
    """Run the demonstration."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    text = NOTE.read_text(encoding="utf-8")
    print(text)
    OUTPUT.mkdir(exist_ok=True)
    docs: dict[str, Doc] = {}
    for name in PIPELINES:
        if not spacy.util.is_package(name):
            sys.exit(f"Pipeline {name} is not installed. Run: make demo")
        doc = docs[name] = spacy.load(name)(text)
        page = OUTPUT / f"{name}.html"
        page.write_text(render_html(doc, title=f"{NOTE.stem} by {name}", facts=doc._.facts), encoding="utf-8")
        print(f"\n{name}: {len(doc.ents)} entities, {len(doc._.relations)} links\n")
        print(summary_table(doc, facts=doc._.facts))
        print(f"\n{fact_tables(doc._.facts)}")
    print("\nSide by side, where they differ:\n")
    print(side_by_side(docs))
    pages = (render_html(doc, title=name, facts=doc._.facts) for name, doc in docs.items())
    frames = "".join(f'<iframe srcdoc="{html.escape(page)}"></iframe>' for page in pages)
    style = "body{display:flex;margin:0;height:100vh}iframe{flex:1;border:0;border-right:1px solid #ccc}"
    both = OUTPUT / "side-by-side.html"
    head = f"<!doctype html><meta charset=utf-8><title>{NOTE.stem}</title><style>{style}</style>"
    both.write_text(head + frames, encoding="utf-8")
    print(f"\nIn colour: {both}, and {' and '.join(str(OUTPUT / f'{name}.html') for name in PIPELINES)}")


def side_by_side(docs: dict[str, Doc]) -> str:
    """Return a table of the entities that not all pipelines give alike, with what each of them says."""
    said = {
        name: {(e.start_char, e.end_char): f"{e.label_} {_modifiers(e)}".strip() for e in doc.ents} for name, doc in docs.items()
    }
    rows = []
    text = next(iter(docs.values())).text
    for place in sorted({place for found in said.values() for place in found}):
        answers = [found.get(place, "-") for found in said.values()]
        if len(set(answers)) > 1:
            rows.append([" ".join(text[slice(*place)].split()), *answers])
    rows = [[cell if len(cell) <= 56 else cell[:53] + "..." for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [["", *docs], *rows]) for i in range(len(docs) + 1)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [["", *docs], *rows]]
    return "\n".join(lines) if rows else "They agree on every entity and its modifiers."


def _modifiers(ent: Span) -> str:
    return "; ".join(f"{label}: {', '.join(s.text for s in spans)}" for label, spans in ent._.modifiers.items())


if __name__ == "__main__":
    main()
