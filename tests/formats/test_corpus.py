"""`kiwi.Corpus.v1` over every format, and round trips of JSONL, DocBin and BIO."""

import logging
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy import merge_docs, split_doc
from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.bio import read_bio
from kiwi_spacy.formats.brat import Failure, read_folder
from kiwi_spacy.formats.convert import write_docs
from kiwi_spacy.formats.corpus import create_corpus, cut, read_docs
from kiwi_spacy.formats.docbin import read_docbin
from kiwi_spacy.formats.jsonl import doc_to_record, read_jsonl, record_to_doc
from kiwi_spacy.formats.registry import FORMATS, lost_in
from kiwi_spacy.schema import load_schema
from kiwi_spacy.scoring import doc_annotations, score_notes

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


@pytest.mark.parametrize("format", [name for name, format in FORMATS.items() if format.read and name not in ("brat", "bio")])
def test_corpus_reads_what_was_written(format: str, docs: list[Doc], folder: Path, blank: Language, tmp_path: Path) -> None:
    path = tmp_path / f"notes{'' if FORMATS[format].layout == 'notes' else FORMATS[format].suffixes[0]}"
    assert write_docs(docs, path, format).done == 2
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


def test_corpus_gives_each_note_once_a_length(folder: Path, blank: Language) -> None:
    texts = [eg.reference.text for eg in create_corpus(str(folder), max_words=[100, 3])(blank)]
    whole, pieces = [[eg.reference.text for eg in create_corpus(str(folder), max_words=n)(blank)] for n in (100, 3)]
    assert texts == [whole[0], *pieces[:3], whole[1], *pieces[3:]]


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


@pytest.mark.parametrize(
    "line",
    ['{"text": "a", "entities": [{"start": 0, "end": 1, "label": "problem", "score": "x"}]}',
     '{"text": "a", "entities": [{"start": Infinity, "end": 1, "label": "problem"}]}', '{"text": "a", "id": []}',
     '{"text": "a", "id": "\\ud800"}', '{"text": "\\ud800"}', '{"text": ' + "1" * 5000 + "}", "[" * 100_000],
    ids=["score", "infinity", "id", "surrogate-id", "surrogate", "digits", "deep"],
)
def test_read_jsonl_goes_on_after_a_line_of_wrong_values(tmp_path: Path, blank: Language, line: str) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text(line + '\n{"text": "fine", "id": null}\n')
    failure, doc = read_jsonl(path, blank, load_schema())
    assert isinstance(failure, Failure) and failure.reason.startswith("n.jsonl, line 1: ")
    assert isinstance(doc, Doc) and (doc.text, doc.user_data["kiwi_note"]) == ("fine", "")


def test_record_to_doc_drops_links_that_the_schema_forbids(blank: Language) -> None:
    record = {
        "text": "no CT, 5 mg", "relations": [{"head": 0, "modifier": 0}, {"head": 0, "modifier": 1}, {"head": 1, "modifier": 0}],
        "entities": [{"start": 3, "end": 5, "label": "Test", "score": 0.5}, {"start": 0, "end": 2, "label": "negation"}],
        "modifiers": [{"start": 0, "end": 2, "label": "negation"}, {"start": 7, "end": 11, "label": "strength"}],
    }
    doc = record_to_doc(blank, record, load_schema())
    assert [(r.head.text, r.modifier.text) for r in doc._.relations] == [("CT", "no")]
    assert doc._.problems == {"link that the schema does not allow dropped": 2}
    assert doc.ents[0]._.score == 0.5
    assert len(doc_to_record(doc)["relations"]) == 1


def test_record_to_doc_keeps_the_score_of_a_snapped_span(blank: Language) -> None:
    record = {"text": "fever", "entities": [{"start": 0, "end": 4, "label": "problem", "score": 0.5}]}
    assert record_to_doc(blank, record, load_schema()).ents[0]._.score == 0.5


@pytest.mark.parametrize("data", [b"", b"no bin"], ids=["empty", "other"])
def test_read_docbin_says_that_a_file_is_none(tmp_path: Path, blank: Language, data: bytes) -> None:
    (tmp_path / "n.spacy").write_bytes(data)
    with pytest.raises(FormatError, match=r"n\.spacy: not a DocBin"):
        list(read_docbin(tmp_path / "n.spacy", blank))


def test_docbin_keeps_scores_and_names(docs: list[Doc], blank: Language, tmp_path: Path) -> None:
    write_docs(docs, tmp_path / "n.spacy", "docbin")
    again = list(read_docbin(tmp_path / "n.spacy", blank))
    assert [doc_to_record(doc) for doc in again] == [doc_to_record(doc) for doc in docs]


def test_read_bio_repairs_tags_and_counts(tmp_path: Path, blank: Language) -> None:
    path = tmp_path / "n.bio"
    path.write_text("no\tB-negation\nfever\tI-problem\n\nmild\tO\r\nchest\tB-problem\npain\tI-problem\ncough\tB-problem\n")
    first, second = (d for d in read_bio(path, blank, load_schema()) if isinstance(d, Doc))
    assert ([e.text for e in first.ents], [m.text for m in first.spans["modifiers"]]) == (["fever"], ["no"])
    assert first._.problems == {"tag without a beginning repaired": 1}
    assert ([e.text for e in second.ents], second._.problems) == (["chest pain", "cough"], {})


