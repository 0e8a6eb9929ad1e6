"""What a manifest says can be read again, and what is none is refused."""

import json
from pathlib import Path

import pytest
import spacy
from spacy.language import Language

from kiwi_spacy.errors import OutputError
from kiwi_spacy.run.manifest import Entry, Head, Settings, differences, parse, pipeline_identity, render, render_entry

HEAD = Head({"name": "en_x", "version": "1"}, Settings("jsonl", {"problem": 0.5}), redo="all")
ENTRIES = [
    Entry("a", "done", "0" * 64, {"late": 2}, file="extracted.jsonl", start=0, end=7, written="1" * 64),
    Entry("b", "incomplete", "0" * 64, failures=((0, 4, "out of memory"),), file="extracted.jsonl", start=7, end=9),
    Entry("c\\xe9", "failed", "", reason="not UTF-8"),
]


def test_parse_gives_what_was_rendered() -> None:
    assert parse(render(HEAD, ENTRIES, [("x.pdf", "no text")]), "m") == (HEAD, ENTRIES)


def test_parse_leaves_out_the_line_that_a_killed_run_was_writing() -> None:
    assert parse(render(HEAD, ENTRIES[:1]) + render_entry(ENTRIES[1])[:-3], "m") == (HEAD, ENTRIES[:1])


@pytest.mark.parametrize(
    "line",
    [b"no json", b"[]", b'{"kiwi_manifest": 2}', b'{"other": 1}'], ids=["no-json", "no-object", "later-version", "other"],
)
def test_parse_refuses_what_is_no_manifest(line: bytes) -> None:
    with pytest.raises(OutputError, match="m, line 1: not a line of a manifest"):
        parse(line + b"\n", "m")


@pytest.mark.parametrize(
    "record",
    [
        {"note": "a", "outcome": "fine", "sha256": ""}, {"note": "a", "outcome": "done", "sha256": "", "new": 1}, {"what": 1},
        {"note": "a", "outcome": "done", "sha256": "", "failures": [[0]]},
    ],
    ids=["outcome", "unknown-field", "unknown-line", "failures"],
)
def test_parse_refuses_a_line_of_another_form(record: dict[str, object]) -> None:
    with pytest.raises(OutputError, match="m, line 2"):
        parse(render(HEAD, []) + json.dumps(record).encode() + b"\n", "m")


def test_parse_refuses_an_empty_file() -> None:
    with pytest.raises(OutputError, match="m is empty"):
        parse(b"", "m")


def test_differences_name_every_setting_once_and_shorten_hashes() -> None:
    other = Head({"name": "en_x", "weights": "a" * 64}, Settings("csv", {"problem": 0.5}))
    assert differences(HEAD, HEAD) == []
    assert differences(HEAD, other) == [f"weights: none > {'a' * 12}", "format: jsonl > csv", "version: 1 > none"]


def test_pipeline_identity_knows_the_weights_and_not_what_was_read(nlp: Language, pipeline_path: Path) -> None:
    loaded = [pipeline_identity(spacy.load(pipeline_path)) for _ in range(2)]
    made = pipeline_identity(nlp)
    nlp("words that are new to the vocabulary")
    assert loaded[0] == loaded[1]
    assert pipeline_identity(nlp) == made
    (pipeline_path / "weights").write_bytes(b"other")
    assert pipeline_identity(spacy.load(pipeline_path))["weights"] != loaded[0]["weights"]


def test_pipeline_identity_counts_weights_outside_the_pipeline(nlp: Language, tmp_path: Path) -> None:
    class Outside:
        base_files = (tmp_path / "base.gguf",)

        def __call__(self, doc: spacy.tokens.Doc) -> spacy.tokens.Doc:
            return doc

    Language.factory("kiwi_test_outside", func=lambda nlp, name: Outside())
    nlp.add_pipe("kiwi_test_outside")
    (tmp_path / "base.gguf").write_bytes(b"1")
    before = pipeline_identity(nlp)["weights"]
    (tmp_path / "base.gguf").write_bytes(b"12")
    assert pipeline_identity(nlp)["weights"] != before
