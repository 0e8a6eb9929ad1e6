"""Compare the whole pipeline with the bare forward pass of its own encoder, in one run.

    python benchmarks/speed.py NOTES_FOLDER [--pipeline en_kiwi_bert] [--passes 5]

The bare pass takes the same texts in windows without overlap, sorted by length, at the best of several
batch sizes, with the same weights, dtype and threads. Passes alternate; the median ratio is what counts.
"""

import argparse
import statistics
import time
from pathlib import Path

import spacy
import torch


def bare(model: torch.nn.Module, rows: list[list[int]], batch_size: int) -> float:
    """Return the seconds of one forward pass over all rows of word pieces, sorted by length."""
    began = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(rows), batch_size):
            batch = rows[first : first + batch_size]
            longest = max(map(len, batch))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
            model(ids, attention_mask=(ids != 0).long())
    return time.perf_counter() - began


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pipeline", default="en_kiwi_bert")
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    texts = [path.read_text(encoding="utf-8") for path in sorted(args.folder.glob("*.txt"))]
    nlp = spacy.load(args.pipeline)
    transformer = nlp.get_pipe("transformer").model
    model, tokenizer = transformer.transformer.eval(), transformer.tokenizer
    windows = transformer.attrs["get_spans"]
    rows = [tokenizer(span.text)["input_ids"] for doc in map(nlp.make_doc, texts) for span in windows.cut(doc)]
    rows.sort(key=len)
    times = {size: bare(model, rows, size) for size in (4, 8, 16, 32)}
    best = min(times, key=lambda size: times[size])
    pieces = sum(map(len, rows))
    print(f"{len(texts)} notes, {len(rows)} windows, {pieces} word pieces; best batch {best}; {torch.get_num_threads()} threads")
    alone, whole = [], []
    for _ in range(args.passes):
        alone.append(bare(model, rows, best))
        began = time.perf_counter()
        for _doc in nlp.pipe(texts):
            pass
        whole.append(time.perf_counter() - began)
    ratios = [w / a for w, a in zip(whole, alone)]
    print(f"bare forward pass {statistics.median(alone):.2f} s, whole pipeline {statistics.median(whole):.2f} s")
    print(f"ratio, median of {args.passes}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
