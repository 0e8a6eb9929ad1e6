"""Compare decoding with one plain forward pass of the same weights over the same text, in one run.

    python benchmarks/cost.py NOTES_FOLDER --notes NAMES [--pipeline en_kiwi_llama] [--passes 3] [--published 2] [--dtype auto]

The plain pass takes the notes' windows, sorted by length, at the best of several batch sizes, same weights, dtype and
threads, output layer included. Passes alternate; the median ratio is what counts. `--published N` also runs the
scheme of the Kiwi study with the same weights on the first N notes: a `generate` call for each sentence, and one
more for each entity that the pipeline finds in it, each with the instruction before it and without a shared cache.
"""

import argparse
import statistics
import time
from collections import deque
from pathlib import Path

import spacy
import torch
from passes import best_batch, by_turns, forward_pass
from spacy.tokens import Doc

from kiwi_spacy.engines.llama.decoding import Effort


def published(local: object, instruction: str, docs: list[Doc]) -> tuple[float, int]:
    """Return the seconds and calls of the published scheme: each answer is as long as its sentence with tags."""
    tokenizer, model = local.tokenizer, local.model  # type: ignore[attr-defined]
    began, calls = time.perf_counter(), 0
    for doc in docs:
        for sentence in doc.sents:
            if not sentence.text.strip():
                continue
            inside = [e for e in doc.ents if sentence.start <= e.start < sentence.end]
            for _ in range(1 + len(inside)):
                turns = [{"role": "system", "content": instruction}, {"role": "user", "content": sentence.text}]
                ids = torch.tensor([tokenizer.apply_chat_template(turns, add_generation_prompt=True)])
                length = len(tokenizer.encode(sentence.text)) + 2 * len(inside)
                with torch.inference_mode():
                    model.generate(
                        ids, attention_mask=torch.ones_like(ids), min_new_tokens=length, max_new_tokens=length,
                        do_sample=False, pad_token_id=0,
                    )
                calls += 1
    return time.perf_counter() - began, calls


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--pipeline", default="en_kiwi_llama")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--published", type=int, default=0)
    parser.add_argument("--dtype", default="auto", help="of the weights, in both: auto, float32, bfloat16 ...")
    args = parser.parse_args()
    names = args.notes.read_text(encoding="utf-8").split()
    texts = [(args.folder / f"{name}.txt").read_text(encoding="utf-8") for name in names]
    nlp = spacy.load(args.pipeline, config={"components.kiwi_llm.model.dtype": args.dtype})
    component = nlp.get_pipe("kiwi_llm")
    local, task = component.model, component.task
    docs = [nlp.make_doc(text) for text in texts]
    rows = [local.tokenizer.encode(doc.text[a:b], add_special_tokens=False) for doc in docs for a, b in task.windows(doc)]
    rows.sort(key=len)

    def forward(ids: torch.Tensor) -> None:
        local.model(ids, use_cache=False)

    best = best_batch(forward, rows, (4, 8, 16))
    tokens = sum(map(len, rows))
    print(f"{len(texts)} notes, {len(rows)} windows, {tokens} tokens; best batch {best}; {torch.get_num_threads()} threads")

    def annotate() -> None:
        local.effort = Effort()  # that of the last pass is printed
        deque(nlp.pipe(texts), maxlen=0)

    alone, whole = by_turns(lambda: forward_pass(forward, rows, best), annotate, args.passes)
    ratios = [w / a for w, a in zip(whole, alone)]
    print(f"plain forward pass {statistics.median(alone):.2f} s, whole pipeline {statistics.median(whole):.2f} s; {local.effort}")
    print(f"ratio, median of {args.passes}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if args.published:
        few = texts[: args.published]
        began = time.perf_counter()
        found = list(nlp.pipe(few))
        ours = time.perf_counter() - began
        sentences = spacy.blank("en")
        sentences.add_pipe("sentencizer")
        for doc in found:
            sentences.get_pipe("sentencizer")(doc)
        seconds, calls = published(local, task.instruction, found)
        print(f"{' and '.join(names[: args.published])}: published scheme {seconds:.1f} s in {calls} calls, ours {ours:.1f} s")
        print(f"ratio {seconds / ours:.1f}")


if __name__ == "__main__":
    main()
