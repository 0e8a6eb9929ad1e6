"""Where clinical shorthand comes apart, and that the text never changes."""

import random
from pathlib import Path

import pytest
import spacy
from spacy.language import Language

import kiwi_spacy.tokenizer  # noqa: F401  registers the tokenizer


@pytest.fixture(scope="module")
def clinical() -> Language:
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("2.5mg", "2.5 mg"),
        ("98.6F", "98.6 F"),
        ("HbA1c", "HbA1c"),
        ("HbA1c>6.5%", "HbA1c > 6.5 %"),
        ("120/80", "120 / 80"),
        ("CP;1/2", "CP ; 1 / 2"),
        ("WBC-7.5", "WBC - 7.5"),
        ("50,000 units", "50,000 units"),
        ("104 degrees F.", "104 degrees F ."),
        ("hepatitis C.", "hepatitis C ."),
        ("b.i.d., p.o.", "b.i.d . , p.o ."),
        ("q.h.s. p.r.n.", "q.h.s . p.r.n ."),
        ("1.Aspirin", "1 . Aspirin"),
        ("fever.Denies", "fever . Denies"),
        ("5ml/hr", "5 ml / hr"),
        ("(no fever)", "( no fever )"),
        ("don't", "do n't"),
    ],
)
def test_tokenizer_splits_where_annotators_do(clinical: Language, text: str, tokens: str) -> None:
    assert [t.text for t in clinical.make_doc(text)] == tokens.split()


@pytest.mark.parametrize("text", ["", " ", "\r\n\r\n x", "\ufeffa\u2028b", "a  b\t\tc ", "😀5mg\u00a0/d", "é.\u0301"])
def test_tokenizer_keeps_the_text(clinical: Language, text: str) -> None:
    assert clinical.make_doc(text).text == text


def test_tokenizer_keeps_random_text(clinical: Language) -> None:
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choice("ab1 .,;/-'\n\r\t%>(_°½\u200b\ufeff") for _ in range(60))
        assert clinical.make_doc(text).text == text


def test_tokenizer_survives_the_disk(clinical: Language, tmp_path: Path) -> None:
    clinical.to_disk(tmp_path / "nlp")
    text = "Took 2.5mg b.i.d., HbA1c>6.5%. St. John's; 104 F."
    again = spacy.load(tmp_path / "nlp")
    assert [t.text for t in again.make_doc(text)] == [t.text for t in clinical.make_doc(text)]
