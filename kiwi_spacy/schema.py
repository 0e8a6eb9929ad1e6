"""Load and validate the schema: which entities and modifiers exist and which pairs may be linked."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from .errors import SchemaError

DEFAULT_PATH = Path(__file__).parent / "schema.yml"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+|(rgb|hsl)a?\([0-9a-z.,%/ ]+\)")  # it goes into HTML
ROLES = ("negated", "uncertain", "conditional", "somebody_else")


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
    return schema_from_dict(data, str(where))


class _Loader(yaml.SafeLoader):
    """A key that stands twice is an error; YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' stands twice", node.value[i][0].start_mark)
        return super().construct_mapping(node, deep)


def schema_from_dict(data: Any, source: str = "schema") -> Schema:
    """Return the schema of a parsed YAML file; `source` stands in error messages.

    RAISES (SchemaError): It contradicts itself; the message names file and label, and says what is allowed.
    """
    if not isinstance(data, dict) or not data.get("entities") or "modifiers" not in data:
        raise SchemaError(f"{source}: needs the keys 'entities' and 'modifiers', with at least one entity.")
    for key in ("entities", "modifiers"):
        if not isinstance(data[key] or {}, dict):
            raise SchemaError(f"{source}: '{key}' must map each label to its settings, such as 'problem: {{colour: red}}'.")
    entities = {name: _label(source, name, spec, None) for name, spec in data["entities"].items()}
    modifiers = {name: _label(source, name, spec, tuple(entities)) for name, spec in (data["modifiers"] or {}).items()}
    seen: dict[str, str] = {}
    for name in [*entities, *modifiers]:
        other = seen.setdefault(name.lower(), name)
        if name in entities and name in modifiers:
            raise SchemaError(f"{source}: {name}: both entity and modifier. Rename one of them.")
        if other != name:
            raise SchemaError(f"{source}: {other} and {name}: labels are compared without case. Rename one of them.")
    return Schema(str(data.get("name", "custom")), entities, modifiers, source)


def _label(source: str, name: Any, spec: Any, entities: tuple[str, ...] | None) -> Label:
    """Return a modifier's label, or an entity's where `entities` is None."""
    if not isinstance(name, str):
        raise SchemaError(f"{source}: YAML reads the label '{name}' as no text. Put it in quotes.")
    if not name or any(c.isspace() or c in ";:," for c in name):
        raise SchemaError(f"{source}: label '{name}' is empty or holds white space or one of ';:,'; brat cannot write it.")
    spec = {} if spec is None else spec
    if not isinstance(spec, dict):
        raise SchemaError(f"{source}: {name}: its settings must be keys and values, such as 'colour: \"#dddddd\"'.")
    allowed = ["definition", "colour", *(["modifies", "inside", "role"] if entities is not None else [])]
    unknown = [str(key) for key in spec if key not in allowed]
    if unknown:
        raise SchemaError(f"{source}: {name}: unknown key {', '.join(sorted(unknown))}; allowed are: {', '.join(allowed)}.")
    colour = spec.get("colour", "#dddddd")
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        raise SchemaError(f"{source}: {name}: its colour is no CSS colour. Write a name or \"#rrggbb\", in quotes.")
    if entities is None:
        return Label(name, str(spec.get("definition", "")), colour)
    modifies = spec.get("modifies") or []
    if not modifies or not isinstance(modifies, list):
        raise SchemaError(f"{source}: modifier '{name}' needs 'modifies', a list of: {', '.join(entities)}.")
    strange = [str(head) for head in modifies if head not in entities]
    if strange:
        raise SchemaError(f"{source}: {name} modifies {', '.join(sorted(strange))}; the entities are: {', '.join(entities)}.")
    inside = spec.get("inside", False)
    if not isinstance(inside, bool):
        raise SchemaError(f"{source}: {name}: 'inside' must be true or false.")
    role = spec.get("role")
    if role is not None and role not in ROLES:
        raise SchemaError(f"{source}: {name}: role '{role}' is none of: {', '.join(ROLES)}.")
    return Label(name, str(spec.get("definition", "")), colour, frozenset(modifies), inside, role)
