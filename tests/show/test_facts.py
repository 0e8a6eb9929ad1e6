"""Facts as lists of problems, medications and results."""

import pytest

from kiwi_spacy.components.values import parse_frequency, parse_result
from kiwi_spacy.contract.facts import Attribute, Code, Fact, FactSection
from kiwi_spacy.contract.status import Status
from kiwi_spacy.show import fact_tables, medication_list, problem_list, result_table


def attribute(label: str, text: str, value: dict[str, object] | None = None) -> Attribute:
    return Attribute(label, text, 0, len(text), value=value)


GOUT = Fact(
    "problem", "acute\n gout", 0, 11, 0.9, Status(experiencer="family", relative="father", summary="family"),
    FactSection("family_history", "FH", "10157-6"), {"bodyloc": (attribute("bodyloc", "left toe"),)},
    (Code("http://hl7.org/fhir/sid/icd-10-cm", "M10.9", "Gout, unspecified"),),
)
LASIX = Fact(
    "drug", "Lasix", 0, 5, None, Status(use="taking", summary="taking"), None, {
        "strength": (attribute("strength", "20 mg"),),
        "frequency": (
            attribute("frequency", "b.i.d.", {"frequency": 2, "period": 1, "periodUnit": "d"}), attribute("frequency", "ac"),
        ),
    },
)
POTASSIUM = Fact(
    "test", "K", 0, 1, None, Status(), None, {
        "labvalue": (
            attribute("labvalue", "< 3.1 mmol/L", {
                "type": "quantity", "comparator": "<", "value": 3.1, "unit": "mmol/L", "interpretation": "L",
            }),
            attribute("labvalue", "hemolyzed"),
        ),
        "reference_range": (attribute("reference_range", "3.5-5.1"),),
    },
)
ULTRASOUND = Fact("test", "ultrasound", 0, 10, None, Status())


def test_each_fact_stands_in_the_list_of_its_type() -> None:
    facts = [GOUT, LASIX, POTASSIUM, ULTRASOUND]
    assert problem_list(facts) == [("acute gout", "family (father)", "FH", "left toe", "M10.9")]
    assert medication_list(facts) == [("Lasix", "taking", "20 mg", "", "", "", "b.i.d. = 2 per 1 d; ac", "", "")]
    assert result_table(facts) == [("K", "<3.1 mmol/L", "L", "3.5-5.1", "", ""), ("K", "hemolyzed", "", "3.5-5.1", "", "")]


def test_tables_name_their_columns_and_say_when_nothing_was_found() -> None:
    assert fact_tables([GOUT]) == (
        "Problems\n\n"
        "problem     status           section  where and how  codes\n"
        "acute gout  family (father)  FH       left toe       M10.9\n\n"
        "Medications\n\nnone found\n\nResults\n\nnone found"
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("88-92%", "88-92 %"), ("110s", "about 110-119"), ("about 40 mg/dL", "about 40 mg/dL"), ("<3.1 mmol/L", "<3.1 mmol/L"),
        ("142/70", "142/70"),
    ],
    ids=["range", "decade", "about", "limit", "ratio"],
)
def test_result_shows_both_ends_of_a_range_and_that_it_is_about(words: str, shown: str) -> None:
    """The table showed the lower end alone: a saturation of 88-92% was 88 %."""
    value = parse_result(words)
    assert value is not None
    fact = Fact("test", "K", 0, 1, None, Status(), None, {"labvalue": (attribute("labvalue", words, value.to_dict()),)})
    assert [row[1] for row in result_table([fact])] == [shown]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("q4-6h prn pain", "q4-6h prn pain = 1 per 4-6 h, as needed for pain"),
        ("1-2 times a day", "1-2 times a day = 1-2 per 1 d"),
        ("t.i.d. p.r.n.", "t.i.d. p.r.n. = 3 per 1 d, as needed"),
        ("q6h x 3 doses", "q6h x 3 doses = 1 per 6 h, 3 in all"),
        ("once", "once"),
    ],
    ids=["range of hours", "range of times", "as needed", "count", "words alone"],
)
def test_frequency_shows_both_ends_of_a_range_the_count_and_as_needed(words: str, shown: str) -> None:
    """The table showed the highest rate alone: "q4-6h prn pain" was 1 per 4 h."""
    value = parse_frequency(words)
    assert value is not None
    fact = Fact("drug", "Lasix", 0, 5, None, Status(), None, {"frequency": (attribute("frequency", words, value.to_dict()),)})
    assert [row[6] for row in medication_list([fact])] == [shown]
