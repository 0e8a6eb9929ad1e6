"""What both engines promise: any text, alone or in company, in threads and after saving, gives the same annotations in place."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.contract import LAYERS, get_modifiers, get_relations
from kiwi_spacy.errors import KiwiError

CORPUS = Path(__file__).parents[2] / "corpus" / "dev"
HOSTILE = [
    "", " ", "\n\n", "x", "fever", "\x00\x00 fever", "-" * 3000, "e" + "\u0301" * 500, "\ud800 fever", "\u202eno fever\u202c",
    '<span class="problem">fever</span>', '<ref class="problem"/>', "T1\tproblem 0 5\tfever", "{{ note }}", "\ufeffNo fever.",
    "\U0001f912 fever \u2028 no\u00a0fever", "fever\r\nno fever\r", "a " * 2000,
]
TEXTS = [*HOSTILE, *(path.read_text(encoding="utf-8")[:700] for path in sorted(CORPUS.glob("*.txt"))[:4])]


def scripted_nlp() -> Language:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})
    phrases = {"problem": ["fever", "pain", "nausea"], "drug": ["aspirin"], "negation": ["no", "denies"]}
    model = {"@llm_models": "kiwi.Scripted.v1", "phrases": phrases, "score": 0.75}
    nlp.add_pipe("kiwi_llm", config={"task": {"@llm_tasks": "kiwi.Joint.v1", "max_words": 40}, "model": model})
    nlp.meta.update(name="scripted", version="1.0")  # an unnamed pipeline gets another name when it is saved
    return nlp


@pytest.fixture(scope="module", params=["bert", "llama"])
def nlp(request: pytest.FixtureRequest) -> Language:
    return spacy.load(request.getfixturevalue("trained")) if request.param == "bert" else scripted_nlp()


@pytest.fixture(scope="module")
def alone(nlp: Language) -> list[Any]:
    return [carried(nlp(text)) for text in TEXTS]


def carried(doc: Doc) -> Any:
    """All layers of a Doc."""
    return [layer.read(doc) for layer in LAYERS if layer.name != "user_data"]


def test_something_is_found(nlp: Language) -> None:
    docs = [nlp(text) for text in TEXTS]
    assert any(doc.ents for doc in docs)
    assert any(get_modifiers(doc) for doc in docs)
    assert any(get_relations(doc) for doc in docs)


@pytest.mark.parametrize("text", TEXTS, ids=map(ascii, (text[:12] for text in TEXTS)))
def test_the_text_is_kept_and_offsets_point_into_it(nlp: Language, text: str) -> None:
    doc = nlp(text)
    assert doc.text == text.replace("\ud800", "\ufffd")
    spans = [*doc.ents, *get_modifiers(doc)]
    for span in spans:
        assert doc.text[span.start_char : span.end_char] == span.text
        assert span.text.strip() == span.text
        assert 0 <= span._.score <= 1
    places = {(span.start_char, span.end_char, span.label_) for span in spans}
    assert all(r.key[0] in places and r.key[1] in places for r in get_relations(doc))


def test_batches(nlp: Language, alone: list[Any]) -> None:
    assert [carried(doc) for doc in nlp.pipe(TEXTS, batch_size=5)] == alone
    assert [carried(doc) for doc in nlp.pipe(TEXTS[::-1], batch_size=64)][::-1] == alone


def test_eight_threads(nlp: Language, alone: list[Any]) -> None:
    def work(number: int) -> list[Any]:
        return [carried(doc) for doc in (map(nlp, TEXTS) if number % 2 else nlp.pipe(TEXTS, batch_size=4))]

    with ThreadPoolExecutor(8) as threads:
        assert all(found == alone for found in threads.map(work, range(8)))


def test_saved_and_loaded(nlp: Language, alone: list[Any], tmp_path: Path) -> None:
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    others = [loaded, spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()), pickle.loads(pickle.dumps(nlp))]
    for other in others:
        assert [carried(doc) for doc in other.pipe(TEXTS)] == alone


def test_the_scripted_model_gives_spans_links_and_scores() -> None:
    doc = scripted_nlp()("Denies nausea. Aspirin for painful feet, no Fever.")
    assert [(ent.text, ent.label_, ent._.score) for ent in doc.ents] == [
        ("nausea", "problem", 0.75), ("Aspirin", "drug", 0.75), ("Fever", "problem", 0.75)
    ]
    links = [(r.head.text, r.modifier.text, r.score) for r in get_relations(doc)]
    assert links == [("nausea", "Denies", 0.75), ("Fever", "no", 0.75)]


def test_a_scripted_label_that_the_schema_lacks_is_named() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kiwi_llm", config={"model": {"@llm_models": "kiwi.Scripted.v1", "phrases": {"no such": ["fever"]}}})
    with pytest.raises(KiwiError, match="no such"):
        nlp("No fever.")
