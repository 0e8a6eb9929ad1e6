"""Training that starts from another pipeline takes its encoder and its schema."""

import shutil
from pathlib import Path

import pytest
import spacy
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from kiwi_spacy import get_relations
from kiwi_spacy.train.loop import finetune, train

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "bert.cfg"
TEXT = (ROOT / "corpus" / "dev" / "icu-05.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def other_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of another size than any other here, with a vocabulary of its own."""
    folder = tmp_path_factory.mktemp("other-bert")
    letters = [chr(c) for c in range(33, 127)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), "fever", "pain"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words), hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=96,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False, model_max_length=96).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def other_pipeline(other_bert: Path, overrides: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline on that encoder, whose folder is gone."""
    settings = {**overrides, "paths.backbone": str(other_bert), "components.transformer.model.max_pieces": 64}
    path = train(CONFIG, tmp_path_factory.mktemp("other"), settings)
    shutil.rmtree(other_bert)
    return path


@pytest.fixture
def bare(overrides: dict[str, object]) -> dict[str, object]:
    """Settings that name neither an encoder nor its windows."""
    of_encoder = ("paths.backbone", "components.transformer.model.max_pieces")
    settings = {key: value for key, value in overrides.items() if key not in of_encoder}
    return {**settings, "training.max_steps": 1, "training.optimizer.learn_rate.initial_rate": 0.0,
            "training.optimizer.use_averages": False}


def test_a_base_on_another_encoder_brings_it(other_pipeline: Path, bare: dict[str, object], tmp_path: Path) -> None:
    path = train(CONFIG, tmp_path, bare, base=str(other_pipeline))
    theirs, ours = spacy.load(other_pipeline), spacy.load(path)
    assert ours.get_pipe("transformer").model.transformer.config.hidden_size == 24  # type: ignore[attr-defined]
    assert ours.config["paths"]["backbone"] == theirs.config["paths"]["backbone"]
    windows = [nlp.get_pipe("transformer").model.attrs["get_spans"].max_pieces for nlp in (ours, theirs)]  # type: ignore[attr-defined]
    assert windows == [64, 64]
    found = [nlp(TEXT) for nlp in (ours, theirs)]  # nothing was learned at a rate of zero, so all is as it was
    assert [(r.key, r.score) for r in get_relations(found[0])] == [(r.key, r.score) for r in get_relations(found[1])]
    assert [e._.score for e in found[0].ents] == [e._.score for e in found[1].ents]


def test_finetune_takes_a_pipeline_on_another_encoder(other_pipeline: Path, tmp_path: Path) -> None:
    path = finetune(str(other_pipeline), ROOT / "corpus" / "dev", tmp_path, epochs=1, rate=0.0)
    nlp = spacy.load(path)
    assert nlp.get_pipe("transformer").model.transformer.config.hidden_size == 24  # type: ignore[attr-defined]


def test_the_schema_is_that_of_the_base(overrides: dict[str, object], bare: dict[str, object], tmp_path: Path) -> None:
    schema = tmp_path / "schema.yml"
    schema.write_text("entities: {finding: {}}\nmodifiers: {absent: {modifies: [finding], role: negated}}\n")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("No rash.\n")
    (notes / "a.ann").write_text("T1\tabsent 0 2\tNo\nT2\tfinding 3 7\trash\nR1\thas Arg1:T2 Arg2:T1\n")
    site = {"paths.train": str(notes), "paths.dev": str(notes), "training.max_steps": 1}
    base = train(CONFIG, tmp_path / "base", {**overrides, **site, "paths.schema": str(schema)})
    schema.unlink()
    path = train(CONFIG, tmp_path / "on", {**bare, **site}, base=str(base))
    assert spacy.load(path).get_pipe("kiwi_entities").labels == ("finding",)  # type: ignore[attr-defined]
