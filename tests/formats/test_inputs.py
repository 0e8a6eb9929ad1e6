"""Every file of an input is read, named as left out with the reason, or named as what cannot be read."""

import gzip
import io
import json
import os
import socket
from pathlib import Path

import pytest

from kiwi_spacy.errors import FormatError, KiwiError
from kiwi_spacy.formats.inputs import plan_notes, read_texts
from kiwi_spacy.formats.sources import find_sources
from kiwi_spacy.run.manifest import MANIFEST


def _read(*inputs: Path | str, stdin: bytes = b"", encoding: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Return name > text of what can be read, and name > reason of what cannot."""
    plan = plan_notes([str(item) for item in inputs], io.BytesIO(stdin), encoding)
    texts, reasons = {}, {}
    for note in [*plan.files(), *plan.stream()]:
        try:
            texts[note.name] = note.read()
        except FormatError as error:
            reasons[note.name] = str(error)
        except OSError as error:
            reasons[note.name] = error.strerror
    return texts, reasons


@pytest.mark.parametrize(
    "file, data, texts, reasons",
    [
        ("n.txt", b"fever\r\n", {"n": "fever\r\n"}, {}),
        ("n.TEXT.GZ", gzip.compress(b"fever"), {"n": "fever"}, {}),
        ("n.txt.gz", b"no gzip", {}, {"n": "not a whole gzip file (BadGzipFile). Pack it again"}),
        ("n.txt.gz", gzip.compress(b"fever" * 99)[:-9], {}, {"n": "not a whole gzip file (EOFError). Pack it again"}),
        ("n.dat", b"fever", {"n": "fever"}, {}),
        ("n.ndjson", b'{"text": "a"}\n\n{"id": "x", "text": "b"}\n', {"n-000001": "a", "x": "b"}, {}),
        ("n.jsonl", '{"text": "a"}'.encode("utf-16"), {},
         {"n": "not UTF-8 but UTF-16, as it looks; JSON Lines is UTF-8. Convert it"}),
        ("n.jsonl.gz", b"x", {}, {"{place}": "not a whole gzip file (BadGzipFile). Pack it again; 0 rows of it were read"}),
        ("n.jsonl", b"[" * 100_000, {}, {"n-000001": "not JSON at column 1"}),
        ("n.jsonl", b'{"id": 1.5, "text": "a"}', {}, {"n-000001": 'its "id" is neither a string nor a whole number'}),
        ("n.jsonl", b'{"id": true, "text": "a"}', {}, {"n-000001": 'its "id" is neither a string nor a whole number'}),
        ("n.jsonl", b'{"id": "\\ud800", "text": "a"}', {}, {"n-000001": 'half a surrogate pair in its "id", at character 0'}),
        ("n.json", b'{"text": "a"}', {"n": "a"}, {}),
        ("n.json", b'[{"text": "a"}, {"id": 7, "text": "b"}, 3]', {"n-000001": "a", "7": "b"},
         {"n-000003": 'no "text" that is a string'}),
        ("n.json", b'{"text": "a"}\n{"text": "b"}', {},
         {"n": "not JSON at line 2, column 1; if each line is a record of its own, name the file .jsonl"}),
        ("n.json", b"{", {}, {"n": "not JSON at line 1, column 2"}),
        ("n.json", b"\xff", {}, {"n": "not UTF-8 at byte 0. Name what it is in: --encoding latin-1, say"}),
    ],
    ids=[
        "text", "packed", "no-gzip", "half-gzip", "any-suffix", "lines", "wide-lines", "lines-no-gzip", "deep", "float-id",
        "bool-id", "surrogate-id", "json", "json-list", "json-lines", "no-json", "latin-json",
    ],
)
def test_a_named_file(tmp_path: Path, file: str, data: bytes, texts: dict[str, str], reasons: dict[str, str]) -> None:
    (tmp_path / file).write_bytes(data)
    expected = {name.replace("{place}", str(tmp_path / file)): reason for name, reason in reasons.items()}
    assert _read(tmp_path / file) == (texts, expected)


def test_an_id_of_more_digits_than_python_writes(tmp_path: Path) -> None:
    (tmp_path / "n.jsonl").write_bytes(b'{"id": ' + b"9" * 5000 + b', "text": "a"}')
    texts, reasons = _read(tmp_path / "n.jsonl")
    assert texts == {} and list(reasons) == ["n-000001"]


def test_what_a_folder_holds_besides_notes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "in"
    (root / "ward").mkdir(parents=True)
    (root / "made").mkdir()
    (root / "made" / MANIFEST).write_text("")
    (root / "odd.txt").mkdir()
    (root / "odd.txt" / "in.txt").write_text("inner")
    for name in ("a.TXT", "ward/a.txt", "x.pdf", "noted", ".hidden.txt", "n.json"):
        (root / name).write_text("fever")
    os.mkfifo(root / "pipe.txt")
    monkeypatch.chdir(root)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock.txt")
    (root / "null.txt").symlink_to("/dev/null")
    (root / "gone.txt").symlink_to("nowhere")
    (root / "loop").symlink_to(root)
    sources = {source.place: (source.kind, source.reason) for source in find_sources(str(root))}
    not_opened = "; it was not opened. Send it to standard input: -"
    assert sources == {
        "a.TXT": ("text", ""), "ward/a.txt": ("text", ""), "odd.txt/in.txt": ("text", ""),
        "x.pdf": ("left out", ".pdf is not .txt, .text, .jsonl or these with .gz"),
        "noted": ("left out", "no suffix is not .txt, .text, .jsonl or these with .gz"),
        ".hidden.txt": ("left out", "hidden"),
        "n.json": ("left out", "JSON in a folder may be anything; name the file itself to read it"),
        "pipe.txt": ("unreadable", "a named pipe" + not_opened), "sock.txt": ("unreadable", "a socket" + not_opened),
        "null.txt": ("unreadable", "a device" + not_opened), "gone.txt": ("unreadable", "No such file or directory"),
        "loop": ("left out", "a link to a folder that is read already"),
        "made": ("left out", "an output folder of kiwi extract"),
        "odd.txt": ("left out", "a folder, not a note; what it holds is gone through"),
    }


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("fever")
    real = Path.iterdir

    def refuse(path: Path) -> object:  # root may read anything, so permissions cannot show it
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert _read(tmp_path) == ({"a": "fever"}, {"locked": "a folder: Permission denied"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("n.txt", "n.jsonl", "n.json"):
        (tmp_path / name).write_text("{}")

    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for name in ("n.txt", "n.jsonl", "n.json"):
        texts, reasons = _read(tmp_path / name)
        assert (texts, list(reasons.values())) == ({}, ["Permission denied"])


def test_a_folder_of_ours_may_hold_the_notes_too(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("")
    (tmp_path / "extracted.jsonl").write_text("{}")
    (tmp_path / "a.txt").write_text("fever")
    assert _read(tmp_path) == ({"a": "fever"}, {})


@pytest.mark.parametrize(
    "inputs, said",
    [
        ([], "There is nothing to read"), (["-", "-"], "stands among the inputs twice"), (["{}/none"], "does not exist"),
        (["{}"], r"holds no \.txt, \.text or \.jsonl file\. 1 files are left out, such as x\.pdf"),
    ],
    ids=["nothing", "stdin-twice", "missing", "no-notes"],
)
def test_inputs_that_cannot_be_used(tmp_path: Path, inputs: list[str], said: str) -> None:
    (tmp_path / "x.pdf").write_text("")
    with pytest.raises(KiwiError, match=said):
        plan_notes([item.format(tmp_path) for item in inputs], io.BytesIO())


def test_a_second_note_of_one_name_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("a")
    (tmp_path / "n.TXT").write_text("b")
    (tmp_path / "n.text.gz").write_bytes(gzip.compress(b"c"))
    texts, reasons = _read(tmp_path)
    assert list(texts) == ["n"]
    assert all(reason.startswith("a second note named 'n', after n.") for reason in reasons.values()) and len(reasons) == 2


@pytest.mark.parametrize(
    "data, texts",
    [
        (b"fever\nand cough", {"stdin": "fever\nand cough"}), (b"\n" + json.dumps({"text": "a"}).encode(), {"stdin-000002": "a"}),
        (b"", {}), (b"{no json", {"stdin": "{no json"}), (b"[1]\nfever", {"stdin": "[1]\nfever"}),
    ],
    ids=["plain", "lines", "empty", "brace", "list"],
)
def test_standard_input(data: bytes, texts: dict[str, str]) -> None:
    assert _read("-", stdin=data) == (texts, {})


def test_read_texts_gives_the_notes_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"\xef\xbb\xbffever")
    assert list(read_texts(tmp_path)) == [("caf\\xe9", "\ufefffever")]
