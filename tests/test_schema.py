"""A site's own schema: read as it stands, and every mistake in it named with its place."""

from pathlib import Path

import pytest

from kiwi_spacy.errors import SchemaError
from kiwi_spacy.schema import load_schema


def test_load_schema_of_a_site(tmp_path: Path) -> None:
    text = "\ufeffentities: {Befund: {colour: red}}\nmodifiers: {Ort: {modifies: [Befund], inside: true, role: negated}}"
    (tmp_path / "site.yml").write_text(text, encoding="utf-8")
    schema = load_schema(str(tmp_path / "site.yml"))
    assert (schema.allowed("Befund"), schema.role_labels("negated"), schema.colours["Befund"]) == (["Ort"], {"Ort"}, "red")


@pytest.mark.parametrize(
    "text, said",
    [
        (b"entities: {a: }\nmodifiers: {b: {modifies: \xff}}", "not UTF-8 at byte 42"),
        (b"entities: [", "line 1, column 12: not valid YAML"),
        (b"entities: {a: }\n\x00", "a character that it does not allow"),
        (b"entities:\n  a:\n  a:\nmodifiers:", "line 3, column 3: not valid YAML: 'a' stands twice"),
        (b"", "needs the keys 'entities' and 'modifiers'"),
        (b"entities: [a]\nmodifiers:", "'entities' must map each label"),
        (b"entities: {a: red}\nmodifiers:", "a: its settings must be keys and values"),
        (b"entities: {a: {color: red}}\nmodifiers:", "a: unknown key color; allowed are: definition, colour"),
        (b"entities: {a: {colour: 'red;x'}}\nmodifiers:", "a: its colour is no CSS colour"),
        (b"entities: {no: }\nmodifiers:", "YAML reads the label 'False' as no text. Put it in quotes"),
        (b"entities: {a b: }\nmodifiers:", "label 'a b' is empty or holds white space"),
        (b"entities: {a: , A: }\nmodifiers:", "a and A: labels are compared without case"),
        (b"entities: {a: }\nmodifiers: {a: {modifies: [a]}}", "a: both entity and modifier"),
        (b"entities: {a: }\nmodifiers: {b: {modifies: a}}", "modifier 'b' needs 'modifies', a list of: a"),
        (b"entities: {a: }\nmodifiers: {b: {modifies: [{c: d}]}}", "b modifies {'c': 'd'}; the entities are: a"),
        (b"entities: {a: }\nmodifiers: {b: {modifies: [a], inside: 'no'}}", "b: 'inside' must be true or false"),
        (b"entities: {a: }\nmodifiers: {b: {modifies: [a], role: neg}}", "b: role 'neg' is none of: negated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_load_schema_names_the_place_and_the_mend(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "site.yml").write_bytes(text)
    with pytest.raises(SchemaError) as caught:
        load_schema(str(tmp_path / "site.yml"))
    assert "site.yml" in str(caught.value)
    assert said in str(caught.value)


def test_load_schema_quotes_nothing_of_a_note_given_by_mistake(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("SECRET: [fever")
    with pytest.raises(SchemaError) as caught:
        load_schema(str(tmp_path / "note.txt"))
    assert "SECRET" not in str(caught.value) and "fever" not in str(caught.value)
