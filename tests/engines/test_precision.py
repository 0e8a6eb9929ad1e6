"""Bfloat16 where the processor is quick in it, without results that depend on company."""

from pathlib import Path

import numpy
import pytest
import spacy
import torch

from kiwi_spacy.engines.precision import choose_dtype, quick
from kiwi_spacy.errors import KiwiError

from .test_bert import TEXT, plain


@pytest.mark.parametrize("able, dtype", [(True, torch.bfloat16), (False, torch.float32)], ids=["amx", "none"])
def test_auto_is_bfloat16_on_a_cpu_with_amx_alone(monkeypatch: pytest.MonkeyPatch, able: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": able, "avx512_bf16": True}, raising=False)
    assert choose_dtype("auto", "cpu") == dtype
    product = torch.ones(2, 2)
    with quick():
        assert (product @ product).dtype == dtype
    with quick("float32"):
        assert (product @ product).dtype == torch.float32
    with pytest.raises(KiwiError, match="one of float32"):
        choose_dtype("float8", "cpu")


def test_in_bfloat16_notes_do_not_depend_on_the_notes_beside_them(trained: Path) -> None:
    nlp = spacy.load(trained, config={"components.transformer.model.dtype": "bfloat16"})
    encoder = nlp.get_pipe("transformer").model
    docs = [nlp.make_doc(text) for text in (TEXT, "No fever.", TEXT[:400], TEXT[400:2000] * 2, "Lasix 20 mg p.o.")]
    together = encoder.predict(docs)
    for doc, beside in zip(docs, together.doc_data):
        alone = encoder.predict([doc])
        rows = numpy.array([mask.sum() for mask in alone.wordpieces.attention_mask], dtype=int)
        for row, length in enumerate(rows):
            mine = alone.model_output.last_hidden_state[row, :length]
            assert numpy.array_equal(mine, beside.model_output.last_hidden_state[row, :length])
    assert [plain(doc) for doc in nlp.pipe([doc.text for doc in docs])] == [plain(nlp(doc.text)) for doc in docs]
    single = spacy.load(trained, config={"components.transformer.model.dtype": "float32"}).get_pipe("transformer").model
    exact = single.predict(docs[1:2]).model_output.last_hidden_state
    rounded = encoder.predict(docs[1:2]).model_output.last_hidden_state
    assert 0 < numpy.abs(exact - rounded).max() < 0.2
