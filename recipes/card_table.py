"""Print a model card's tables from what `kiwi evaluate --output` wrote: `python recipes/card_table.py NAME=SCORES.json ...`."""

import json
import sys
from pathlib import Path
from typing import Any

from kiwi_spacy.schema import load_schema


def _cell(row: dict[str, Any] | None, rule: str) -> str:
    return f"{row[rule]['f']:.3f}" if row and row["gold"] else ""


def main(named: dict[str, Path]) -> None:
    """Print F1 of each task, and of each label, exact and relaxed."""
    scores = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in named.items()}
    first = next(iter(scores.values()))
    tasks = [task for task in ("entities", "modifiers", "relations", "relations_given_gold") if task in first]
    print("| | " + " | ".join(f"{task.replace('_', ' ')} exact | relaxed" for task in tasks) + " |")
    print("| --- |" + " --- | --- |" * len(tasks))
    for name, found in scores.items():
        cells = [_cell(found.get(task, {}).get("all"), rule) for task in tasks for rule in ("exact", "relaxed")]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| label | " + " | ".join(f"{name} exact | relaxed | gold" for name in scores) + " |")
    print("| --- |" + " --- | --- | --- |" * len(scores))
    schema = load_schema()
    for label in [*schema.entities, *schema.modifiers]:
        rows = [found["entities" if label in schema.entities else "modifiers"]["labels"].get(label) for found in scores.values()]
        cells = [f"{_cell(row, 'exact')} | {_cell(row, 'relaxed')} | {row['gold'] if row else 0}" for row in rows]
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    pairs = [argument.partition("=") for argument in sys.argv[1:]]
    if not pairs or not all(name and path for name, _, path in pairs):
        sys.exit(__doc__)
    main({name: Path(path) for name, _, path in pairs})
