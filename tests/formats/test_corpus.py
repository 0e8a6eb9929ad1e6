"""`kiwi.Corpus.v1` over every format, and round trips of JSONL, DocBin and BIO."""

import logging
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.brat import read_folder
from kiwi_spacy.formats.corpus import create_corpus, cut, read_docs
from kiwi_spacy.formats.docs import doc_to_record, record_to_doc
from kiwi_spacy.formats.tables import read_bio, read_docbin, read_jsonl, write_bio, write_docbin, write_jsonl
from kiwi_spacy.schema import load_schema
from kiwi_spacy.scoring import doc_annotations

ANN = "T1\tnegation 0 2\tno\nT2\tproblem 3 8\tfever\nR1\thasAttr Arg1:T2 Arg2:T1\t\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "brat"
    path.mkdir()
    for name in ("a", "b"):
        (path / f"{name}.txt").write_text("no fever\nfine\nwell\n")
        (path / f"{name}.ann").write_text(ANN)
    return path


@pytest.fixture
def blank() -> Language:
    return spacy.blank("en")


@pytest.fixture
def docs(folder: Path, blank: Language) -> list[Doc]:
    return list(read_docs(folder, blank, load_schema()))


def test_corpus_gives_bare_tokens_and_the_annotated_note(folder: Path, blank: Language) -> None:
    examples = list(create_corpus(str(folder))(blank))
    assert [eg.reference.user_data["kiwi_note"] for eg in examples] == ["a", "b"]
    for eg in examples:
        assert (eg.predicted.text, len(eg.predicted.ents)) == (eg.reference.text, 0)
        assert [(r.head.text, r.modifier.text) for r in eg.reference._.relations] == [("fever", "no")]


@pytest.mark.parametrize("suffix, write", [(".jsonl", write_jsonl), (".spacy", write_docbin)], ids=["jsonl", "docbin"])
def test_corpus_reads_what_was_written(
    suffix: str, write: object, docs: list[Doc], folder: Path, blank: Language, tmp_path: Path
) -> None:
    path = tmp_path / f"notes{suffix}"
    assert write(docs, path) == 2  # type: ignore[operator]
    both = list(create_corpus(f"{path},{folder}")(blank))
    assert [doc_annotations(eg.reference) for eg in both] == [doc_annotations(doc) for doc in docs] * 2
    assert [eg.reference.text for eg in both] == [doc.text for doc in docs] * 2


@pytest.mark.parametrize("given, names", [({"notes": "a"}, ["a"]), ({"without": "a"}, ["b"])], ids=["keep", "leave-out"])
def test_corpus_keeps_and_leaves_out_names(
    folder: Path, blank: Language, tmp_path: Path, given: dict[str, str], names: list[str]
) -> None:
    files = {}
    for key, value in given.items():
        (tmp_path / key).write_text(value + "\n")
        files[key] = str(tmp_path / key)
    examples = create_corpus(str(folder), **files)(blank)  # type: ignore[arg-type]
    assert [eg.reference.user_data["kiwi_note"] for eg in examples] == names


@pytest.mark.parametrize(
    "max_words, lines",
    [(100, ["no fever\nfine\nwell\n"]), (5, ["no fever\nfine\n", "well\n"]), (1, ["no fever\n", "fine\n", "well\n"])],
)
def test_cut_cuts_at_line_ends_alone(docs: list[Doc], max_words: int, lines: list[str]) -> None:
    assert [piece.text for piece in cut(docs[0], max_words)] == lines


def test_corpus_keeps_links_in_pieces(folder: Path, blank: Language) -> None:
    examples = list(create_corpus(str(folder), max_words=3)(blank))
    assert [len(eg.reference._.relations) for eg in examples] == [1, 0, 0, 1, 0, 0]


def test_corpus_logs_problems_without_text(folder: Path, blank: Language, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "b.ann").write_text(ANN + "T3\tproblem 9 13\tSECRET\nT4\tproblem 0 999\tSECRET\n")
    (folder / "c.txt").write_bytes(b"\xff")
    (folder / "c.ann").write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="kiwi_spacy"):
        assert len(list(create_corpus(str(folder))(blank))) == 2
    assert len(caplog.messages) == 3
    assert [m for m in caplog.messages if "SECRET" in m or "fine" in m] == []


@pytest.mark.parametrize("name", ["missing", "notes.xml"])
def test_corpus_refuses_what_it_cannot_read(tmp_path: Path, blank: Language, name: str) -> None:
    (tmp_path / "notes.xml").write_text("")
    with pytest.raises(FormatError, match=name):
        list(create_corpus(str(tmp_path / name))(blank))


def test_record_doc_record_is_the_same(docs: list[Doc], blank: Language) -> None:
    record = doc_to_record(docs[0])
    assert doc_to_record(record_to_doc(blank, record, load_schema())) == record
    assert record["relations"] == [{"head": 0, "modifier": 0, "label": "negation", "score": 1.0}]


def test_read_jsonl_reports_bad_lines(tmp_path: Path, blank: Language) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text('{"text": "fever"}\n\n[]\n{"entities": []}\n{bad\n{"text": "fine"}\n')
    found = list(read_jsonl(path, blank, load_schema()))
    assert [f.text if isinstance(f, Doc) else f.name for f in found] == [
        "fever", "n.jsonl, line 3", "n.jsonl, line 4", "n.jsonl, line 5", "fine",
    ]


def test_docbin_keeps_scores_and_names(docs: list[Doc], blank: Language, tmp_path: Path) -> None:
    write_docbin(docs, tmp_path / "n.spacy")
    again = list(read_docbin(tmp_path / "n.spacy", blank))
    assert [doc_to_record(doc) for doc in again] == [doc_to_record(doc) for doc in docs]


def test_read_bio_repairs_tags_and_counts(tmp_path: Path, blank: Language) -> None:
    path = tmp_path / "n.bio"
    path.write_text("no\tB-negation\nfever\tI-problem\n\nmild\tO\r\nchest\tB-problem\npain\tI-problem\ncough\tB-problem\n")
    first, second = (d for d in read_bio(path, blank, load_schema()) if isinstance(d, Doc))
    assert ([e.text for e in first.ents], [m.text for m in first.spans["modifiers"]]) == (["fever"], ["no"])
    assert first._.problems == {"tag without a beginning repaired": 1}
    assert ([e.text for e in second.ents], second._.problems) == (["chest pain", "cough"], {})


def test_bio_doc_bio_is_the_same(docs: list[Doc], blank: Language, tmp_path: Path) -> None:
    write_bio(docs[:1], tmp_path / "one.bio")
    again = [d for d in read_bio(tmp_path / "one.bio", blank, load_schema()) if isinstance(d, Doc)]
    assert [[t.text for t in d] for d in again] == [["no", "fever"], ["fine"], ["well"]]
    write_bio(again, tmp_path / "two.bio")
    repeat = [d for d in read_bio(tmp_path / "two.bio", blank, load_schema()) if isinstance(d, Doc)]
    assert [doc_annotations(d) for d in repeat] == [doc_annotations(d) for d in again]


def test_read_folder_is_in_the_order_of_names(folder: Path) -> None:
    assert [note.name for note in read_folder(folder)] == ["a", "b"]
