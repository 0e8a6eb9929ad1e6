"""An encoder adapted to text, and engines trained on parts of a corpus, by their commands."""

import json
from pathlib import Path

import spacy
from transformers import AutoModel
from typer.testing import CliRunner

from kiwi_spacy.cli import app

ROOT = Path(__file__).parents[2]


def test_adapt_writes_an_encoder_of_the_same_shape(tiny_bert: str, tmp_path: Path) -> None:
    args = ["adapt", str(ROOT / "corpus" / "dev"), "--backbone", tiny_bert, "--output", str(tmp_path / "out"), "--epochs", "0.2"]
    result = CliRunner().invoke(app, [*args, "--length", "64", "--batch-size", "4"])
    assert result.exit_code == 0, result.output
    before, after = (AutoModel.from_pretrained(path) for path in (tiny_bert, tmp_path / "out"))
    assert after.config.hidden_size == before.config.hidden_size
    assert not (before.embeddings.word_embeddings.weight == after.embeddings.word_embeddings.weight).all()


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
