"""The shipped pipelines, as a user loads them."""

import subprocess
import sys

import pytest
import spacy

needs_bert = pytest.mark.skipif(
    not spacy.util.is_package("en_kiwi_bert"), reason="en_kiwi_bert is not installed; `make test` installs packages/*.whl"
)

# In a process of its own, since what failed here was a worker that waited for ever for the threads of its parent.
WORKERS = """
import spacy
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
