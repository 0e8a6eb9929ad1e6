"""A folder of notes some of which are broken, in twenty ways, and what a run must say of each."""

import gzip
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

from hostile import clinical_text

_TEXT = "Fever\u00a037.9 \u00b0C, caf\u00e9-au-lait spots.\r\nNo cough \U0001f600; denies pain.\n"

Write = Callable[[Path, str, str], tuple[str, str]]


def _bytes(suffix: str, encode: Callable[[str], bytes]) -> Write:
    """Return what writes a file of these bytes."""

    def write(folder: Path, name: str, text: str) -> tuple[str, str]:
        (folder / f"{name}{suffix}").write_bytes(encode(text))
        return name, text

    return write


def _line(text: str, name: str) -> bytes:
    return json.dumps({"id": name, "text": text}).encode() + b"\n"


def _lines(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f"{name}.file.jsonl").write_bytes(b"\n" + _line(text, name))
    return name, text


def _packed_lines(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f"{name}.file.jsonl.gz").write_bytes(gzip.compress(_line(text, name)))
    return name, text


def _below(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / "ward 7" / name).mkdir(parents=True)
    (folder / "ward 7" / name / "note v1.2.txt").write_bytes(text.encode())
    return f"ward 7/{name}/note v1.2", text


def _any_name(folder: Path, name: str, text: str) -> tuple[str, str]:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9-" + name.encode() + b".txt")).write_bytes(text.encode())
    return f"caf\\xe9-{name}", text


# Each writes a note that must be read: its name as shown, and its text.
GOOD: dict[str, Write] = {
    "plain": _bytes(".txt", lambda text: text.encode()),
    "capitals": _bytes(".TXT", lambda text: text.encode()),
    "other suffix": _bytes(".text", lambda text: text.encode()),
    "packed": _bytes(".txt.gz", lambda text: gzip.compress(text.encode())),
    "packed in parts": _bytes(".txt.gz", lambda text: gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode())),
    "UTF-16 with a mark": _bytes(".txt", lambda text: b"\xff\xfe" + text.encode("utf-16-le")),
    "UTF-16, big end first": _bytes(".txt", lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
    "UTF-32 with a mark": _bytes(".txt", lambda text: text.encode("utf-32")),
    "NULs": lambda folder, name, text: _bytes(".txt", str.encode)(folder, name, "\0" + text),
    "JSON lines": _lines,
    "packed JSON lines": _packed_lines,
    "folders": _below,
    "any bytes as a name": _any_name,
}


def _pipe(folder: Path, name: str, text: str) -> tuple[str, str]:
    os.mkfifo(folder / f"{name}.txt")
    return name, text


def _socket(folder: Path, name: str, text: str) -> tuple[str, str]:
    held, back = socket.socket(socket.AF_UNIX), os.getcwd()
    os.chdir(folder)  # a socket's path has room for 107 bytes
    held.bind(f"{name}.txt")
    os.chdir(back)
    held.close()
    return name, text


def _folder(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f"{name}.txt").mkdir()
    return name, text


def _link(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f"{name}.txt").symlink_to("nowhere")
    return name, text


def _loop(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f"{name}.txt").symlink_to(f"{name}.txt")
    return name, text


def _hidden(folder: Path, name: str, text: str) -> tuple[str, str]:
    (folder / f".{name}.txt").write_bytes(text.encode())
    return name, text


# Each writes a file that must be named, with the reason, and not be read.
BROKEN: dict[str, Write] = {
    "Latin-1": _bytes(".txt", lambda text: text.encode("latin-1", "replace")),
    "UTF-16 without a mark": _bytes(".txt", lambda text: text.encode("utf-16-le")),
    "UTF-16 without a mark, big end first": _bytes(".txt", lambda text: text.encode("utf-16-be")),
    "UTF-16 with half a character": _bytes(".txt", lambda text: text.encode("utf-16")[:-1]),
    "UTF-8 with half a character": _bytes(".txt", lambda text: text[: text.index("\u00a0")].encode() + b"\xc2"),
    "UTF-8 of half a surrogate pair": _bytes(".txt", lambda text: (text + "\ud800").encode("utf-8", "surrogatepass")),
    "half a gzip file": _bytes(".txt.gz", lambda text: gzip.compress(text.encode())[:-12]),
    "gzip with another sum": _bytes(".txt.gz", lambda text: gzip.compress(text.encode())[:-8] + b"\0" * 8),
    "no gzip file": _bytes(".txt.gz", str.encode),
    "a pipe": _pipe,
    "a socket": _socket,
    "a folder": _folder,
    "a link to nothing": _link,
    "a link to itself": _loop,
    "a word processor's": _bytes(".docx", lambda text: b"PK\x03\x04" + text.encode()),
    "hidden": _hidden,
    "JSON": _bytes(".json", lambda text: json.dumps([{"text": text}]).encode()),
    "JSON lines, one cut short": _bytes(".jsonl", lambda text: _line(text, "short")[:-9]),
    "JSON lines without a text": _bytes(".jsonl", lambda text: b'{"text": 7}\n'),
    "JSON lines, a name there before": _bytes(".jsonl", lambda text: _line(text, "plain-0")),
}


def make_folder(folder: Path, good: int, broken: int) -> tuple[dict[str, str], dict[str, str]]:
    """Write notes to a folder, each way in turn; return the good ones' names > texts, and the broken ones' files > ways."""
    folder.mkdir(parents=True)
    ways = list(GOOD.items())
    notes: dict[str, str] = {}
    for i in range(good):
        way, write = ways[i % len(ways)]
        stem = f"{way.lower().replace(' ', '-').replace(',', '')}-{i // len(ways)}"
        name, text = write(folder, stem, clinical_text(200 + 7 * i)[-200:] + _TEXT)
        notes[name] = text
    bad: dict[str, str] = {}
    for i in range(broken):
        way, write = list(BROKEN.items())[i % len(BROKEN)]
        stem = f"x-broken-{i:02d}"  # read after the good ones, so that of two notes of a name it is the second
        write(folder, stem, clinical_text(200 + 7 * i)[-200:] + _TEXT)
        bad[stem] = way
    return notes, bad
