"""Write the picture of a marked note that the README shows: displaCy draws entities, modifiers and links of a pipeline.

    python recipes/picture.py --pipeline en_kiwi_bert --output docs/marked-note.svg
"""

import argparse
import re
from pathlib import Path
from typing import Any

import spacy
from spacy import displacy
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

TEXT = "She denies chest pain. Lasix 20 mg p.o. b.i.d."


def arcs_and_words(doc: Doc) -> dict[str, Any]:
    """Return what displaCy's style "dep" draws by hand: words with their labels, and links between them.

    A modifier within an entity, such as "chest" of "chest pain", has no word of its own and is left out.
    """
    shown: list[Span] = filter_spans([*doc.ents, *doc.spans.get("modifiers", [])])
    words, number = [], {}
    at = 0
    for span in [*sorted(shown, key=lambda span: span.start), doc[len(doc):]]:
        words += [{"text": token.text, "tag": ""} for token in doc[at : span.start]]
        if len(span):
            number[span.start, span.end] = len(words)
            words.append({"text": span.text, "tag": span.label_})
        at = span.end
    arcs = []
    for link in doc._.relations:
        ends = [number.get((span.start, span.end)) for span in (link.head, link.modifier)]
        if None not in ends:
            head, modifier = ends
            way = "right" if modifier > head else "left"
            arcs.append({"start": min(ends), "end": max(ends), "label": link.label, "dir": way})
    return {"words": words, "arcs": arcs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", default="en_kiwi_bert")
    parser.add_argument("--output", type=Path, default=Path("docs/marked-note.svg"))
    parser.add_argument("--text", default=TEXT)
    asked = parser.parse_args()
    drawn = arcs_and_words(spacy.load(asked.pipeline)(asked.text))
    options = {"compact": True, "distance": 110, "bg": "#ffffff", "color": "#222222", "word_spacing": 34}
    svg = displacy.render(drawn, style="dep", manual=True, jupyter=False, options=options)
    svg = re.sub(r"[0-9a-f]{32}-0", "note", svg)  # displaCy's id is another at each run
    asked.output.write_text(svg, encoding="utf-8")
    print(f"written: {asked.output}")


if __name__ == "__main__":
    main()
