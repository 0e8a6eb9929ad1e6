"""What the llama engine does where a model fails, answers too little, or is used by several threads."""

import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy import get_relations
from kiwi_spacy.contract import get_failures, get_modifiers, get_score, span_key
from kiwi_spacy.engines.llama import local as local_module
from kiwi_spacy.engines.llama.exchange import Failure, Found, Prompt, Reply
from kiwi_spacy.engines.llama.failures import out_of_memory
from kiwi_spacy.engines.workers import EngineLock
from kiwi_spacy.errors import KiwiError

from .llama_helpers import write_tiny_llama
from .test_llama import pipeline

NOTES = [
    "Chest pain since Monday.\nNo fever, no cough.\n" * 4, "Lasix 20 mg daily.\n" * 3, "Denies nausea.\n" * 12,
    "CT of the head was normal.\n" * 6, "x", "", "Mild edema of both legs; BP 120/80.\n" * 8, "Aspirin, lisinopril.\n" * 5,
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny-llama"))


def scripted(nlp: Language, answer: Any) -> Language:
    """Have a function of the notes' prompts in place of the model."""
    nlp.get_pipe("kiwi_llm")._model = answer
    return nlp


def plain(doc: Doc) -> tuple[list[Any], list[Any]]:
    spans = [*doc.ents, *get_modifiers(doc)]
    keys = [*map(span_key, spans), *(r.key for r in get_relations(doc))]
    return keys, [*(get_score(span) for span in spans), *(r.score for r in get_relations(doc))]


def test_a_model_that_always_raises_is_asked_a_few_times_and_every_window_fails(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def broken(notes: Any) -> Any:
        asked.append(sum(map(len, notes)))
        raise RuntimeError(f"shape mismatch in {notes[0][0].text}")

    nlp = scripted(pipeline(tiny), broken)
    with caplog.at_level(logging.ERROR, logger="kiwi_spacy"):
        docs = list(nlp.pipe(NOTES[:4]))
    assert len(asked) == 4  # all at once, then three alone
    for doc in docs:
        failures = get_failures(doc)
        assert failures and {f.reason.split(" (")[0] for f in failures} == {"RuntimeError in broken"}
        assert doc._.problems == {"window without an answer": len(failures)}
    assert len(caplog.records) == 1 and "pain" not in caplog.text and "shape" not in caplog.text


def test_a_window_that_makes_the_model_raise_fails_alone(tiny: Path) -> None:
    def picky(notes: Any) -> Any:
        if any("Lasix" in prompt.text for note in notes for prompt in note):
            raise ValueError
        return [[Reply(prompt.text, Found(((0, 1, "problem", 0.5),))) for prompt in note] for note in notes]

    docs = list(scripted(pipeline(tiny), picky).pipe(NOTES[:4]))
    assert [bool(get_failures(doc)) for doc in docs] == [False, True, False, False]
    assert [bool(doc.ents) for doc in docs] == [True, False, True, True]


@pytest.mark.parametrize("count", [0, 1, 3], ids=["none", "too few", "too many"])
def test_too_few_or_too_many_replies_fail_their_note_and_shift_none(tiny: Path, count: int) -> None:
    def unlike(notes: Any) -> Any:
        def replies(note: list[Prompt]) -> list[Reply]:
            found = [Reply(prompt.text, Found(((0, 1, "problem", 0.5),))) for prompt in note]
            return found if len(note) != 2 else (found * 2)[:count]

        return [replies(note) for note in notes]

    nlp = scripted(pipeline(tiny), unlike)
    two = "Had a fever on Monday evening.\n" * 14
    assert len(nlp.get_pipe("kiwi_llm").task.windows(nlp.make_doc(two))) == 2
    docs = list(nlp.pipe(["No fever.", two, "No cough."]))
    assert [len(get_failures(doc)) for doc in docs] == [0, 2, 0]
    assert [len(doc.ents) for doc in docs] == [1, 0, 1]
    assert get_failures(docs[1])[0].reason == f"the model gave {count} replies to 2 prompts"


@pytest.mark.parametrize(
    ("error", "memory"), [
        (MemoryError(), True), (torch.OutOfMemoryError("CUDA out of memory"), True), (OSError(12, "Cannot allocate"), True),
        (RuntimeError("[enforce fail] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("The size of tensor a must match"), False), (RuntimeError("note says out of memory"), False),
        (OSError(2, "No such file"), False), (ValueError(), False),
    ], ids=repr,
)
def test_only_what_says_so_is_out_of_memory(error: Exception, memory: bool) -> None:
    assert out_of_memory(error) == memory


def test_memory_that_does_not_suffice_for_all_windows_suffices_for_fewer(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = pipeline(tiny, dtype="float64")
    expected = [plain(doc)[0] for doc in nlp.pipe(NOTES)]
    decode_each, sizes = local_module.decode_each, []

    def small(model: Any, prefix: Any, prompts: Any, *args: Any, **options: Any) -> Iterator[Any]:
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        yield from decode_each(model, prefix, prompts, *args, **options)

    monkeypatch.setattr(local_module, "decode_each", small)
    assert [plain(doc)[0] for doc in nlp.pipe(NOTES)] == expected
    assert max(sizes) > 2 and not any(get_failures(doc) for doc in nlp.pipe(NOTES))


def test_an_error_in_decoding_fails_its_window_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = pipeline(tiny)
    decode_each = local_module.decode_each
    bad = len(nlp.get_pipe("kiwi_llm").model.tokenizer.encode("x"))

    def picky(model: Any, prefix: Any, prompts: Any, sources: Any, *args: Any, **options: Any) -> Iterator[Any]:
        if any(len(source) == bad for source in sources):
            raise RuntimeError("secret note text")
        yield from decode_each(model, prefix, prompts, sources, *args, **options)

    monkeypatch.setattr(local_module, "decode_each", picky)
    docs = list(nlp.pipe(NOTES))
    assert [len(get_failures(doc)) for doc in docs] == [int(text == "x") for text in NOTES]
    assert "secret" not in get_failures(docs[NOTES.index("x")])[0].reason


def test_missing_weights_stop_the_run_with_one_message(tiny: Path, tmp_path: Path) -> None:
    nlp = pipeline(tmp_path / "none")
    handled: list[Exception] = []
    nlp.get_pipe("kiwi_llm").set_error_handler(lambda name, pipe, docs, error: handled.append(error))
    with pytest.raises(KiwiError, match="No base model"):
        list(nlp.pipe(NOTES))
    assert handled == []


def test_docs_come_as_their_windows_are_done(tiny: Path) -> None:
    nlp = pipeline(tiny, cache_tokens=1500)
    model = nlp.get_pipe("kiwi_llm").model
    list(nlp.pipe(["x"]))
    before = model.effort.passes
    docs = nlp.pipe(NOTES * 3, batch_size=24)
    next(docs)
    first = model.effort.passes - before
    assert len(list(docs)) == 23
    assert first < (model.effort.passes - before) / 3


def test_eight_threads_get_what_one_gets(tiny: Path) -> None:
    nlp = pipeline(tiny)
    expected = [plain(nlp(text)) for text in NOTES]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            for (keys, scores), (same, close) in zip(pool.map(lambda text: plain(nlp(text)), NOTES), expected, strict=True):
                assert keys == same and scores == pytest.approx(close, abs=1e-6)


def test_copies_and_company_give_the_same(tiny: Path) -> None:
    nlp = pipeline(tiny)
    expected = [plain(nlp(text)) for text in NOTES]
    again = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    for found in ([*nlp.pipe(NOTES)], [*again.pipe(NOTES)], [*pickle.loads(pickle.dumps(nlp)).pipe(NOTES)]):
        for doc, (keys, scores) in zip(found, expected, strict=True):
            assert plain(doc)[0] == keys and plain(doc)[1] == pytest.approx(scores, abs=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_finds_the_lock_free_and_so_does_a_copy() -> None:
    lock = EngineLock()
    with lock:
        child = os.fork()
        if not child:
            ok = lock._lock.acquire(blocking=False)
            os._exit(0 if ok else 1)
        assert os.waitpid(child, 0)[1] == 0
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(pickle.loads(pickle.dumps(lock))._lock.acquire, False).result()


def test_provenance_is_a_hash_that_is_made_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    hash_of = local_module._hash_of
    monkeypatch.setattr(local_module, "_hash_of", lambda files: made.append(1) or hash_of(files))
    docs = list(pipeline(tiny).pipe(NOTES, batch_size=2))
    weights = {doc._.provenance["weights"] for doc in docs}
    assert len(weights) == 1 and len(weights.pop()) == 16 and made == [1]


def test_bytes_of_another_adapter_leave_nothing_of_the_old_tokenizer(tiny: Path) -> None:
    model = pipeline(tiny).get_pipe("kiwi_llm").model
    list(model.stream([pipeline(tiny).get_pipe("kiwi_llm").task.prompt(spacy.blank("en")("No fever."), 0, 9)]))
    assert model._grammars and model._frames
    model.from_bytes(model.to_bytes())
    assert not model._grammars and not model._frames and model._tokenizer is None


LOAD = """
import sys, spacy
nlp = spacy.load(sys.argv[1])
task = nlp.get_pipe("kiwi_llm").task
print(task.labels, task.instruction, len(task.shots), nlp("No lump.").text)
"""


def test_schema_template_and_examples_travel_to_where_their_files_are_gone(
    tiny: Path, tiny_schema: str, tmp_path: Path
) -> None:
    template, shots = tmp_path / "site.jinja", tmp_path / "shots.jsonl"
    template.write_text("Find {{ entities[0].name }}.", encoding="utf-8")
    shots.write_text(json.dumps({"text": "No.", "markup": '<span class="absent">No</span>.'}) + "\n", encoding="utf-8")
    nlp = spacy.blank("en")
    task = {"@llm_tasks": "kiwi.Joint.v1", "schema": tiny_schema, "template": str(template), "examples": str(shots)}
    nlp.add_pipe("kiwi_llm", config={"task": task, "model": {"@llm_models": "kiwi.LocalLlama.v1", "base": str(tiny)}})
    nlp.to_disk(tmp_path / "saved")
    data, config = nlp.to_bytes(), nlp.config
    for path in (Path(tiny_schema), template, shots):
        path.unlink()
    done = subprocess.run([sys.executable, "-c", LOAD, str(tmp_path / "saved")], capture_output=True, text=True)
    assert not done.stderr[-1500:]
    assert done.stdout.strip() == "('finding', 'absent') Find finding. 1 No lump."
    fresh = spacy.blank("en").from_config(config)
    with pytest.raises(KiwiError, match="not there"):
        fresh("No lump.")
    assert fresh.from_bytes(data).get_pipe("kiwi_llm").labels == ("finding", "absent")


def test_failures_say_nothing_of_parts_by_default() -> None:
    assert not Failure("the server answered with status 500").smaller
