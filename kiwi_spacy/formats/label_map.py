"""Annotations of another scheme in the labels of ours, by a map that stands in a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import FormatError
from ..schema import Schema

FOLDER = Path(__file__).parent / "label_maps"
_ELSE = "else"


@dataclass(frozen=True)
class LabelMap:
    """How labels of another scheme are called in ours.

    spans: Their label > ours; spans of other labels are left out. linked: (their label, label of our entity) > our
    label where such a span is linked to such an entity. links: Names of the relations that are links, None for all.
    ours: A label of ours > another of ours that the scheme has in its place.
    """

    name: str
    spans: Mapping[str, str]
    linked: Mapping[tuple[str, str], str] = field(default_factory=dict)
    links: frozenset[str] | None = None
    ours: Mapping[str, str] = field(default_factory=dict)

    @property
    def marked(self) -> frozenset[str]:
        """The labels of ours that the scheme marks."""
        return frozenset([*self.spans.values(), *self.linked.values()])

    def of_ours(self, label: str) -> str | None:
        """Return what a predicted label counts as, None where the scheme does not mark it.

        >>> LabelMap("other", {"Dose": "dosage"}, ours={"strength": "dosage"}).of_ours("strength")
        'dosage'
        """
        label = self.ours.get(label, label)
        return label if label in self.marked else None


def load_label_map(name: str, schema: Schema) -> LabelMap:
    """Return the map of a file, or one that comes with the package, such as "maccrobat".

    RAISES (FormatError): There is none, or it does not fit the schema; the message names the place.
    """
    path = Path(name)
    if not path.is_file():
        path = FOLDER / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yml")))
        raise FormatError(f"No label map '{name}': neither a file nor one of those that come with the package: {known}.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"{path}: cannot be read as YAML ({type(error).__name__}).") from None
    if not isinstance(data, dict) or not isinstance(data.get("spans"), dict) or not data["spans"]:
        raise FormatError(f"{path}: needs 'spans', which maps their labels to ours, such as 'Medication: drug'.")
    unknown = set(data) - {"name", "spans", "links", "ours"}
    if unknown:
        raise FormatError(f"{path}: unknown key {', '.join(sorted(map(str, unknown)))}; allowed are: name, spans, links, ours.")
    spans: dict[str, str] = {}
    linked: dict[tuple[str, str], str] = {}
    for theirs, target in data["spans"].items():
        cases = target if isinstance(target, dict) else {_ELSE: target}
        for case, label in cases.items():
            if case == _ELSE:
                spans[str(theirs)] = _known(path, theirs, label, schema)
            elif case in schema.entities:
                linked[str(theirs), case] = _known(path, theirs, label, schema)
            else:
                raise FormatError(f"{path}: {theirs}: '{case}' is neither '{_ELSE}' nor an entity of the schema.")
        if str(theirs) not in spans:
            raise FormatError(f"{path}: {theirs}: needs '{_ELSE}', the label where it is linked to nothing else.")
    ours, links = data.get("ours") or {}, data.get("links")
    if not isinstance(ours, dict) or not (links is None or isinstance(links, list)):
        raise FormatError(f"{path}: 'ours' maps a label of ours to another of ours, and 'links' is a list, such as [MODIFY].")
    ours_map = {_known(path, "ours", a, schema): _known(path, a, b, schema) for a, b in ours.items()}
    return LabelMap(
        str(data.get("name", path.stem)), spans, linked, frozenset(map(str, links)) if links is not None else None, ours_map
    )


def _known(path: Path, place: Any, label: Any, schema: Schema) -> str:
    if not isinstance(label, str) or (label not in schema.entities and label not in schema.modifiers):
        allowed = ", ".join([*schema.entities, *schema.modifiers])
        raise FormatError(f"{path}: {place}: '{label}' is no label of the schema; those are: {allowed}.")
    return label
