"""How each engine is trained on the notes that a file names: the points of a learning curve."""

from collections.abc import Callable
from pathlib import Path

import spacy

from ..contract import NOTE
from ..formats.corpus import read_docs, read_names
from ..schema import load_schema
from ..tokenizer import build_tokenizer
from .loop import train

OnPart = Callable[[Path, Path], Path]  # (file of note names, folder to write to) > the pipeline's path


def bert_on_part(corpus: str, config: Path, *, epochs: float, least_steps: int, rate: float, device: str) -> OnPart:
    """Return how the bert engine is trained on a part of a corpus; a step has 1,000 tokens."""

    def run(notes: Path, folder: Path) -> Path:
        steps = max(least_steps, round(epochs * _tokens(corpus, notes) / 1000))
        return train(config, folder, {
            "paths.train": corpus, "paths.dev": None, "paths.notes": str(notes), "training.max_epochs": 0,
            "training.max_steps": steps, "training.optimizer.learn_rate.total_steps": steps,
            "training.optimizer.learn_rate.warmup_steps": max(1, steps // 15),
            "training.optimizer.learn_rate.initial_rate": rate,
        }, device=device)

    return run


def llama_on_part(corpus: str, config: Path, *, epochs: float, device: str) -> OnPart:
    """Return how the llama engine is tuned on a part of a corpus."""

    def run(notes: Path, folder: Path) -> Path:
        settings = {"paths.train": corpus, "paths.notes": str(notes), "tuning.epochs": epochs}
        return train(config, folder, settings, device=device)

    return run


def _tokens(corpus: str, notes: Path) -> int:
    """Return about how many tokens the named notes have: a word has 1.25 in clinical notes."""
    wanted = read_names(notes) or set()
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    docs = (doc for part in corpus.split(",") for doc in read_docs(Path(part.strip()), nlp, load_schema()))
    return sum(len(doc.text.split()) * 5 // 4 for doc in docs if doc.user_data.get(NOTE) in wanted)
