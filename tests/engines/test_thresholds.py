"""Thresholds by label: in the config, kept when saved, and given to a loaded pipeline."""

import json
import pickle
import statistics
from collections import Counter
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.contract import SpanKey, get_modifiers, get_relations, span_key
from kiwi_spacy.errors import KiwiError, SchemaError
from kiwi_spacy.run.thresholds import parse_thresholds, set_thresholds
from kiwi_spacy.train.loop import finetune

CORPUS = Path(__file__).parents[2] / "corpus" / "dev"
TEXT = sorted(CORPUS.glob("*.txt"))[4].read_text(encoding="utf-8")


def keys(doc: Doc) -> list[SpanKey]:
    return [span_key(span) for span in get_modifiers(doc)]


def test_a_threshold_drops_what_scores_less_and_is_kept_when_saved(trained: Path, tmp_path: Path) -> None:
    found = get_modifiers(spacy.load(trained)(TEXT))
    label = Counter(span.label_ for span in found).most_common()[0][0]
    least = statistics.median(span._.score for span in found if span.label_ == label)
    kept = [span_key(span) for span in found if span.label_ != label or span._.score >= least]
    nlp = spacy.load(trained, config={"components.kiwi_modifiers.thresholds": {label: least}})
    assert keys(nlp(TEXT)) == kept
    assert 0 < len(kept) < len(found)
    nlp.to_disk(tmp_path)
    assert keys(spacy.load(tmp_path)(TEXT)) == kept


def test_thresholds_set_on_a_component_are_saved_and_fine_tuned_with_it(trained: Path, tmp_path: Path) -> None:
    nlp = spacy.load(trained)
    nlp.get_pipe("kiwi_entities").set_thresholds({"problem": 0.8})
    nlp.to_disk(tmp_path / "site")
    tuned = finetune(str(tmp_path / "site"), CORPUS, tmp_path / "tuned", epochs=1, rate=0.0)
    copies = [spacy.load(tmp_path / "site"), pickle.loads(pickle.dumps(nlp)), spacy.load(tuned)]
    assert [copy.get_pipe("kiwi_entities").thresholds for copy in copies] == [{"problem": 0.8}] * 3


def test_a_modifiers_threshold_holds_for_its_links(trained: Path) -> None:
    nlp = spacy.load(trained)
    links = nlp.get_pipe("kiwi_relations")
    before = get_relations(nlp(TEXT))
    label = before[0].label
    least = max(r.score or 0 for r in before if r.label == label)
    links.set_thresholds({label: least})
    kept = [r.key for r in before if r.label != label or (r.score or 0) >= least]
    assert [r.key for r in get_relations(nlp(TEXT))] == kept
    assert len(kept) < len(before)


@pytest.mark.parametrize("thresholds", [{"no such": 0.5}, {"problem": 1.5}], ids=["label", "value"])
def test_a_wrong_threshold_of_a_config_is_refused_when_loaded(trained: Path, thresholds: dict[str, float]) -> None:
    with pytest.raises(SchemaError, match="kiwi_entities"):
        spacy.load(trained, config={"components.kiwi_entities.thresholds": thresholds})


def test_a_pipeline_that_gives_no_scores_takes_no_threshold() -> None:
    with pytest.raises(KiwiError, match="It takes none"):
        set_thresholds(spacy.blank("en"), {"problem": 0.5})


@pytest.mark.parametrize("words", [["problem"], ["=0.5"], ["a=nan"], ["a=2"], ["a=0.1", "a=0.2"]])
def test_words_that_are_no_thresholds(words: list[str]) -> None:
    with pytest.raises(KiwiError):
        parse_thresholds(words)


def test_extract_takes_thresholds_and_another_one_is_another_setting(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(TEXT, encoding="utf-8")

    def extract(least: str) -> int:
        args = ["extract", str(tmp_path / "note.txt"), "--pipeline", str(trained), "-o", str(tmp_path / "out"), "-f", "jsonl"]
        return CliRunner().invoke(app, [*args, "--threshold", f"negation={least}"]).exit_code

    assert extract("1") == 0
    head = json.loads((tmp_path / "out" / "kiwi-manifest.jsonl").read_text().split("\n")[0])
    assert head["settings"]["thresholds"] == {"negation": 1.0}
    assert '"negation"' not in (tmp_path / "out" / "extracted.jsonl").read_text()
    assert extract("1") == 0
    assert extract("0.5") == 3
