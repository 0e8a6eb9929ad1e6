"""A tiny random model of BiomedBERT's architecture, and a pipeline on it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import spacy
import torch
from spacy.language import Language
from transformers import BertConfig, BertModel, BertTokenizerFast, MPNetConfig, MPNetModel, MPNetTokenizerFast

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package", autouse=True)
def single_precision() -> Iterator[None]:
    """Where nothing says otherwise, engines compute here in single precision on every processor, also one with AMX."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of a BERT of 2 layers, 16 wide, random, with a vocabulary of letters."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=128).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_mpnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of an MPNet as small as `tiny_bert`: other special pieces, no token types, relative positions."""
    folder = tmp_path_factory.mktemp("tiny-mpnet")
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    vocabulary = ["<s>", "<pad>", "</s>", "[UNK]", *letters, *("##" + c for c in letters), "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=130,
    )
    MPNetModel(config).save_pretrained(folder)
    MPNetTokenizerFast(str(folder / "vocab.txt"), model_max_length=128).save_pretrained(folder)
    return str(folder)


def tiny_overrides(tiny_bert: str) -> dict[str, object]:
    """Settings that make configs/bert.cfg train in seconds."""
    return {
        "paths.train": str(ROOT / "corpus" / "dev"), "paths.dev": str(ROOT / "corpus" / "dev"),
        "paths.backbone": tiny_bert, "components.transformer.model.max_pieces": 100, "training.max_epochs": 1,
        "training.max_steps": 6, "training.eval_frequency": 2, "training.batcher.size": 200,
    }


@pytest.fixture(scope="session")
def overrides(tiny_bert: str) -> dict[str, object]:
    return tiny_overrides(tiny_bert)


@pytest.fixture(scope="session")
def trained(overrides: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny trained pipeline's folder."""
    from kiwi_spacy.train.loop import train

    return train(ROOT / "configs" / "bert.cfg", tmp_path_factory.mktemp("trained"), overrides)


@pytest.fixture(scope="session")
def tiny_nlp(trained: Path) -> Language:
    return spacy.load(trained)


@pytest.fixture
def tiny_schema(tmp_path: Path) -> str:
    """A site's own schema."""
    path = tmp_path / "schema.yml"
    absent = {"modifies": ["finding"], "role": "negated"}
    site = {"name": "site", "entities": {"finding": {}}, "modifiers": {"absent": absent}}
    path.write_text(json.dumps(site), encoding="utf-8")
    return str(path)
