"""The same note has the same facts: alone or in company, in threads, in other processes, while something is trained."""

import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from kiwi_spacy.contract import LAYERS

ROOT = Path(__file__).parents[2]
NOTES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "corpus" / "dev").glob("*.txt"))][:6]
TEXTS = [*NOTES, "", " ", "fever", "No fever.", NOTES[0][:400], "x" * 300]


@pytest.fixture(scope="module")
def nlp(trained: Path) -> Language:
    """A pipeline of this module's own, as one test trains it; with dropout, which a wrong switch would let in."""
    nlp = spacy.load(trained)
    assert nlp.get_pipe("transformer").model.transformer.config.hidden_dropout_prob > 0
    return nlp


@pytest.fixture(scope="module")
def alone(nlp: Language) -> list[Any]:
    return [carried(nlp(text)) for text in TEXTS]


def carried(doc: Doc) -> Any:
    """All that a Doc carries, scores rounded to where single and double precision agree."""
    return [_rounded(layer.read(doc)) for layer in LAYERS if layer.name != "user_data"]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def plain(docs: Iterator[Doc] | list[Doc]) -> list[Any]:
    return [[layer.read(doc) for layer in LAYERS if layer.name != "user_data"] for doc in docs]


@pytest.mark.parametrize("size", [2, 5, 64])
def test_alone_and_in_company(nlp: Language, alone: list[Any], size: int) -> None:
    assert plain(nlp.pipe(TEXTS, batch_size=size)) == alone
    assert plain(nlp.pipe(TEXTS[::-1], batch_size=size))[::-1] == alone


def test_eight_threads_over_one_pipeline(nlp: Language, alone: list[Any]) -> None:
    def work(number: int) -> list[Any]:
        return plain([nlp(text) for text in TEXTS] if number % 2 else nlp.pipe(TEXTS, batch_size=3))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(work, range(8)))
    assert all(each == alone for each in found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(nlp: Language, alone: list[Any], method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import spacy.language

    monkeypatch.setattr(spacy.language, "mp", multiprocessing.get_context(method))
    assert plain(nlp.pipe(TEXTS, n_process=2, batch_size=3)) == alone


def test_saved_and_loaded_again(nlp: Language, alone: list[Any], tmp_path: Path) -> None:
    nlp.to_disk(tmp_path)
    others = [
        spacy.load(tmp_path), spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()),
        pickle.loads(pickle.dumps(nlp)),
    ]
    for other in others:
        assert plain(other.pipe(TEXTS)) == alone


def test_a_step_of_training_leaves_no_dropout_to_other_threads(trained: Path, alone: list[Any]) -> None:
    nlp = spacy.load(trained)
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in nlp.pipe(NOTES[:2])]
    failed: list[BaseException] = []
    stop = threading.Event()

    def learn() -> None:
        try:
            while not stop.is_set():
                nlp.update(examples, sgd=False)  # type: ignore[arg-type]  # gradients alone, so that the weights stay
        except BaseException as error:
            failed.append(error)

    learner = threading.Thread(target=learn)
    learner.start()
    try:
        found = plain([nlp(text) for text in TEXTS])
    finally:
        stop.set()
        learner.join()
    assert not failed
    assert found == alone
