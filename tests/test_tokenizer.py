"""Where clinical shorthand comes apart, that the text never changes, and that long words cost no more than their length."""

import os
import pickle
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from kiwi_spacy.tokenizer import SURROGATE, ClinicalTokenizer, create_tokenizer

SHARED = os.environ.get("KIWI_SHARED")


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


@pytest.fixture(scope="module")
def plain(clinical: Language) -> Tokenizer:
    """spaCy's own algorithm over the same rules and patterns."""
    ours: Any = clinical.tokenizer
    return Tokenizer(spacy.blank("en").vocab, ours.rules, ours.prefix_search, ours.suffix_search, ours.infix_finditer)


PARTS = [
    "mg", "US$", "km/h", "'s", "’s", "...", "..", "…", "……", "°F.", "%.", "B.", "5mg", "12", "days", "F", "HbA1c", "a", "b1",
    ",", ";", "/", "-", "---", "'", "’", "+", "(", ")", ":", "_", "\u0301", "٪", "fever.Denies", "1,000", "中", "\0", "😀",
    "." * 40, "-" * 30, "Dr.", "C++", "don't", ":-D", "O_O", "He'd've", "<space>",
]


def test_tokenizer_divides_long_words_as_spacy_does(clinical: Language, plain: Tokenizer) -> None:
    """The long way gives spaCy's tokens, also around exceptions such as "Dr." and runs longer than the piece looked at."""
    rng = random.Random(0)
    for _ in range(1000):
        word = "".join(rng.choice(PARTS) for _ in range(rng.randint(20, 60)))
        assert [t.text for t in clinical.make_doc(word)] == [t.text for t in plain(word)], ascii(word)


@pytest.mark.parametrize("unit", ["-", "\0", "\u0301", "7", ".", "a", "😀", "/", "+-", "a.", "..a", "C++", "_", "’s"], ids=ascii)
def test_a_run_of_one_mark_is_never_searched_to_its_end_again_and_again(
    clinical: Language, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 17: each mark taken off searched, copied and hashed the whole rest; 16,000 hyphens took 20 seconds."""
    taken: Counter[str] = Counter()
    for name in ("find_prefix", "find_suffix"):
        def counted(self: Any, string: str, name: str = name) -> int:
            taken[name] += len(string)
            length: int = getattr(Tokenizer, name)(self, string) if not self._takes(string) else 0
            return length

        monkeypatch.setattr(ClinicalTokenizer, name, counted)
    text = (unit * 20_000)[:20_000]
    assert clinical.make_doc(text).text == text
    assert taken["find_prefix"] <= len(text)
    assert taken["find_suffix"] <= len(text)


def test_a_lone_surrogate_is_read_as_a_replacement_character_and_counted(clinical: Language) -> None:
    """Fault 19: UnicodeEncodeError."""
    text = "fever \ud800, 5mg\udfff"
    doc = clinical.make_doc(text)
    assert doc.text == "fever \ufffd, 5mg\ufffd"
    assert [(t.idx, t.text) for t in doc] == [(0, "fever"), (6, "\ufffd"), (7, ","), (9, "5"), (10, "mg"), (12, "\ufffd")]
    assert doc._.problems == {SURROGATE: 2}
    tokenizer: Any = clinical.tokenizer
    assert tokenizer.explain(text)[1] == ("PREFIX", "\ufffd")


def test_patterns_of_a_site_stay_after_the_disk_and_apply_to_long_words(clinical: Language, tmp_path: Path) -> None:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})
    tokenizer: Any = nlp.tokenizer
    tokenizer.infix_finditer = re.compile("x").finditer
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp").tokenizer
    assert type(again) is ClinicalTokenizer
    assert [t.text for t in again("a-b" * 30 + "xc")] == ["a-b" * 30, "x", "c"]


def test_a_function_of_a_site_s_own_is_called(clinical: Language) -> None:
    ours: Any = clinical.tokenizer
    own = ClinicalTokenizer(
        spacy.blank("en").vocab, {}, lambda string: None, ours.suffix_search, lambda string: re.finditer("q", string)
    )
    assert [t.text for t in own("-" * 60 + "q" + "-a")] == ["-" * 60, "q", "-a"]


def _by_bytes(tokenizer: Tokenizer) -> Tokenizer:
    return create_tokenizer()(spacy.blank("en")).from_bytes(tokenizer.to_bytes())


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), _by_bytes], ids=["pickle", "bytes"])
def test_tokenizer_survives_pickle_and_bytes(clinical: Language, again: Any) -> None:
    copied = again(clinical.tokenizer)
    text = "-" * 60 + " 2.5mg"
    assert type(copied) is ClinicalTokenizer
    assert [t.text for t in copied(text)] == ["-"] * 60 + ["2.5", "mg"]


@pytest.mark.skipif(SHARED is None, reason="KIWI_SHARED names no folder of shared data")
@pytest.mark.parametrize("folder", ["mtsamples/train", "maccrobat/train"])
def test_notes_have_the_tokens_of_spacy_s_own_algorithm(clinical: Language, plain: Tokenizer, folder: str) -> None:
    for path in sorted((Path(SHARED or "") / folder).glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        ours, theirs = ([(t.idx, t.text, t.norm_) for t in each(text)] for each in (clinical.make_doc, plain))
        assert ours == theirs, path.name
