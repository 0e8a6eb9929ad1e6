"""Frozen dataclasses that turn into plain data and back."""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Record:
    """A value as plain data: keys without a value (None, False, "", empty) are left out, whole numbers are written as such.

    `tag` stands as `type` in the data and tells members of a union apart; `keys` are the fields that have another name there.
    """

    tag: ClassVar[str] = ""
    keys: ClassVar[Mapping[str, str]] = {}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        data: dict[str, Any] = {"type": self.tag} if self.tag else {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value is False or value == "" or value == ():
                continue
            data[self.keys.get(field.name, field.name)] = _plain(value)
        return data

    @classmethod
    def from_dict(cls: type[R], data: dict[str, Any]) -> R:
        """Return the value that `to_dict` wrote."""
        hints = typing.get_type_hints(cls)
        found = {field.name: cls.keys.get(field.name, field.name) for field in fields(cls)}
        return cls(**{name: _typed(hints[name], data[key]) for name, key in found.items() if key in data})


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _typed(hint: Any, value: Any) -> Any:
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if isinstance(value, dict):
            by_type = {member.tag: member for member in members}
            return by_type[value.get("type", "")].from_dict(value)
        return _typed(members[0], value)
    if typing.get_origin(hint) is tuple:
        return tuple(_typed(members[0], item) for item in value)
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_dict(value)
    return float(value) if hint is float else value
