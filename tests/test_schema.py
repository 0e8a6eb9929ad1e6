"""A site's own schema: read as it stands, and every mistake in it named with its place."""

from pathlib import Path

import pytest

from kiwi_spacy.errors import SchemaError
from kiwi_spacy.schema import LONGEST, load_schema, schema_from_dict, schema_to_dict


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
        (b"entities: {a: }\nmodifiers:\nentity: {b: }", "unknown key entity; allowed are: name, version, entities, modifiers"),
        (b"entities: {a: }\nmodifiers:\nversion: 3.9", "version: must be a whole number"),
        (b"entities: {a: }\nmodifiers:\nversion: yes", "version: must be a whole number"),
        (b"entities: {a: }\nmodifiers:\nname: 3", "name: must be text"),
        (b"entities: {a: {definition: 3.9}}\nmodifiers:", "a: its definition must be text"),
        (b"entities: {2001-99-99: }\nmodifiers:", "not valid YAML: a value that it cannot read (ValueError)"),
        (b"entities: " + b"[" * 5000, "not valid YAML"),
        (b"entities: {? [a] : b}\nmodifiers:", "not valid YAML: found unhashable key"),
        (b"entities: {1.0: }\nmodifiers:", "YAML reads the label '1.0' as no text"),
        (b"entities: {null: }\nmodifiers:", "YAML reads the label 'None' as no text"),
        (b"entities: {a: }\nmodifiers: {b: {modifies: [a, a]}}", "b: 'modifies' names an entity twice"),
        (b"entities: {a: }\nmodifiers:\nattributes: {N: a}", "attributes: N: 'a' is neither a modifier nor null"),
        (b"entities: {a: }\nmodifiers:\nattributes: {yes: null}", "attributes: 'True' must be 'name' or 'name=value'"),
        (b"entities: {a: }\nmodifiers:\nattributes: {N: null, n: null}", "attributes: N and n: they are compared without case"),
        ("entities: {stra\u00dfe: , STRASSE: }\nmodifiers:".encode(), "labels are compared without case"),
        ("entities: {caf\u00e9: , cafe\u0301: }\nmodifiers:".encode(), "labels are compared without case"),
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


UNFIT = ["", " ", "a b", "a\tb", "a\nb", "a;b", "a:b", "a,b", 'a"b', "a'b", "a<b", "a>b", "a&b", "site/side", "a\\b", "a=b",
         "a\u00a0b", "a\u200bb", "a\x00b", "a\ud800b"]


@pytest.mark.parametrize("label", UNFIT, ids=ascii)
def test_a_label_that_some_format_or_answer_cannot_hold_is_refused(label: str) -> None:
    """Seen in 0.6.1: `site/side` lost its links in unlocked answers, and a quotation mark broke tags."""
    with pytest.raises(SchemaError, match="is empty or holds what a label may not"):
        schema_from_dict({"entities": {label: {}}, "modifiers": {}})
    with pytest.raises(SchemaError, match="is empty or holds what a label may not"):
        schema_from_dict({"entities": {"a": {}}, "modifiers": {label: {"modifies": ["a"]}}})


def test_a_label_is_as_long_as_allowed_and_no_longer() -> None:
    assert list(schema_from_dict({"entities": {"a" * LONGEST: {}}, "modifiers": {}}).entities) == ["a" * LONGEST]
    with pytest.raises(SchemaError, match=f"has {LONGEST + 1} characters; up to {LONGEST} are allowed"):
        schema_from_dict({"entities": {"a" * (LONGEST + 1): {}}, "modifiers": {}})


FIT = ["O", "B-a", "ICD-10", "Schwere_Größe", "薬", "1.0", "yes", "a.b", "a(b)", "%s", "{0}", "a|b", "a#b", "a*b", "a@b", "T1"]


@pytest.mark.parametrize("label", FIT)
def test_a_label_that_is_kept_aligns_in_an_unlocked_answer(label: str) -> None:
    """Quotation marks, slashes and brackets end a tag; nothing else does."""
    from kiwi_spacy.engines.llama.exchange import align

    schema = schema_from_dict({"entities": {"finding": {}}, "modifiers": {label: {"modifies": ["finding"]}}})
    answer = f'<span class="{label}">no</span> <span class="finding">fever</span><ref class="{label}"/>'
    found = align(answer, "no fever", schema)
    assert ([span[:3] for span in found.spans], found.links) == ([(0, 2, label), (3, 8, "finding")], ((1, 0, 1.0),))


def test_a_schema_becomes_plain_data_and_the_same_schema_again() -> None:
    data = {
        "name": "site",
        "entities": {"Befund": {"colour": "red", "definition": "x"}, "Arznei": {"colour": "#dddddd", "definition": ""}},
        "modifiers": {
            "kein": {"colour": "#dddddd", "definition": "", "modifies": ["Befund", "Arznei"], "inside": True, "role": "negated"}
        },
        "attributes": {"Negation": "kein", "Negation=nein": None},
    }
    schema = schema_from_dict(data)
    assert schema_to_dict(schema) == data
    assert schema_from_dict(schema_to_dict(schema)) == schema


@pytest.mark.parametrize(
    "name, value, says",
    [("negation", None, "kein"), ("NEGATION", "ja", "kein"), ("Negation", "nein", ""), ("Negation", "3", None),
     ("Other", None, None)],
)
def test_an_attribute_says_a_modifier_nothing_or_is_unknown(name: str, value: str | None, says: str | None) -> None:
    table = {"Negation": "kein", "Negation=ja": "kein", "Negation=nein": None}
    schema = schema_from_dict({"entities": {"a": {}}, "modifiers": {"kein": {"modifies": ["a"]}}, "attributes": table})
    assert schema.attribute(name, value) == says
