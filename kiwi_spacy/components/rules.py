"""Read files of rules in YAML: the packaged one, and a site's additions to it."""

from pathlib import Path
from typing import Any

import yaml

from ..errors import RulesError


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
