"""The bert engine on a tiny random model of BiomedBERT's architecture."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
import tokenizers
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy_transformers.layers.transformer_model import forward as stock_forward
from transformers import PreTrainedTokenizerFast

from kiwi_spacy import get_modifiers, get_relations
from kiwi_spacy.contract import set_modifiers, set_relations, span_key
from kiwi_spacy.engines.bert.layers import _means
from kiwi_spacy.engines.bert.pieces import Pieces
from kiwi_spacy.errors import SchemaError
from kiwi_spacy.train.loop import train

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "corpus" / "dev" / "icu-05.txt").read_text(encoding="utf-8")


def plain(doc: Doc) -> tuple[list, list, list]:
    return [span_key(e) for e in doc.ents], [span_key(m) for m in get_modifiers(doc)], [r.key for r in get_relations(doc)]


def test_add_pipe_builds_and_learns_two_sentences(tiny_bert: str) -> None:
    nlp = spacy.blank("en")
    model = {
        "@architectures": "kiwi.Transformer.v1", "name": tiny_bert, "max_pieces": 100, "tokenizer_config": {},
        "transformer_config": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    }
    nlp.add_pipe("transformer", config={"model": model})
    for name in ("kiwi_entities", "kiwi_modifiers", "kiwi_relations"):
        nlp.add_pipe(name)
    doc = nlp.make_doc("No fever today . Took lasix .")
    fever, lasix = Span(doc, 1, 2, "problem"), Span(doc, 5, 6, "drug")
    doc.set_ents([fever, lasix])
    no = Span(doc, 0, 1, "negation")
    set_modifiers(doc, [no])
    set_relations(doc, [(fever, no, 1.0)])
    example = Example(nlp.make_doc(doc.text), doc)
    optimizer = nlp.initialize(lambda: [example])
    optimizer.learn_rate = 0.003
    for _ in range(60):
        losses = nlp.update([example], sgd=optimizer, losses={})
    assert losses["kiwi_entities"] < 0.1
    found = nlp(doc.text)
    assert plain(found) == plain(doc)
    assert found.ents[0]._.is_negated and not found.ents[1]._.is_negated
    assert 0.5 < found.ents[0]._.score <= 1.0


def test_windows_hold_every_token_within_the_limit(tiny_nlp: Language) -> None:
    windows = tiny_nlp.get_pipe("transformer").model.attrs["get_spans"]
    doc = tiny_nlp.make_doc(TEXT * 3 + "x" * 50 + " word" * 400)
    spans = windows.cut(doc)
    assert [t.i for s in spans for t in s] == list(range(len(doc)))
    counts = windows.count(doc)
    assert max(sum(counts[s.start : s.end]) for s in spans if len(s) > 1) <= windows.max_pieces


@pytest.mark.parametrize("text", ["", " ", "\n\n", "word", "🙂 <b>", "a" * 3000, "fever " * 2000], ids=lambda t: repr(t[:8]))
def test_any_text_is_a_note(tiny_nlp: Language, text: str) -> None:
    assert tiny_nlp(text).text == text


ODD = [
    "[SEP] [MASK] [CLS]x ##ing", "caf\u00e9 A\u0301 \u4e2d\u6587 mixed\u4e2dtext", "emoji \U0001f600\U0001f468\u200d\U0001f469",
    "\x00\x1c\x1d tab\tx\u00a0y\u2028z\u3000w", "a" * 3000, "  lead  \n\n trail  ",
    "soft\u00adhyphen \u200b zero", "\u1e9e\u0130\u03a3 \u03a3",
]


def test_pieces_are_those_of_spacy_transformers(tiny_nlp: Language) -> None:
    model = tiny_nlp.get_pipe("transformer").model
    assert Pieces.fit(model.tokenizer)
    notes = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "corpus" / "test").glob("*.txt"))]
    docs = [tiny_nlp.make_doc(text) for text in [*ODD, "", *notes, *ODD]]
    expected_of = stock_forward(model, docs, False)[0].doc_data
    for found, expected, doc in zip(model.predict(docs).doc_data, expected_of, docs, strict=True):
        assert list(found.align.lengths) == list(expected.align.lengths), doc.text[:20]
        if not len(doc):
            continue
        pieces = expected.wordpieces.attention_mask.sum(1).astype(int).tolist()
        assert found.wordpieces.strings == expected.wordpieces.strings
        assert (found.wordpieces.input_ids == expected.wordpieces.input_ids).all()
        assert (found.wordpieces.attention_mask == expected.wordpieces.attention_mask).all()
        assert found.wordpieces.lengths == pieces
        assert (found.align.dataXd == expected.align.dataXd).all(), doc.text[:20]
        for ours, theirs, length in zip(
            found.model_output.last_hidden_state, expected.model_output.last_hidden_state, pieces, strict=True
        ):
            assert ours[:length] == pytest.approx(theirs[:length], abs=1e-5)


def test_a_tokenizer_that_minds_white_space_is_left_to_spacy_transformers() -> None:
    pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    assert not Pieces.fit(PreTrainedTokenizerFast(tokenizer_object=backend))


def test_results_survive_bytes_and_pickle(tiny_nlp: Language) -> None:
    doc = tiny_nlp(TEXT)
    assert len(doc.ents) > 0
    assert plain(Doc(tiny_nlp.vocab).from_bytes(doc.to_bytes())) == plain(doc)
    assert plain(pickle.loads(pickle.dumps(doc))) == plain(doc)
    assert plain(doc.copy()) == plain(doc)
    other = spacy.blank("en").from_config(tiny_nlp.config).from_bytes(tiny_nlp.to_bytes())
    assert plain(other(TEXT)) == plain(doc)
    assert doc._.provenance["engine"] == "bert" and len(doc._.provenance["weights"]) == 16


def test_batches_give_what_single_notes_give(tiny_nlp: Language) -> None:
    texts = [TEXT, "No fever.", "", TEXT[:400]]
    single = [plain(tiny_nlp(t)) for t in texts]
    assert [plain(d) for d in tiny_nlp.pipe(texts, batch_size=3)] == single


def test_a_site_brings_its_own_schema(tiny_bert: str, tiny_schema: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("No rash.\nRash seen.\n")
    (notes / "a.ann").write_text("T1\tabsent 0 2\tNo\nT2\tfinding 3 7\trash\nR1\thas Arg1:T1 Arg2:T2\nT3\tfinding 9 13\tRash\n")
    settings = {
        "paths.train": str(notes), "paths.dev": str(notes), "paths.backbone": tiny_bert, "paths.schema": tiny_schema,
        "components.transformer.model.max_pieces": 100, "training.max_steps": 2,
    }
    path = train(ROOT / "configs" / "bert.cfg", tmp_path / "out", settings)
    expected = plain(spacy.load(path)("No rash."))
    Path(tiny_schema).unlink()  # the pipeline holds its own copy; another process knows it by no cache
    code = (
        "import spacy, sys; from kiwi_spacy.contract import span_key, get_modifiers, get_relations;"
        "nlp = spacy.load(sys.argv[1]); nlp = spacy.blank('en').from_config(nlp.config).from_bytes(nlp.to_bytes());"
        "doc = nlp('No rash.'); assert nlp.get_pipe('kiwi_modifiers').labels == ('absent',);"
        "print(nlp.get_pipe('kiwi_entities').labels, ([span_key(e) for e in doc.ents],"
        "[span_key(m) for m in get_modifiers(doc)], [r.key for r in get_relations(doc)]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"('finding',) {expected}", done.stderr[-500:]


def test_a_missing_schema_is_named_when_it_is_needed(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kiwi_entities", config={"schema": str(tmp_path / "missing.yml")})
    with pytest.raises(SchemaError, match=r"missing\.yml"):
        nlp.get_pipe("kiwi_entities").schema  # noqa: B018


def test_a_perfect_prediction_under_a_sites_schema_scores_one(tiny_schema: str) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kiwi_entities", config={"schema": tiny_schema})
    doc = nlp.make_doc("No rash")
    doc.set_ents([Span(doc, 1, 2, "finding")])
    scores = nlp.get_pipe("kiwi_entities").score([Example(doc, doc)])
    assert scores["kiwi_entities_f"] == 1.0


@pytest.mark.slow
def test_killed_training_goes_on_at_its_step(overrides: dict[str, object], tmp_path: Path) -> None:
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # with more threads sums may round otherwise from run to run
    arguments = [part for key, value in overrides.items() for part in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "kiwi_spacy.cli", "train", "configs/bert.cfg", "--output", str(tmp_path / "cut"), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=alone)
    began = time.time()
    while not (tmp_path / "cut" / "checkpoint" / "step.json").exists() and time.time() - began < 120:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=alone)
    first = next(line for line in done.stdout.splitlines() if "; step " in line)
    assert "step 0 of" not in first
    assert "step 6/6" in done.stdout
    command[command.index(str(tmp_path / "cut"))] = str(tmp_path / "whole")
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env=alone)
    cut, whole = (spacy.load(tmp_path / name / "model-last")("")._.provenance["weights"] for name in ("cut", "whole"))
    assert cut == whole


def test_weights_outside_torch_are_in_the_checkpoint(overrides: dict[str, object], tmp_path: Path) -> None:
    config = spacy.util.load_config(ROOT / "configs" / "bert.cfg", interpolate=False)
    config["components"]["kiwi_entities"] = {"factory": "ner"}
    config.to_disk(tmp_path / "ner.cfg")
    path = train(tmp_path / "ner.cfg", tmp_path / "out", {**overrides, "training.optimizer.use_averages": False})
    nlp = spacy.load(path)
    upper = nlp.get_pipe("kiwi_entities").model.get_ref("upper")
    state = torch.load(tmp_path / "out" / "checkpoint" / "state.pt", weights_only=True)
    saved = [value for (name, _, parameter), value in state["parameters"].items() if (name, parameter) == ("kiwi_entities", "W")]
    assert any(value.shape == upper.get_param("W").shape and (value.numpy() == upper.get_param("W")).all() for value in saved)


def test_candidates_cross_lines_and_carry_what_is_counted(tiny_nlp: Language) -> None:
    doc = tiny_nlp.make_doc("No fever.\nNo cough, chills\nor pain.")
    place = {t.text: t.i for t in doc}
    first, second = doc[0].i, doc[4].i
    heads = [(place[w], place[w] + 1, "problem") for w in ("fever", "cough", "chills", "pain")]
    heads.append((place["or"], place["or"] + 1, "drug"))
    scorer = tiny_nlp.get_pipe("kiwi_relations")
    rows, index = scorer.candidates(doc, heads, [(first, first + 1, "negation"), (second, second + 1, "severity")])
    assert sorted(index) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0)]  # no drug is severe
    across = rows[index.index((3, 0))]
    assert across[:4].tolist() == [place["pain"], place["pain"] + 1, first, first + 1]
    # modifier before head; heads, line ends, full stops and modifiers passed; rank by distance
    assert across[6] == 3 and across[8:].tolist() == [4, 2, 1, 1, 4]


def test_means_are_of_half_open_ranges() -> None:
    tokens = torch.randn(7, 3, dtype=torch.double)
    ranges = [(0, 0), (0, 1), (0, 7), (2, 5), (6, 7), (4, 4), (7, 7)]
    start, end = torch.tensor(ranges).T
    found = _means(tokens, start, end)
    for (a, b), mean in zip(ranges, found):
        assert torch.allclose(mean, tokens[a:b].mean(0) if b > a else torch.zeros(3, dtype=torch.double)), (a, b)
