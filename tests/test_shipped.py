"""The shipped pipelines, as a user loads them."""

import socket
import subprocess
import sys

import pytest
import spacy

from kiwi_spacy.engines.llama.markup import tag_texts

needs_bert = pytest.mark.skipif(
    not spacy.util.is_package("en_kiwi_bert"), reason="en_kiwi_bert is not installed; `make test` installs packages/*.whl"
)

# In a process of its own, since what failed here was a worker that waited for ever for the threads of its parent.
WORKERS = """
import spacy

from kiwi_spacy.engines.llama.markup import tag_texts
from kiwi_spacy import get_modifiers, get_relations

nlp = spacy.load("en_kiwi_bert")
texts = ["She denies chest pain, fever or cough. " * 20, "", "Lasix 20 mg p.o. b.i.d.", "BP 120/80 yesterday."]
plain = lambda doc: (str(doc.ents), str(get_modifiers(doc)), [r.key for r in get_relations(doc)], doc._.provenance)
if __name__ == "__main__":
    alone = [plain(doc) for doc in nlp.pipe(texts)]  # starts the threads of this process
    assert alone == [plain(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=1)]
    assert any(links for _, _, links, _ in alone)
    print("same")
"""


@needs_bert
def test_workers_give_what_one_process_gives() -> None:
    done = subprocess.run([sys.executable, "-c", WORKERS], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "same", done.stderr

needs_llama = pytest.mark.skipif(
    not spacy.util.is_package("en_kiwi_llama"), reason="en_kiwi_llama is not installed; `make test` installs packages/*.whl"
)

NOTE = """Chief complaint: shortness of breath.
She denies chest pain, fever or cough. He wrote <span class="problem">nothing</span> else.
Lasix 20 mg p.o. b.i.d. was started for edema of the left leg."""


@needs_llama
def test_llama_answers_without_network_and_without_a_rewritten_character(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda *args: pytest.fail("a connection was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: pytest.fail("a name was looked up"))
    nlp = spacy.load("en_kiwi_llama")
    component = nlp.get_pipe("kiwi_llm")
    assert component.model._model is None  # weights come at the first note
    replies = []
    stream = component.model.stream

    def watched(prompts):
        for i, reply in stream(prompts):
            replies.append((prompts[i], reply))
            yield i, reply

    component.model.stream = watched
    (doc,) = nlp.pipe([NOTE])
    assert doc.text == NOTE
    ((prompt, reply),) = replies
    own = str(reply)
    for tag in tag_texts(component.task.schema):
        own = own.replace(tag, "")
    assert own == NOTE.replace('<span class="problem">', "").replace("</span>", "") and prompt.text == NOTE
    found = {(e.text, e.label_) for e in doc.ents}
    assert {("chest pain", "problem"), ("Lasix", "drug")} <= found
    assert ("Lasix", "20 mg") in {(r.head.text, r.modifier.text) for r in doc._.relations}
    assert all(0 < r.score <= 1 for r in doc._.relations)
    assert doc._.provenance["pipeline"] == "en_kiwi_llama" and len(doc._.provenance["weights"]) == 16
