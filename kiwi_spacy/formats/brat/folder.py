"""Folders of NAME.txt and NAME.ann."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import FormatError
from ...schema import Schema
from ..failure import Failure
from ..label_map import LabelMap
from .note import BOM, BratNote
from .resolve import parse_ann


class _Unreadable(FormatError):
    """A file that is not UTF-8 or cannot be opened."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}, line {line}: {what}" if line else f"{file}: {what}")
        self.file, self.line = file, line


def read_text(path: Path) -> str:
    """Return a note exactly as stored: no line end translated, no mark removed.

    RAISES (UnicodeDecodeError): The file is not UTF-8.
    """
    return path.read_bytes().decode("utf-8")


def read_folder(
    folder: Path, text_dir: Path | None = None, *, schema: Schema | None = None, recursive: bool = True,
    label_map: LabelMap | None = None,
) -> Iterator[BratNote | Failure]:
    """Yield the notes of a folder, in the order of their names; a bad file becomes a `Failure`.

    text_dir (Path | None): Where the texts are, when the annotations came without them; every
        span's words are then checked against the note.
    label_map (LabelMap | None): Of annotations under another scheme.
    RAISES (FormatError): A folder is missing, or holds no note.
    """
    for place in (folder, text_dir or folder):
        if not place.is_dir():
            raise FormatError(f"'{place}' is no folder. Name the folder that holds the files.")
    pattern = "**/*" if recursive else "*"
    anns = {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.glob(pattern + ".ann")}
    texts_root = text_dir or folder
    texts = {p.relative_to(texts_root).with_suffix("").as_posix(): p for p in texts_root.glob(pattern + ".txt")}
    names = sorted(set(anns) | (set() if text_dir else set(texts)))
    if not names:
        raise FormatError(f"'{folder}' holds no .ann file.")
    for name in names:
        if name not in texts:
            reason = f"{name}.ann: no {name}.txt in {texts_root}. Add it, or name --text-dir."
            yield Failure(name, reason, "no-text", f"{name}.ann")
        elif name not in anns:
            reason = f"{name}.txt: no {name}.ann beside it. Add one, empty if nothing is there."
            yield Failure(name, reason, "no-annotations", f"{name}.txt")
        else:
            try:
                yield read_note(texts[name], anns[name], schema=schema, name=name, label_map=label_map)
            except _Unreadable as error:
                yield Failure(name, str(error), "unreadable-file", error.file, error.line)


def read_note(
    text_path: Path, ann_path: Path, *, schema: Schema | None = None, name: str | None = None,
    label_map: LabelMap | None = None,
) -> BratNote:
    """Read one note and report, with file and line, whatever does not fit note or schema.

    RAISES (FormatError): A file cannot be read, or is not UTF-8; the message names file and line.
    """
    name = name or ann_path.stem
    text, ann = (_read(path, f"{name}{path.suffix}") for path in (text_path, ann_path))
    return parse_ann(name, text, ann.removeprefix(BOM), schema=schema, label_map=label_map)


def _read(path: Path, file: str) -> str:
    try:
        return read_text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _Unreadable(file, line, f"not UTF-8 at byte {error.start} of the file. Convert it to UTF-8.") from None
    except OSError as error:
        raise _Unreadable(file, 0, f"{error.strerror}.") from None


def report_lines(items: Iterable[BratNote | Failure]) -> list[str]:
    """Return all that was reported, in order."""
    return [line for item in items for line in ([item.reason] if isinstance(item, Failure) else item.problems)]
