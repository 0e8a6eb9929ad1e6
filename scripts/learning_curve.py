"""Train both engines on growing parts of annotated notes, score each on the same others, and draw the curve.

    python scripts/learning_curve.py --corpus corpus/train --dev corpus/dev --output training/curve

Killed, it goes on where it stopped. `--corpus` may join folders by commas, as in `kiwi train`.
"""

import argparse
from pathlib import Path

import spacy

from kiwi_spacy.formats.corpus import read_names
from kiwi_spacy.run import memory
from kiwi_spacy.schema import load_schema
from kiwi_spacy.study.comparison.systems import Source, read_source
from kiwi_spacy.study.site.curve import Train, format_curve, learning_curve, write_curve
from kiwi_spacy.train.loop import train


def bert(corpus: str, epochs: float, least_steps: int, rate: float, device: str) -> Train:
    """Return how the bert engine is trained on the notes that a file names; a step has 1,000 tokens."""

    def run(notes: Path, folder: Path) -> Path:
        words = _words(corpus, notes)
        steps = max(least_steps, round(epochs * words / 1000))
        return train(Path("configs/bert.cfg"), folder, {
            "paths.train": corpus, "paths.dev": None, "paths.notes": str(notes), "training.max_epochs": 0,
            "training.max_steps": steps, "training.optimizer.learn_rate.total_steps": steps,
            "training.optimizer.learn_rate.warmup_steps": max(1, steps // 15),
            "training.optimizer.learn_rate.initial_rate": rate,
        }, device=device)

    return run


def llama(corpus: str, epochs: float, device: str) -> Train:
    """Return how the llama engine is tuned on the notes that a file names."""

    def run(notes: Path, folder: Path) -> Path:
        return train(Path("configs/llama.cfg"), folder, {
            "paths.train": corpus, "paths.notes": str(notes), "tuning.epochs": epochs,
        }, device=device)

    return run


def _words(corpus: str, notes: Path) -> int:
    wanted = read_names(notes) or set()
    return sum(len(note.text.split()) * 5 // 4 for note in read_all(corpus, None).notes if note.name in wanted)


def read_all(corpus: str, without: Path | None) -> Source:
    """Return the notes of all folders, but for those that a file names."""
    left_out = read_names(without) or set()
    parts = [read_source(Path(part.strip()), load_schema()) for part in corpus.split(",")]
    return Source("train", [note for part in parts for note in part.notes if note.name not in left_out])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="annotated notes to train on; several joined by a comma")
    parser.add_argument("--without", type=Path, help="file of note names to leave out")
    parser.add_argument("--dev", type=Path, required=True, help="annotated notes to score on")
    parser.add_argument("--dev-notes", type=Path, help="file of note names to score on")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bert-parts", type=int, nargs="*", default=[5, 10, 25, 50, 100], help="in percent")
    parser.add_argument("--bert-epochs", type=float, default=9)
    parser.add_argument("--bert-least-steps", type=int, default=150, help="so that small parts are learned, too")
    parser.add_argument("--bert-rate", type=float, default=1.5e-4)
    parser.add_argument("--llama-parts", type=int, nargs="*", default=[10, 100], help="in percent")
    parser.add_argument("--llama-epochs", type=float, default=2.5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    memory.keep()  # as `kiwi train` does
    schema = load_schema()
    engines: dict[str, tuple[list[int], Train]] = {}
    if args.bert_parts:
        run = bert(args.corpus, args.bert_epochs, args.bert_least_steps, args.bert_rate, args.device)
        engines["bert"] = (args.bert_parts, run)
    if args.llama_parts:
        engines["llama"] = (args.llama_parts, llama(args.corpus, args.llama_epochs, args.device))
    dev = read_source(args.dev, schema, notes=args.dev_notes)
    curve = learning_curve(
        read_all(args.corpus, args.without), dev, schema, engines, args.output, load=spacy.load, seed=args.seed,
        progress=lambda line: print(line, flush=True),
    )
    write_curve(curve, args.output)
    print(format_curve(curve))
    print(f"{args.output / 'curve.html'} written")


if __name__ == "__main__":
    main()
