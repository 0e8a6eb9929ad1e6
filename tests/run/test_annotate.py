"""A note that fails costs itself alone; missing weights stop everything."""

import pytest
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.errors import BackboneError, FormatError
from kiwi_spacy.run.annotate import annotate, reason


def test_annotate_gives_notes_in_order_with_the_reason_of_each_that_failed(nlp: Language) -> None:
    first, bad, last = annotate(nlp, ["fever", "EXPLODE", "cough"], 3)
    assert isinstance(first, Doc) and isinstance(last, Doc) and isinstance(bad, str)
    assert (first.text, last.text) == ("fever", "cough")
    assert bad.startswith("the pipeline raised RuntimeError at tests/conftest.py:")


def test_annotate_counts_a_note_that_an_error_handler_left_out_as_failed(nlp: Language) -> None:
    nlp.set_error_handler(lambda name, proc, docs, error: None)
    first, second, third = annotate(nlp, ["EXPLODE", "fever", "EXPLODE"], 3)
    assert isinstance(second, Doc) and second.text == "fever"
    assert first == third == "a component failed, and the pipeline's error handler left the note out"


def test_annotate_leaves_a_given_doc_as_it_is(nlp: Language) -> None:
    given = nlp.make_doc("fever")
    (found,) = annotate(nlp, [given], 1)
    assert isinstance(found, Doc) and [ent.text for ent in found.ents] == ["fever"]
    assert found is not given and not given.ents


@pytest.mark.parametrize("texts", [["fever"], ["fever", "EXPLODE"]], ids=["batch", "alone"])
def test_annotate_stops_where_weights_are_missing(nlp: Language, texts: list[str]) -> None:
    calls = []

    def tokenize(text: str) -> Doc:
        calls.append(text)
        raise BackboneError("No weights here.") if len(calls) == len(texts) else RuntimeError

    nlp.tokenizer = tokenize
    with pytest.raises(BackboneError):
        list(annotate(nlp, texts, 2))
    assert len(calls) == len(texts)


@pytest.mark.parametrize(
    "error, said",
    [
        (FormatError("line 3 is no record"), "line 3 is no record"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("the patient has fever"), "writing raised ValueError at an unknown place"),
    ],
    ids=["ours", "system", "other"],
)
def test_reason_says_no_message_that_may_hold_note_text(error: Exception, said: str) -> None:
    assert reason(error, "writing") == said
