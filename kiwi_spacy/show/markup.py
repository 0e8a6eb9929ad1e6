"""Text and colours as HTML holds them."""

import re
from html import escape

from ..schema import Schema

_GREY = "#cccccc"


def html_text(text: str) -> str:
    """Escape for HTML; control characters and lone surrogates, which HTML forbids, show as the replacement character.

    >>> html_text('Na < 135 "low"')
    'Na &lt; 135 &quot;low&quot;'
    """
    return escape(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text), quote=True)


def label_style(schema: Schema, label: str) -> str:
    """Return the colour of a label, and a darker one for lines on white, as CSS variables; grey where the schema has none."""
    light, dark = _colours(schema.colours.get(label, _GREY))
    return f"--light:{light};--dark:{dark}"


def _colours(colour: str) -> tuple[str, str]:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        colour = _GREY
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    mean = sum(channels) / 3  # pastels keep their hue when what sets them apart from grey is doubled
    darker = [min(255, max(0, round(0.62 * (mean + 2 * (c - mean))))) for c in channels]
    return colour, "#" + "".join(f"{c:02x}" for c in darker)
