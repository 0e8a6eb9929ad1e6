"""The hand-written expressions: at least 95% right, no wrong unit, no wrong value, the rest left as words."""

from collections import Counter

import pytest

from .expressions import FOLDER, read, read_expressions, units

TABLES = sorted(FOLDER.glob("expressions-*.tsv"))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_of_the_expressions_95_percent_are_right_and_none_has_a_wrong_unit(table):
    counts, wrong, wrong_units = Counter(), [], []
    for expression in read_expressions(table):
        found = read(expression)
        outcome = "right" if found == expression.expected else "left as words" if found is None else "wrong"
        counts[expression.kind, outcome] += 1
        if outcome == "wrong":
            wrong.append(expression.place)
            if units(found) != units(expression.expected):
                wrong_units.append(expression.place)
    for kind in sorted({kind for kind, _ in counts}):
        print(kind, {outcome: counts[kind, outcome] for outcome in ("right", "wrong", "left as words")})
    right = sum(number for (_, outcome), number in counts.items() if outcome == "right")
    assert wrong_units == []
    assert wrong == []
    assert right / counts.total() >= 0.95


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_table_covers_every_kind(table):
    assert {expression.kind for expression in read_expressions(table)} == {
        "result", "reference", "strength", "dose", "form", "route", "frequency", "duration", "daily", "steps", "time",
    }  # fmt: skip
