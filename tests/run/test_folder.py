"""An output folder holds what its manifest says, and what others put there stays as it is."""

import errno
import os
from pathlib import Path

import pytest
from spacy.language import Language

from kiwi_spacy.errors import KiwiError, OutputError
from kiwi_spacy.formats.outputs import Format
from kiwi_spacy.run.extract import extract
from kiwi_spacy.run.manifest import MANIFEST

FILES: dict[Format, str] = {
    "brat": "a.ann", "jsonl": "extracted.jsonl", "csv": "extracted.csv", "docbin": "extracted-00001.spacy",
    "parquet": "extracted-00001.parquet", "html": "notes/a.html",
}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, text in (("a", "fever"), ("b", "mild cough"), ("c", "aspirin")):
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    return tmp_path / "in"


@pytest.mark.parametrize("format", ["jsonl", "csv", "docbin"])
@pytest.mark.parametrize("change", ["begin", "middle", "end"])
def test_a_file_that_others_changed_stops_the_run(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, change: str
) -> None:
    extract([str(notes)], nlp, tmp_path / "out", format)
    path = tmp_path / "out" / FILES[format]
    data = path.read_bytes()
    half = len(data) // 2
    changed = {"begin": b"?" + data[1:], "middle": data[:half] + b"?" + data[half + 1 :], "end": data + b"more\n"}[change]
    path.write_bytes(changed)
    with pytest.raises(OutputError, match="was changed since it was written"):
        extract([str(notes)], nlp, tmp_path / "out", format)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("format", list(FILES))
def test_a_result_that_somebody_took_away_is_made_again(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    extract([str(notes)], nlp, tmp_path / "out", format)
    path = tmp_path / "out" / FILES[format]
    data = path.read_bytes()
    path.unlink()
    extract([str(notes)], nlp, tmp_path / "out", format)
    assert path.read_bytes() == data


@pytest.mark.parametrize("format", list(FILES))
@pytest.mark.parametrize("other", list(FILES))
def test_another_format_takes_the_place_of_the_first_when_told_to(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, other: Format
) -> None:
    extract([str(notes)], nlp, tmp_path / "out", format)
    if other != format:
        with pytest.raises(OutputError, match=f"format: {format} > {other}"):
            extract([str(notes)], nlp, tmp_path / "out", other)
    extract([str(notes)], nlp, tmp_path / "out", other, redo="changed")
    extract([str(notes)], nlp, tmp_path / "fresh", other)
    made = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "out", tmp_path / "fresh")
    ]
    assert made[0] == made[1]


def test_a_note_that_fails_now_leaves_no_earlier_result(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "out")
    (notes / "a.txt").write_text("EXPLODE")
    summary = extract([str(notes)], nlp, tmp_path / "out", redo="changed")
    assert [name for name, _ in summary.failed] == ["a"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.ann", "c.ann", MANIFEST]


def test_a_file_of_others_where_a_failed_note_has_none_is_refused(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (notes / "a.txt").write_text("EXPLODE")
    extract([str(notes)], nlp, tmp_path / "out")
    (tmp_path / "out" / "a.ann").write_text("by hand")
    with pytest.raises(OutputError, match=r"holds a\.ann, which its kiwi-manifest\.jsonl does not name"):
        extract([str(notes)], nlp, tmp_path / "out", redo="all")
    assert (tmp_path / "out" / "a.ann").read_text() == "by hand"


def test_an_output_that_is_a_file_is_refused(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is no folder"):
        extract([str(notes)], nlp, tmp_path / "out")


def test_a_full_disk_stops_the_run_and_costs_no_note(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "b.ann":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            extract([str(notes)], nlp, tmp_path / "out")
    summary = extract([str(notes)], nlp, tmp_path / "out")
    assert (summary.done, summary.kept, summary.failed) == (2, 1, [])


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_note_is_refused(nlp: Language, notes: Path, tmp_path: Path, size: int) -> None:
    with pytest.raises(KiwiError, match=f"batch_size is {size}; it must be 1 or more"):
        extract([str(notes)], nlp, tmp_path / "out", batch_size=size)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused(nlp: Language, notes: Path, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="'xml' is not a format to write; these are: brat, jsonl, csv, docbin"):
        extract([str(notes)], nlp, tmp_path / "out", "xml")  # type: ignore[arg-type]
