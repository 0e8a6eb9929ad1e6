"""Load and validate the schema: which entities and modifiers exist and which pairs may be linked."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from .errors import SchemaError

DEFAULT_PATH = Path(__file__).parent / "schema.yml"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+|(rgb|hsl)a?\([0-9a-z.,%/ ]+\)")  # it goes into HTML
ROLES = ("negated", "uncertain", "conditional", "somebody_else")
LONGEST = 64  # characters of a label: it stands in every tag of an answer, every line of brat, every row of a table
# What a label may not hold, and who could not read it: brat divides its lines at ; : and , and ids, tags of answers and XML
# at the others; an unlocked answer's <ref class="site/side"/> loses its link.
_UNFIT = frozenset(";:,\"'<>&/\\=")
_KEYS = ("name", "version", "entities", "modifiers", "attributes")


@dataclass(frozen=True)
class Label:
    """One label. `modifies`, `inside` and `role` are used by modifiers alone."""

    name: str
    definition: str
    colour: str
    modifies: frozenset[str] = frozenset()
    inside: bool = False
    role: str | None = None


@dataclass(frozen=True)
class Schema:
    """Entities and modifiers, in the order of the file."""

    name: str
    entities: dict[str, Label]
    modifiers: dict[str, Label]
    source: str = field(compare=False)
    attributes: dict[str, str | None] = field(default_factory=dict)  # name or name=value, of other annotation tools > modifier

    def allows(self, head: str, modifier: str) -> bool:
        """Whether `modifier` may modify an entity of type `head`; false for unknown labels.

        >>> load_schema().allows("drug", "strength"), load_schema().allows("test", "strength")
        (True, False)
        """
        label = self.modifiers.get(modifier)
        return label is not None and head in label.modifies

    def allowed(self, head: str) -> list[str]:
        """The modifiers that an entity of type `head` takes, in the order of the file."""
        return [name for name in self.modifiers if self.allows(head, name)]

    def role_labels(self, role: str) -> frozenset[str]:
        """The modifiers that play `role`, one of `ROLES`."""
        return frozenset(name for name, label in self.modifiers.items() if label.role == role)

    def attribute(self, name: str, value: str | None = None) -> str | None:
        """The modifier that an attribute of an annotation tool says; "" where it says nothing, None where the table lacks it.

        With a value it is looked up as name=value alone: "Negation" must not speak for "Negation=false".

        >>> schema = load_schema()
        >>> schema.attribute("Negation"), schema.attribute("Negation", "no"), schema.attribute("Negation", "maybe")
        ('negation', '', None)
        """
        wanted = (name if value is None else f"{name}={value}").lower()
        return next((label or "" for key, label in self.attributes.items() if key.lower() == wanted), None)

    @property
    def colours(self) -> dict[str, str]:
        """{label: CSS colour} of entities and modifiers."""
        return {name: label.colour for name, label in (self.entities | self.modifiers).items()}


@lru_cache(maxsize=16)
def load_schema(path: str | None = None) -> Schema:
    """Return the schema of a YAML file, the packaged one by default.

    path (str | None): A file of the form of `kiwi_spacy/schema.yml`.
    RAISES (SchemaError): The file is missing or contradicts itself; the message names the place.
    """
    where = Path(path) if path else DEFAULT_PATH
    try:
        data = yaml.load(where.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise SchemaError(f"No schema can be read at '{where}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(f"{where}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    except yaml.YAMLError as error:  # its own text quotes the file, which might be a note given by mistake
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SchemaError(f"{where}{place}: not valid YAML: {problem or 'a character that it does not allow'}.") from None
    except (ValueError, RecursionError) as error:  # such as a date that there is none of, or brackets without end
        raise SchemaError(f"{where}: not valid YAML: a value that it cannot read ({type(error).__name__}).") from None
    return schema_from_dict(data, str(where))


class _Loader(yaml.SafeLoader):
    """A key that stands twice is an error; YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' stands twice", node.value[i][0].start_mark)
        return super().construct_mapping(node, deep)


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Return a schema as plain data, in the form of its YAML file; `schema_from_dict` gives the same schema again.

    >>> schema_from_dict(schema_to_dict(load_schema())) == load_schema()
    True
    """
    data: dict[str, Any] = {"name": schema.name, "entities": {}, "modifiers": {}}
    for name, label in schema.entities.items():
        data["entities"][name] = {"colour": label.colour, "definition": label.definition}
    for name, label in schema.modifiers.items():
        entry: dict[str, Any] = {"colour": label.colour, "definition": label.definition}
        entry["modifies"] = [head for head in schema.entities if head in label.modifies]
        entry["inside"] = label.inside
        if label.role is not None:
            entry["role"] = label.role
        data["modifiers"][name] = entry
    if schema.attributes:
        data["attributes"] = dict(schema.attributes)
    return data


def schema_from_dict(data: Any, source: str = "schema") -> Schema:
    """Return the schema of a parsed YAML file; `source` stands in error messages.

    RAISES (SchemaError): It contradicts itself; the message names file and label, and says what is allowed.
    """
    if not isinstance(data, dict) or not data.get("entities") or "modifiers" not in data:
        raise SchemaError(f"{source}: needs the keys 'entities' and 'modifiers', with at least one entity.")
    _refuse_unknown(source, data, _KEYS)
    for key in ("entities", "modifiers", "attributes"):
        if not isinstance(data.get(key) or {}, dict):
            raise SchemaError(f"{source}: '{key}' must map each label to its settings, such as 'problem: {{colour: red}}'.")
    title, version = data.get("name", "custom"), data.get("version", 1)
    if not isinstance(title, str) or not title:
        raise SchemaError(f"{source}: name: must be text, such as 'name: cardiology'. Put it in quotes.")
    if isinstance(version, bool) or not isinstance(version, int | str):
        raise SchemaError(f"{source}: version: must be a whole number, or text in quotes.")
    entities = {name: _label(source, name, spec, None) for name, spec in data["entities"].items()}
    modifiers = {name: _label(source, name, spec, tuple(entities)) for name, spec in (data["modifiers"] or {}).items()}
    seen: dict[str, str] = {}
    for name in [*entities, *modifiers]:
        other = seen.setdefault(_compared(name), name)
        if name in entities and name in modifiers:
            raise SchemaError(f"{source}: {name}: both entity and modifier. Rename one of them.")
        if other != name:
            raise SchemaError(f"{source}: {other} and {name}: labels are compared without case. Rename one of them.")
    attributes = _attributes(source, data.get("attributes") or {}, modifiers)
    return Schema(title, entities, modifiers, source, attributes)


def _refuse_unknown(place: str, found: Mapping[Any, Any], allowed: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in found if key not in allowed)
    if unknown:
        raise SchemaError(f"{place}: unknown key {', '.join(unknown)}; allowed are: {', '.join(allowed)}.")


def _compared(name: str) -> str:
    """Return a label as two labels are compared: without case, and one character written in two ways is one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_name(source: str, name: Any) -> None:
    """RAISES (SchemaError): What YAML read cannot be a label in every place where labels stand."""
    if not isinstance(name, str):
        raise SchemaError(f"{source}: YAML reads the label '{name}' as no text. Put it in quotes.")
    shown = name if len(name) <= LONGEST else name[:LONGEST] + "…"
    if len(name) > LONGEST:
        raise SchemaError(f"{source}: label '{shown}' has {len(name)} characters; up to {LONGEST} are allowed. Shorten it.")
    # Categories: Z, white space; C, control characters, half surrogate pairs, and what is invisible.
    unfit = sorted({c for c in name if c in _UNFIT or c.isspace() or unicodedata.category(c)[0] in "ZC"})
    if not name or unfit:
        found = " ".join(c if c in _UNFIT else f"U+{ord(c):04X}" for c in unfit)
        raise SchemaError(
            f"{source}: label {name!a} is empty or holds what a label may not ({found}): white space, what cannot be seen, "
            f"and any of {' '.join(sorted(_UNFIT))} break brat's lines or the tags of answers. "
            "Write '_' or '-' in its place."
        )


