"""Hostile text, broken files and the benchmarks themselves: small parts of what benchmarks/robustness.py does at full size."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from broken import BROKEN, GOOD, make_folder
from growth import exponent
from hostile import MARKUP, RUNS, categories, hostile_strings, mark_words, page_lines, round_trip, wrong_in
from killed import files, kill_runs, rule_pipeline, write_notes
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.components.sentences import split_words
from kiwi_spacy.contract import NOTE
from kiwi_spacy.formats.outputs import OUTPUTS
from kiwi_spacy.formats.registry import FORMATS
from kiwi_spacy.run.extract import extract
from kiwi_spacy.show import render_html

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def rules() -> Language:
    return rule_pipeline()


@pytest.fixture(scope="module")
def hostile(rules: Language) -> list[tuple[str, Doc]]:
    """Texts and their Docs, with spans at hostile places."""
    texts = [*hostile_strings(60, seed=1), *((run * 90)[:90] for run in (*RUNS, *MARKUP))]
    found = []
    for i, text in enumerate(texts):
        doc = rules(text)
        mark_words(doc, every=2 + i % 4)
        doc.user_data[NOTE] = f"h{i}"
        found.append((text, doc))
    return found


def test_strings_hold_every_category_of_unicode() -> None:
    found = {name for text in hostile_strings(30, seed=0) for name, codes in categories().items() if ord(text[0]) in codes}
    assert found == set(categories()) and len(found) == 30


def test_hostile_text_stays_as_it_is(hostile: list[tuple[str, Doc]]) -> None:
    assert [(ascii(text[:20]), wrong_in(text, doc)) for text, doc in hostile if wrong_in(text, doc)] == []


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format.read])
def test_hostile_text_survives_every_format(hostile: list[tuple[str, Doc]], rules: Language, tmp_path: Path, name: str) -> None:
    docs = [doc for _, doc in hostile]
    counts = round_trip(docs, rules, FORMATS[name], tmp_path)
    if name == "inception":  # XML cannot hold some characters: such notes are refused, with the reason
        assert 0 < counts.pop("refused") < len(docs)
    assert set(counts) == {"equal"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_hostile_text_can_be_extracted(hostile: list[tuple[str, Doc]], name: str) -> None:
    for _, doc in hostile:  # of white space alone there is nothing to write
        assert OUTPUTS[name].render(doc.user_data[NOTE], doc) or not doc.ents


def test_a_page_shows_hostile_text_and_no_markup_of_the_note(rules: Language) -> None:
    doc = rules("".join(MARKUP[:5]) + "\r\n &amp; pain\r no fever \n")
    assert page_lines(render_html(doc)) == ['<span class="problem"></span>&lt;&amp;<!--]]>', " &amp; pain", " no fever ", ""]


def test_white_space_without_a_word_after_it_costs_no_more_than_its_length() -> None:
    """A run was searched from each of its places: 20,000 spaces took a minute. Here that would be hours."""
    words = split_words("fever" + " " * 1_000_000)
    assert (words.lower, words.glued) == (["fever"], [False])


def test_words_behind_white_space_are_not_glued() -> None:
    words = split_words("a-b \t-c\n-d")
    assert "".join(words.lower) == "a-b-c-d"
    assert words.glued == [False, True, True, False, True, False, True]


def test_every_file_of_a_folder_is_right_or_named(rules: Language, tmp_path: Path) -> None:
    notes, bad = make_folder(tmp_path / "notes", len(GOOD), len(BROKEN))
    summary = extract([str(tmp_path / "notes")], rules, tmp_path / "out", "jsonl")
    lines = map(json.loads, (tmp_path / "out" / "extracted.jsonl").read_text(encoding="utf-8").splitlines())
    assert {record["id"]: record["text"] for record in lines} == notes
    named = [place for place, reason in (*summary.failed, *summary.left_out) if reason]
    assert [way for stem, way in bad.items() if not any(stem in place for place in named)] == []
    assert len(named) == len(bad) == 20


def test_killed_runs_end_as_one_that_was_let_alone(rules: Language, tmp_path: Path) -> None:
    rules.to_disk(tmp_path / "pipeline")
    notes = write_notes(tmp_path / "notes", 6, 500)
    killed, runs, equal = kill_runs(notes, str(tmp_path / "pipeline"), "csv", tmp_path / "csv", kills=1, seed=0)
    assert killed == 1
    assert equal == runs
    assert set(files(tmp_path / "csv" / "whole")) == {"extracted.csv", "kiwi-manifest.jsonl"}


def test_exponent_is_the_power_that_times_grow_by() -> None:
    assert exponent((10, 20, 40), [1.0, 4.0, 16.0]) == pytest.approx(2.0)


def _commands() -> list[Path]:
    return [path for path in sorted(BENCHMARKS.glob("*.py")) if "__main__" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", _commands(), ids=lambda path: path.stem)
def test_a_benchmark_starts(path: Path) -> None:
    """Its imports are found after modules moved, and it has a parser."""
    if path.stem == "peer_eds_nlp":
        pytest.skip("it runs in an environment of its own, see benchmarks/README.md")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=False, env=environment)
    assert (run.returncode, run.stdout[:6]) == (0, "usage:"), run.stderr[-300:]


def test_benchmarks_are_commands_or_imported_by_one() -> None:
    imported = set()
    for path in BENCHMARKS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
    commands = {path.stem for path in _commands()}
    assert {path.stem for path in BENCHMARKS.glob("*.py")} - commands <= imported
