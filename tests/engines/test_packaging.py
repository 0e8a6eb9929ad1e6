"""What is installed: every entry point loads, a trained pipeline becomes a wheel that gives the same, the project is sound."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.language import Language
from weasel.util.config import load_project_config

from kiwi_spacy import get_relations
from kiwi_spacy.errors import TrainingError
from kiwi_spacy.train.loop import train
from kiwi_spacy.train.package import package
from kiwi_spacy.train.weights import weights_hash

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "corpus" / "dev" / "icu-05.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", distribution("kiwi-spacy").entry_points, ids=lambda e: f"{e.group}:{e.name}")
def test_entry_point_loads(entry: object) -> None:
    assert entry.load() is not None  # type: ignore[attr-defined]


@pytest.mark.slow
def test_wheel_of_a_trained_pipeline_gives_the_same_without_its_backbone(
    trained: Path, tiny_nlp: Language, tmp_path: Path
) -> None:
    named = ["--name", "tiny_kiwi", "--version", "1.2.3", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "kiwi_spacy.cli", "package", str(trained), *named]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        assert "Requires-Dist: kiwi-spacy" in archive.read(metadata).decode()
        config = next(name for name in archive.namelist() if name.endswith("config.cfg"))
        assert str(trained.parent) not in archive.read(config).decode()  # no path of the machine that trained it
    code = (
        "import spacy, sys; doc = spacy.load('en_tiny_kiwi')(sys.stdin.read());"
        "print([r.key for r in doc._.relations], doc.ents, doc._.provenance['pipeline'], doc._.provenance['version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=TEXT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1"},
    )
    doc = tiny_nlp(TEXT)
    assert done.stdout.strip() == f"{[r.key for r in get_relations(doc)]} {doc.ents} en_tiny_kiwi 1.2.3"


def test_a_wheel_in_eight_bits_is_smaller_holds_facts_and_says_which_weights_it_has(trained: Path, tmp_path: Path) -> None:
    wheels = [
        package(trained, name, "1.0.0", tmp_path, eight_bits=eight_bits, facts=eight_bits)
        for name, eight_bits in (("tiny_half", False), ("tiny_eight", True))
    ]
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path / "site")
    half, eight = (next((tmp_path / "site" / f"en_tiny_{name}").glob("en_tiny_*")) for name in ("half", "eight"))
    sizes = [(path / "transformer" / "model").stat().st_size for path in (half, eight)]
    assert sizes[1] < sizes[0]  # most of this tiny one is its tokenizer
    loaded = spacy.load(eight)
    assert loaded.pipe_names[-3:] == ["kiwi_sections", "kiwi_facts", "doc_cleaner"]
    again = tmp_path / "again"
    loaded.to_disk(again)  # packed again, to the same
    assert (again / "transformer" / "model").stat().st_size == sizes[1]
    assert weights_hash(spacy.load(again)) == weights_hash(loaded) == loaded.get_pipe("kiwi_provenance").weights  # type: ignore[attr-defined]
    assert weights_hash(loaded) != weights_hash(spacy.load(half))
    doc = spacy.load(again)(TEXT)
    assert [s._.score for s in doc.ents] == [s._.score for s in loaded(TEXT).ents]


def test_eight_bits_are_of_the_bert_engine_alone(pipeline_path: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="this pipeline has none"):
        package(pipeline_path, "rules", "1.0.0", tmp_path, eight_bits=True)


def test_finetuning_starts_from_the_weights_of_a_pipeline(
    trained: Path, overrides: dict[str, object], tmp_path: Path
) -> None:
    still = {
        **overrides, "training.max_steps": 1, "training.optimizer.learn_rate.initial_rate": 0.0,
        "training.optimizer.use_averages": False,
    }
    path = train(ROOT / "configs" / "bert.cfg", tmp_path / "on", still, base=str(trained))
    found = [spacy.load(p)(TEXT) for p in (path, trained)]
    assert [s._.score for s in found[0].ents] == [s._.score for s in found[1].ents]  # scores differ if any weight does
    assert [(r.key, r.score) for r in get_relations(found[0])] == [(r.key, r.score) for r in get_relations(found[1])]


def test_finetuning_refuses_a_pipeline_of_another_schema(
    trained: Path, overrides: dict[str, object], tiny_schema: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("Rash.\n")
    (notes / "a.ann").write_text("T1\tfinding 0 4\tRash\n")
    other = {**overrides, "paths.schema": tiny_schema, "paths.train": str(notes), "paths.dev": str(notes)}
    with pytest.raises(TrainingError, match="other labels"):
        train(ROOT / "configs" / "bert.cfg", tmp_path / "on", other, base=str(trained))


def test_project_names_files_and_folders_that_exist() -> None:
    project = load_project_config(ROOT)
    variables = project["vars"]
    assert [a["git"]["path"] for a in project["assets"]] == ["data/train/MTSample/brat"]  # never the test notes
    for key in ("corpus", "dev", "gold", "own_notes", "note", "texts"):
        assert (ROOT / variables[key]).exists(), key
    scripts = [part for c in project["commands"] for line in c["script"] for part in line.split()]
    for part in scripts:
        if part.endswith((".py", ".cfg")):
            assert (ROOT / part).is_file(), part
    commands = {c["name"] for c in project["commands"]}
    assert {"corpus", "train-bert", "train-llama", "visualise", "finetune"} <= commands
    assert {"train", "evaluate", "package"} <= set(project["workflows"])
    assert {name for steps in project["workflows"].values() for name in steps} <= commands


def test_shipped_wheels_are_at_most_60_megabytes() -> None:
    wheels = list((ROOT / "packages").glob("*.whl"))
    assert wheels
    assert {w.name for w in wheels if w.stat().st_size > 60_000_000} == set()


def test_meta_of_the_trained_pipeline_names_its_factories(trained: Path) -> None:
    meta = srsly.read_json(trained / "meta.json")
    assert meta["pipeline"][:4] == ["transformer", "kiwi_entities", "kiwi_modifiers", "kiwi_relations"]
