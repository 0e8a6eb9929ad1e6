"""Load and validate the schema: which entities and modifiers exist and which pairs may be linked."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from .errors import SchemaError

DEFAULT_PATH = Path(__file__).parent / "schema.yml"
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
        data = yaml.safe_load(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise SchemaError(f"No schema can be read at '{where}': {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise SchemaError(f"{where} is not valid YAML: {error}") from error
    return schema_from_dict(data, str(where))


def schema_from_dict(data: Any, source: str = "schema") -> Schema:
    """Return the schema of a parsed YAML file; `source` stands in error messages."""
    if not isinstance(data, dict) or not data.get("entities") or "modifiers" not in data:
        raise SchemaError(f"{source}: needs the keys 'entities' and 'modifiers', with at least one entity.")
    entities = {str(name): _label(source, str(name), spec, ()) for name, spec in data["entities"].items()}
    modifiers = {
        str(name): _label(source, str(name), spec, tuple(entities))
        for name, spec in (data["modifiers"] or {}).items()
    }
    both = sorted(set(entities) & set(modifiers))
    if both:
        raise SchemaError(f"{source}: {', '.join(both)}: both entity and modifier. Rename one of them.")
    return Schema(str(data.get("name", "custom")), entities, modifiers, source)


def _label(source: str, name: str, spec: Any, entities: tuple[str, ...]) -> Label:
    if not name or any(c.isspace() or c in ";:," for c in name):
        raise SchemaError(f"{source}: label '{name}' holds white space or one of ';:,', which brat cannot write.")
    spec = spec or {}
    unknown = set(spec) - {"definition", "colour", "modifies", "inside", "role"}
    if unknown:
        raise SchemaError(f"{source}: {name}: unknown key {', '.join(sorted(unknown))}.")
    modifies = frozenset(spec.get("modifies", ()))
    if entities and not modifies:
        raise SchemaError(f"{source}: modifier '{name}' needs 'modifies', a list of: {', '.join(entities)}.")
    strange = modifies - set(entities)
    if strange:
        raise SchemaError(
            f"{source}: {name} modifies {', '.join(sorted(strange))}; the entities are: {', '.join(entities) or 'none'}."
        )
    role = spec.get("role")
    if role is not None and role not in ROLES:
        raise SchemaError(f"{source}: {name}: role '{role}' is none of: {', '.join(ROLES)}.")
    return Label(
        name, str(spec.get("definition", "")), str(spec.get("colour", "#dddddd")), modifies,
        bool(spec.get("inside", False)), role,
    )
