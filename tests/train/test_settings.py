"""`[tuning]` is checked before anything is read: the key, what was found, what is allowed."""

import pytest

from kiwi_spacy.engines.llama.settings import Settings, read_settings
from kiwi_spacy.errors import TrainingError


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("rate", "fast", "a number from 0"), ("epochs", -1, "a number from 0"), ("epochs", float("nan"), "a number from 0"),
        ("rank", 3.5, "a whole number from 1"), ("rank", True, "a whole number from 1"), ("dropout", 1, "below 1"),
        ("warmup", None, "a part of the steps"), ("own_tags", 1, "true or false"), ("quantize", "int4", 'null or "nf4"'),
    ],
)
def test_a_value_that_cannot_be_is_refused(key: str, value: object, allowed: str) -> None:
    with pytest.raises(TrainingError) as caught:
        read_settings({key: value})
    assert f"[tuning] {key} is {value!r}; it must be" in str(caught.value) and allowed in str(caught.value)


def test_an_unknown_key_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match="unknown key speed; known are: epochs, rank"):
        read_settings({"speed": 3})


def test_whole_numbers_stand_for_numbers() -> None:
    assert read_settings({"epochs": 2, "save_every": 60}) == Settings(epochs=2, save_every=60)
