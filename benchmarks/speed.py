"""Compare the whole pipeline with the bare forward pass of its own encoder, in one run.

    python benchmarks/speed.py NOTES_FOLDER [--pipeline en_kiwi_bert] [--passes 5]

The bare pass takes the same texts in windows without overlap, sorted by length, at the best of several
batch sizes, with the same weights, dtype and threads. Passes alternate; the median ratio is what counts.
"""

import argparse
import statistics
from collections import deque
from pathlib import Path

import spacy
import torch
from passes import best_batch, by_turns, forward_pass

from kiwi_spacy.run import memory


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pipeline", default="en_kiwi_bert")
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    memory.keep()  # as `kiwi extract` does
    texts = [path.read_text(encoding="utf-8") for path in sorted(args.folder.glob("*.txt"))]
    nlp = spacy.load(args.pipeline)
    transformer = nlp.get_pipe("transformer").model
    model, tokenizer = transformer.transformer, transformer.tokenizer
    windows = transformer.attrs["get_spans"]
    rows = [tokenizer(span.text)["input_ids"] for doc in map(nlp.make_doc, texts) for span in windows.cut(doc)]
    rows.sort(key=len)

    def forward(ids: torch.Tensor) -> None:
        model.eval()  # the pipeline leaves it in training mode after each of its passes
        model(ids, attention_mask=(ids != 0).long())

    best = best_batch(forward, rows, (4, 8, 16, 32))
    pieces = sum(map(len, rows))
    print(f"{len(texts)} notes, {len(rows)} windows, {pieces} word pieces; best batch {best}; {torch.get_num_threads()} threads")
    alone, whole = by_turns(
        lambda: forward_pass(forward, rows, best), lambda: deque(nlp.pipe(texts), maxlen=0), args.passes
    )
    ratios = [w / a for w, a in zip(whole, alone)]
    print(f"bare forward pass {statistics.median(alone):.2f} s, whole pipeline {statistics.median(whole):.2f} s")
    print(f"ratio, median of {args.passes}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
