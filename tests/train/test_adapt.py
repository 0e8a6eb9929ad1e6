"""An encoder adapted to text, and engines trained on parts of a corpus, by their commands."""

import json
from pathlib import Path

import pytest
import spacy
import torch
from transformers import AutoModel, DistilBertConfig, DistilBertForMaskedLM
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.errors import TrainingError
from kiwi_spacy.train.adapt import adapt, prediction_head
from kiwi_spacy.train.loop import train

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("precision", ["single", "bfloat16"])
@pytest.mark.parametrize("encoder", ["tiny_bert", "tiny_mpnet"])
def test_adapt_writes_an_encoder_of_the_same_shape(
    encoder: str, precision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backbone = request.getfixturevalue(encoder)
    args = ["adapt", str(ROOT / "corpus" / "dev"), "--backbone", backbone, "--output", str(tmp_path / "out"), "--epochs", "0.2"]
    result = CliRunner().invoke(app, [*args, "--length", "64", "--batch-size", "4", "--precision", precision])
    assert result.exit_code == 0, result.output
    before, after = (AutoModel.from_pretrained(path) for path in (backbone, tmp_path / "out"))
    assert (after.config.model_type, after.config.hidden_size) == (before.config.model_type, before.config.hidden_size)
    assert after.embeddings.word_embeddings.weight.dtype == torch.float32
    assert not (before.embeddings.word_embeddings.weight == after.embeddings.word_embeddings.weight).all()


def test_an_adapted_mpnet_is_trained_and_loaded(tiny_mpnet: str, overrides: dict[str, object], tmp_path: Path) -> None:
    adapt([ROOT / "corpus" / "dev"], tmp_path / "adapted", backbone=tiny_mpnet, epochs=0.1, length=64, batch_size=4)
    settings = {**overrides, "paths.backbone": str(tmp_path / "adapted"), "training.max_steps": 1}
    nlp = spacy.load(train(ROOT / "configs" / "bert.cfg", tmp_path / "trained", settings))
    assert nlp.get_pipe("transformer").model.transformer.config.model_type == "mpnet"  # type: ignore[attr-defined]
    assert len(nlp("No fever.")) == 3


def test_adapt_refuses_an_encoder_whose_prediction_of_words_has_several_parts() -> None:
    model = DistilBertForMaskedLM(DistilBertConfig(vocab_size=10, dim=8, n_layers=1, n_heads=1, hidden_dim=8))
    with pytest.raises(TrainingError, match="'distilbert' cannot be adapted"):
        prediction_head(model)


def test_adapt_refuses_too_little_text(tiny_bert: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Fever.")
    result = CliRunner().invoke(app, ["adapt", str(tmp_path / "a.txt"), "--backbone", tiny_bert, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "too few for a step" in result.stderr


def test_curve_trains_on_parts_and_draws(overrides: dict[str, object], tmp_path: Path) -> None:
    spacy.util.load_config(ROOT / "configs" / "bert.cfg", overrides=overrides, interpolate=False).to_disk(tmp_path / "tiny.cfg")
    args = ["curve", "--corpus", str(ROOT / "corpus" / "dev"), "--dev", str(ROOT / "corpus" / "test"),
            "-o", str(tmp_path / "out"), "--bert-parts", "30", "--bert-epochs", "0", "--bert-least-steps", "1",
            "--bert-config", str(tmp_path / "tiny.cfg"),
            "--llama-parts", ""]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    curve = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert [point["percent"] for point in curve["curves"]["bert"]] == [30]
    assert (tmp_path / "out" / "curve.html").is_file()
