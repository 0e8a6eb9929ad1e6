"""Runs that write bundles of FHIR: a file a note, whose patient comes from a column, and that go on where they stopped."""

import csv
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language

from kiwi_spacy.errors import KiwiError, OutputError
from kiwi_spacy.formats.fhir import FhirOptions
from kiwi_spacy.formats.records import Columns
from kiwi_spacy.run.extract import Summary, extract

OPTIONS = FhirOptions(recorded="2026-11-27T05:00:00Z")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes" / "ward").mkdir(parents=True)
    for name, text in (("a", "denies fever"), ("b", "aspirin 5 mg daily"), ("ward/a", "nothing here")):
        (tmp_path / "notes" / f"{name}.txt").write_text(text)
    return tmp_path / "notes"


@pytest.fixture
def table(tmp_path: Path) -> str:
    with (tmp_path / "n.csv").open("w", newline="") as file:
        rows = [("id", "text", "mrn", "ward"), ("1", "denies fever", "Patient/17", "b"), ("2", "cough", "", "c")]
        csv.writer(file).writerows(rows)
    return str(tmp_path / "n.csv")


def resources(path: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(path.read_text())["entry"]]


def whole(output: Path) -> dict[str, bytes]:
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in sorted(output.rglob("*")) if p.is_file()}


def test_a_bundle_is_written_of_each_note_and_a_second_run_changes_nothing(nlp: Language, notes: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert extract([str(notes)], nlp, output, "fhir") == Summary(done=3)
    assert sorted(name for name in whole(output) if name.endswith(".json")) == ["a.json", "b.json", "ward/a.json"]
    document, condition, provenance = resources(output / "a.json")
    assert (condition["resourceType"], document["identifier"]) == ("Condition", [{"value": "a"}])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", provenance["recorded"])
    before = whole(output)
    assert extract([str(notes)], nlp, output, "fhir") == Summary(kept=3)
    assert whole(output) == before


def test_the_file_is_valid_r4(nlp: Language, notes: Path, tmp_path: Path) -> None:
    pytest.importorskip("fhirclient", reason="fhirclient is not installed")
    from tests.formats.fhir.invariants import broken

    extract([str(notes)], nlp, tmp_path / "out", "fhir", facts=True)
    assert [broken(json.loads(path.read_text())) for path in (tmp_path / "out").rglob("*.json")] == [[], [], []]


@pytest.mark.parametrize("call", [1, 3, 5, 7, 9, 12])
def test_a_killed_run_ends_with_the_bundles_of_one_that_was_not(nlp: Language, notes: Path, tmp_path: Path, call: int) -> None:
    child = os.fork()
    if child == 0:
        left = [call]

        def strike(real: Any, *args: Any, **named: Any) -> Any:
            left[0] -= 1
            return os._exit(9) if left[0] == 0 else real(*args, **named)

        for name in ("replace", "rename", "fsync", "unlink"):
            setattr(os, name, partial(strike, getattr(os, name)))
        extract([str(notes)], nlp, tmp_path / "out", "fhir", batch_size=2, fhir=OPTIONS)
        os._exit(0)
    os.waitpid(child, 0)
    extract([str(notes)], nlp, tmp_path / "out", "fhir", fhir=OPTIONS)
    extract([str(notes)], nlp, tmp_path / "fresh", "fhir", fhir=OPTIONS)
    assert whole(tmp_path / "out") == whole(tmp_path / "fresh")


def test_the_patient_comes_from_a_column_and_a_note_without_one_is_named(nlp: Language, table: str, tmp_path: Path) -> None:
    summary = extract([table], nlp, tmp_path / "out", "fhir", fhir=FhirOptions(patient_column="mrn"))
    assert summary.done == 1 and [name for name, _ in summary.failed] == ["2"]
    assert "no patient in the column 'mrn'" in summary.failed[0][1]
    assert resources(tmp_path / "out" / "1.json")[1]["subject"] == {"reference": "Patient/17"}


def test_the_column_of_the_patient_is_carried_beside_those_that_are_named(nlp: Language, table: str, tmp_path: Path) -> None:
    columns = Columns(carry=("ward",))
    assert extract([table], nlp, tmp_path / "out", "fhir", columns=columns, fhir=FhirOptions(patient_column="mrn")).done == 1


def test_another_patient_is_another_run(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "out", "fhir")
    with pytest.raises(OutputError, match=r"fhir: \{\} > \{'patient': 'Patient/1'\}"):
        extract([str(notes)], nlp, tmp_path / "out", "fhir", fhir=FhirOptions(patient="Patient/1"))
    assert extract([str(notes)], nlp, tmp_path / "out", "fhir", fhir=FhirOptions(patient="Patient/1"), redo="changed").done == 3


def test_options_of_fhir_are_refused_with_another_format(nlp: Language, notes: Path, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="the format is csv"):
        extract([str(notes)], nlp, tmp_path / "out", "csv", fhir=FhirOptions(text="yes"))