@pytest.mark.parametrize(
    "lines, ents, problems",
    [
        ("chest b-Problem\npain I-problem", ["chest pain"], {}),
        ("chest\u00a0pain B-problem", ["chest\u00a0pain"], {}),
        ("\ufefffever\tB-problem", ["fever"], {}),
        ("fever\tproblem\ncough\tB-", [], {"tag that is no BIO tag read as O": 2}),
        ("fever\tU-problem\ncough\tB-problem\nfit\tL-problem", ["fever", "cough fit"], {}),
    ],
    ids=["case", "no-break-space", "mark", "no-bio", "bilou"],
)
def test_read_bio_of_other_habits(
    tmp_path: Path, blank: Language, lines: str, ents: list[str], problems: dict[str, int]
) -> None:
    (tmp_path / "n.bio").write_bytes(lines.encode())
    (doc,) = read_bio(tmp_path / "n.bio", blank, load_schema())
    assert isinstance(doc, Doc)
    assert ([e.text for e in doc.ents], doc._.problems) == (ents, problems)


def test_read_bio_reports_a_line_without_a_token(tmp_path: Path, blank: Language) -> None:
    (tmp_path / "n.bio").write_text("fever\tB-problem\n\tO\ncough\tB-problem\n")
    failure, doc = read_bio(tmp_path / "n.bio", blank, load_schema())
    assert isinstance(failure, Failure) and failure.reason == "n.bio, line 2: needs a token and a tag. Line skipped."
    assert isinstance(doc, Doc) and [e.text for e in doc.ents] == ["fever", "cough"]


def test_bio_keeps_a_span_over_a_line_end_and_says_what_it_loses(tmp_path: Path, blank: Language) -> None:
    record = {
        "text": "\ufeff mild chest\npain", "entities": [{"start": 2, "end": 17, "label": "problem"}],
        "modifiers": [{"start": 2, "end": 6, "label": "severity"}], "relations": [{"head": 0, "modifier": 0}],
    }
    doc = record_to_doc(blank, record, load_schema())
    write_docs([doc], tmp_path / "n.bio", "bio")
    assert (tmp_path / "n.bio").read_text().split() == ["mild", "B-problem", "chest", "I-problem", "pain", "I-problem"]
    assert lost_in(FORMATS["bio"], doc) == {
        "relations that bio cannot hold": 1, "span without words of its own, or overlapping another, that BIO cannot hold": 1,
    }


SITE = "entities: {Befund: }\nmodifiers: {Verneinung: {modifies: [Befund], role: negated}}\n"


def test_corpus_of_a_site_with_labels_of_its_own(tmp_path: Path, blank: Language) -> None:
    (tmp_path / "site.yml").write_text(SITE)
    (tmp_path / "a.txt").write_text("kein Fieber")
    (tmp_path / "a.ann").write_text("T1\tverneinung 0 4\tkein\nT2\tBefund 5 11\tFieber\nR1\tx Arg1:T1 Arg2:T2\n")
    site = str(tmp_path / "site.yml")
    (eg,) = create_corpus(str(tmp_path), schema=site)(blank)
    write_docs([eg.reference], tmp_path / "n.spacy", "docbin")
    (doc,) = read_docbin(tmp_path / "n.spacy", blank)
    for part in (doc, *split_doc(doc, []), merge_docs([blank("nichts "), doc])):
        assert [(e.label_, e._.is_negated) for e in part.ents] == [("Befund", True)]
    scores = score_notes([(doc_annotations(doc), doc_annotations(doc))], load_schema(site))
    assert scores.relations.total.f1("exact") == 1.0


def test_corpus_reads_a_folder_whose_name_holds_a_comma(folder: Path, blank: Language) -> None:
    other = folder.rename(folder.parent / "a, b")
    assert len(list(create_corpus(str(other))(blank))) == 2


def test_corpus_names_notes_that_it_does_not_find(
    folder: Path, blank: Language, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "names").write_bytes("\ufeffa\r\nnowhere\r\n".encode())
    assert len(list(create_corpus(str(folder), notes=str(tmp_path / "names"))(blank))) == 1
    assert [m.endswith("nowhere among the annotated: nowhere.") for m in caplog.messages] == [True]


def test_bio_doc_bio_is_the_same(docs: list[Doc], blank: Language, tmp_path: Path) -> None:
    write_docs(docs[:1], tmp_path / "one.bio", "bio")
    again = [d for d in read_bio(tmp_path / "one.bio", blank, load_schema()) if isinstance(d, Doc)]
    assert [[t.text for t in d] for d in again] == [["no", "fever"], ["fine"], ["well"]]
    write_docs(again, tmp_path / "two.bio", "bio")
    repeat = [d for d in read_bio(tmp_path / "two.bio", blank, load_schema()) if isinstance(d, Doc)]
    assert [doc_annotations(d) for d in repeat] == [doc_annotations(d) for d in again]


def test_read_folder_is_in_the_order_of_names(folder: Path) -> None:
    assert [note.name for note in read_folder(folder)] == ["a", "b"]