def _attributes(source: str, table: dict[Any, Any], modifiers: Mapping[str, Label]) -> dict[str, str | None]:
    """Return the table of attributes, checked."""
    seen: dict[str, str] = {}
    for key, label in table.items():
        if not isinstance(key, str) or not re.fullmatch(r"[^\s=]+(=[^\s=]+)?", key):
            raise SchemaError(f"{source}: attributes: '{key}' must be 'name' or 'name=value', without white space, as text.")
        if label is not None and (not isinstance(label, str) or label not in modifiers):
            known = ", ".join(modifiers)
            raise SchemaError(f"{source}: attributes: {key}: '{label}' is neither a modifier nor null; modifiers are: {known}.")
        other = seen.setdefault(key.lower(), key)
        if other != key:
            raise SchemaError(f"{source}: attributes: {other} and {key}: they are compared without case. Leave one out.")
    return dict(table)


def _label(source: str, name: Any, spec: Any, entities: tuple[str, ...] | None) -> Label:
    """Return a modifier's label, or an entity's where `entities` is None."""
    _check_name(source, name)
    spec = {} if spec is None else spec
    if not isinstance(spec, dict):
        raise SchemaError(f"{source}: {name}: its settings must be keys and values, such as 'colour: \"#dddddd\"'.")
    allowed = ("definition", "colour", *(("modifies", "inside", "role") if entities is not None else ()))
    _refuse_unknown(f"{source}: {name}", spec, allowed)
    definition, colour = spec.get("definition", ""), spec.get("colour", "#dddddd")
    if not isinstance(definition, str):
        raise SchemaError(f"{source}: {name}: its definition must be text. Put it in quotes.")
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        raise SchemaError(f"{source}: {name}: its colour is no CSS colour. Write a name or \"#rrggbb\", in quotes.")
    if entities is None:
        return Label(name, definition, colour)
    modifies = spec.get("modifies") or []
    if not modifies or not isinstance(modifies, list):
        raise SchemaError(f"{source}: modifier '{name}' needs 'modifies', a list of: {', '.join(entities)}.")
    strange = [str(head) for head in modifies if head not in entities]
    if strange:
        raise SchemaError(f"{source}: {name} modifies {', '.join(sorted(strange))}; the entities are: {', '.join(entities)}.")
    if len(set(modifies)) < len(modifies):
        raise SchemaError(f"{source}: {name}: 'modifies' names an entity twice. Leave one out.")
    inside = spec.get("inside", False)
    if not isinstance(inside, bool):
        raise SchemaError(f"{source}: {name}: 'inside' must be true or false.")
    role = spec.get("role")
    if role is not None and role not in ROLES:
        raise SchemaError(f"{source}: {name}: role '{role}' is none of: {', '.join(ROLES)}.")
    return Label(name, definition, colour, frozenset(modifies), inside, role)
