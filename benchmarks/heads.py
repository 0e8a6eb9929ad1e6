"""Compare designs of the three heads on folds of annotated notes: same encoder, folds, steps and seeds.

    python benchmarks/heads.py NOTES_FOLDER --without NAMES --output DIR [--epochs 5] [--backbone minilm]

Each run trains one design of every head together on one fold with one seed and adds a line to
DIR/runs.jsonl; runs that stand there are not done again. The table at the end gives means over
folds and seeds. Notes of the same or nearly the same text stay in one fold.

    designs   entities                      modifiers                     links
    field     field over whole spans        field over whole spans        spans and what lies between, counted
    softmax   softmax, best legal path      softmax, best legal path      the spans' vectors alone
    spacy     spaCy's ner                   spaCy's spancat (1-8 tokens)  (as field)
"""

import argparse
import contextlib
import io
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy import util

from kiwi_spacy.engines.bert import links
from kiwi_spacy.study.evaluate import evaluate
from kiwi_spacy.train.loop import train

CONFIG = Path(__file__).parents[1] / "configs" / "bert.cfg"
DESIGNS = ("field", "softmax", "spacy")
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"}, "upstream": "*",
}
FIGURES = {
    "entities exact": ("entities", "exact"), "relaxed": ("entities", "relaxed"), "modifiers exact": ("modifiers", "exact"),
    "links, gold given": ("relations_given_gold", "exact"), "links exact": ("relations", "exact"),
}


def folds(folder: Path, without: set[str], number: int) -> list[list[str]]:
    """Return the names of the notes of each fold; texts that share most of their lines go together."""
    texts = {p.stem: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.txt")) if p.stem not in without}
    groups: list[tuple[set[str], list[str]]] = []
    for name, text in texts.items():
        lines = {line.strip() for line in text.split("\n") if len(line.split()) > 3}
        for known, names in groups:
            if len(lines & known) > 0.3 * min(len(lines), len(known)):
                names.append(name)
                break
        else:
            groups.append((lines, [name]))
    random.Random(0).shuffle(groups)
    result: list[list[str]] = [[] for _ in range(number)]
    for _, names in groups:
        min(result, key=len).extend(names)
    return result


def designed(design: str) -> util.Config:
    """Return the training config with the heads of a design."""
    config = util.load_config(CONFIG, interpolate=False)
    parts = config["components"]
    if design == "softmax":
        parts["kiwi_entities"]["loss"] = parts["kiwi_modifiers"]["loss"] = "softmax"
    if design == "spacy":
        parser = {
            "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
            "hidden_width": 64, "maxout_pieces": 2, "use_upper": False, "tok2vec": LISTENER,
        }
        parts["kiwi_entities"] = {"factory": "ner", "model": parser}
        spans = {
            "@architectures": "spacy.SpanCategorizer.v1", "tok2vec": LISTENER,
            "reducer": {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 128},
            "scorer": {"@layers": "spacy.LinearLogistic.v1"},
        }
        suggester = {"@misc": "spacy.ngram_range_suggester.v1", "min_size": 1, "max_size": 8}
        parts["kiwi_modifiers"] = {
            "factory": "spancat", "spans_key": "modifiers", "threshold": 0.5, "model": spans, "suggester": suggester,
        }
    return config


def vectors_alone(made: Any) -> Any:
    """Return `LinkScorer.candidates` with everything counted set to zero."""
    def candidates(self: Any, *args: Any) -> Any:
        rows, index = made(self, *args)
        rows[:, 6:] = 0
        return rows, index

    return candidates


def run(design: str, fold: int, seed: int, args: argparse.Namespace, parts: list[list[str]]) -> dict[str, Any]:
    """Train and score one design on one fold; return its figures."""
    folder = args.output / f"{design}-{fold}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    held = folder / "held-out.txt"
    held.write_text("\n".join(parts[fold]), encoding="utf-8")
    left_out = folder / "without.txt"
    left_out.write_text("\n".join([*parts[fold], *args.names]), encoding="utf-8")
    designed(design).to_disk(folder / "config.cfg")
    tokens = sum(len((args.folder / f"{n}.txt").read_text().split()) for i, p in enumerate(parts) if i != fold for n in p)
    steps = int(tokens * 1.25 / 1000 * args.epochs)  # a word is 1.25 tokens
    overrides = {
        "paths.train": str(args.folder), "paths.without": str(left_out), "paths.dev": str(args.folder),
        "corpora.dev.notes": str(held), "paths.backbone": args.backbone, "training.seed": seed, "system.seed": seed,
        "training.max_steps": steps, "training.eval_frequency": 10**6, "training.optimizer.learn_rate.total_steps": steps,
        "training.optimizer.learn_rate.warmup_steps": steps // 15,
    }
    if args.rate:
        overrides["training.optimizer.learn_rate.initial_rate"] = args.rate
    made = links.LinkScorer.candidates
    if design == "softmax":
        links.LinkScorer.candidates = vectors_alone(made)  # type: ignore[method-assign]
    began = time.time()
    try:
        with (folder / "log.txt").open("w") as log, contextlib.redirect_stdout(log):
            nlp = spacy.load(train(folder / "config.cfg", folder, overrides))
        minutes = (time.time() - began) / 60
        with contextlib.redirect_stderr(io.StringIO()):
            scores = evaluate(nlp, args.folder, held)
    finally:
        links.LinkScorer.candidates = made  # type: ignore[method-assign]
    figures = {name: scores[task]["all"][rule]["f"] for name, (task, rule) in FIGURES.items()}
    return {"design": design, "fold": fold, "seed": seed, "steps": steps, "minutes": round(minutes, 1), **figures}


def main() -> None:
    """Do what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", type=Path, help="names of notes to leave out altogether, one a line")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1))
    parser.add_argument("--designs", nargs="+", default=DESIGNS, choices=DESIGNS)
    parser.add_argument("--rate", type=float, help="learning rate; spaCy's own heads need more than the config's")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.names = args.without.read_text(encoding="utf-8").split() if args.without else []
    parts = folds(args.folder, set(args.names), args.folds)
    args.output.mkdir(parents=True, exist_ok=True)
    table = args.output / "runs.jsonl"

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []

    for seed in args.seeds:
        for fold in range(args.folds):
            for design in args.designs:
                if not any((r["design"], r["fold"], r["seed"]) == (design, fold, seed) for r in read()):
                    row = run(design, fold, seed, args, parts)
                    with table.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(row, flush=True)
    columns = [*FIGURES, "minutes"]
    print("| design | runs | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 2))
    for design in DESIGNS:
        rows = [r for r in read() if r["design"] == design]
        if rows:
            means = (statistics.mean(r[c] for r in rows) for c in columns)
            print(f"| {design} | {len(rows)} | " + " | ".join(f"{m:.3f}" for m in means) + " |")


if __name__ == "__main__":
    main()
