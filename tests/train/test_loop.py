"""A run goes on, begins anew or does not begin, by what it is of; steps and losses are counted as they are."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.training import Example

from kiwi_spacy.errors import TrainingError
from kiwi_spacy.train.loop import batches, train

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "bert.cfg"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """One of our own notes, in a folder where it can be changed."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for suffix in ("txt", "ann"):
        shutil.copy(ROOT / "corpus" / "dev" / f"icu-05.{suffix}", folder)
    return folder


@pytest.fixture
def short(overrides: dict[str, object], notes: Path) -> dict[str, object]:
    return {**overrides, "paths.train": str(notes), "paths.dev": None, "training.max_steps": 3}


def told(*args: Any, **named: Any) -> list[str]:
    """Train and return the lines that were said."""
    lines: list[str] = []
    train(*args, progress=lines.append, **named)
    return lines


def test_a_finished_run_takes_no_step_and_corrected_annotations_are_learned(
    short: dict[str, object], notes: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    train(CONFIG, output, short)
    before = spacy.load(output / "model-last")("")._.provenance["weights"]
    assert any("step 3 of 3" in line for line in told(CONFIG, output, short))
    lines = (notes / "icu-05.ann").read_text(encoding="utf-8").splitlines()
    (notes / "icu-05.ann").write_text("\n".join(lines[: len(lines) // 2]) + "\n", encoding="utf-8")
    said = told(CONFIG, output, short)
    assert "notes" in said[0] and "begins anew" in said[0]
    assert any("step 0 of 3" in line for line in said)
    assert spacy.load(output / "model-last")("")._.provenance["weights"] != before


def test_a_run_of_other_settings_or_another_base_is_left_alone(
    short: dict[str, object], trained: Path, tmp_path: Path
) -> None:
    train(CONFIG, tmp_path, short)
    with pytest.raises(TrainingError, match="other settings"):
        train(CONFIG, tmp_path, {**short, "training.max_steps": 2})
    with pytest.raises(TrainingError, match="another base"):
        train(CONFIG, tmp_path, short, base=str(trained))


def test_the_last_line_of_losses_is_a_mean_over_its_own_steps(short: dict[str, object], tmp_path: Path) -> None:
    still = {**short, "training.optimizer.learn_rate.initial_rate": 0.0, "training.batcher.size": 100_000,
             "components.transformer.model.transformer_config": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}}
    one, twelve = ({**still, "training.max_steps": steps} for steps in (1, 12))
    (first,) = [line for line in told(CONFIG, tmp_path / "one", one) if line.startswith("step 1/1 ") and "kiwi_entities " in line]
    tenth, last = [line for line in told(CONFIG, tmp_path / "twelve", twelve) if "tokens/s" in line]

    def loss(line: str) -> float:
        return float(line.split("kiwi_entities ")[1].split()[0])

    # At a rate of zero nothing is learned, and one batch holds all: steps have the loss of the first, up to the heads' dropout.
    assert loss(tenth) == pytest.approx(loss(first), rel=0.05)
    assert loss(last) == pytest.approx(loss(first), rel=0.05)


def test_batches_refuse_a_batcher_that_gives_nothing() -> None:
    def empty(examples: list[Example]) -> Iterator[list[Example]]:
        return iter([])

    with pytest.raises(TrainingError, match="makes no batch of 0 pieces"):
        next(batches([], empty, total=3, seed=0))


@pytest.mark.parametrize("total", [0, 3, 5])
def test_batches_give_so_many_steps(total: int) -> None:
    nlp = spacy.blank("en")
    examples = [Example(nlp.make_doc(word), nlp.make_doc(word)) for word in ("a", "b")]
    found = list(batches(examples, lambda order: [[eg] for eg in order], total, seed=0))
    assert [step for step, _ in found] == list(range(total))


def test_a_run_without_a_step_is_refused(short: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="leave no step to train"):
        train(CONFIG, tmp_path, {**short, "training.max_steps": 0, "training.max_epochs": 0})
