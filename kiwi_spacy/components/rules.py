"""Rules in YAML: reading the packaged file and a site's additions, and components that work by them."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import srsly
import yaml

from ..errors import RulesError

R = TypeVar("R")


def read_rules(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file of rules holds.

    RAISES (RulesError): The file is missing, is no UTF-8 or no YAML, or holds no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RulesError(f"No rules can be read at '{path}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RulesError(f"{path}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    except yaml.YAMLError as error:  # its own text quotes the file, which might be a note given by mistake
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RulesError(f"{path}{place}: not valid YAML.") from None
    if not isinstance(data, dict):
        raise RulesError(f"{path}: must be a mapping of keys to rules, as the packaged file is.")
    return data


def word_list(where: str, words: Any) -> list[str]:
    """Return a list of terms as it stands in a file of rules.

    YAML reads bare `on` and `no` as truth values: such a word must stand in quotes.

    RAISES (RulesError): No list, or an item that is no text.

    >>> word_list("cues.yml: denial", ["denies", "no"])
    ['denies', 'no']
    """
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise RulesError(f"{where}: must be a list of words; put words such as on, off, yes and no in quotes.")
    return list(words)


class RuleFile(Generic[R]):
    """A packaged file of rules, to which a site's file may add.

    path (Path): The packaged file. join (Callable): (its content, what a site adds, the site's file for errors) > both as one.
    parse (Callable): (content, file for errors) > the rules. Both raise RulesError.
    """

    def __init__(
        self, path: Path, join: Callable[[dict[str, Any], Mapping[str, Any], str], dict[str, Any]],
        parse: Callable[[Mapping[str, Any], str], R],
    ) -> None:
        self.path, self._join, self._parse = path, join, parse
        self.load = lru_cache(maxsize=16)(self._load)

    def _load(self, path: str | None = None) -> R:
        """Return the packaged rules, with those of a site's file added.

        RAISES (RulesError): The file cannot be read or contradicts itself; the message names the place.
        """
        return self._parse(read_rules(self.path), str(self.path)) if path is None else self.extended(read_rules(Path(path)), path)

    def extended(self, added: Mapping[str, Any], source: str) -> R:
        """Return the packaged rules with the content of a site's file added; `source` stands in error messages.

        RAISES (RulesError): It contradicts itself.
        """
        return self._parse(self._join(read_rules(self.path), added, source), source)


class RuleComponent(Generic[R]):
    """A component that works by the packaged rules of its `file` with a site's added.

    What the site added travels with the pipeline, so that its file need not; the packaged rules do not, so that a newer version
    of this package brings its own.
    """

    file: ClassVar[RuleFile[Any]]

    def __init__(self, name: str, path: str | None = None) -> None:
        """Take the site's file at `path`, if there is one; of a saved pipeline it may be gone, as its content comes later."""
        self.name = name
        self._path = path
        self._added: dict[str, Any] | None = None
        self._rules: R | None = None
        if path is None or Path(path).exists():
            self._take(read_rules(Path(path)) if path is not None else None, str(path))

    def _take(self, added: dict[str, Any] | None, source: str) -> None:
        self._rules = self.file.load() if added is None else self.file.extended(added, source)
        self._added = added

    @property
    def rules(self) -> R:
        """The rules in use.

        RAISES (RulesError): The site's file is missing and no saved content of it was loaded.
        """
        if self._rules is None:
            self._take(read_rules(Path(str(self._path))), str(self._path))
        assert self._rules is not None
        return self._rules

    def _saved(self) -> dict[str, Any]:
        assert self.rules is not None  # a missing file is told of here, not when the pipeline is loaded elsewhere
        return {"added": self._added}

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return what the site added, as bytes."""
        return bytes(srsly.msgpack_dumps(self._saved()))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "RuleComponent[R]":
        """Take what `to_bytes` gave."""
        self._take(srsly.msgpack_loads(data)["added"], f"pipeline component '{self.name}'")
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write what the site added to a folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        srsly.write_json(folder / "added.json", self._saved())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "RuleComponent[R]":
        """Take what a folder holds that `to_disk` wrote."""
        self._take(srsly.read_json(Path(path) / "added.json")["added"], f"pipeline component '{self.name}'")
        return self
