"""Instructions: jinja files filled from the schema, as the turns of a chat around a note's text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ...errors import KiwiError
from ...schema import Label, Schema

FOLDER = Path(__file__).parent / "prompts"
_MARK = "\u241fNOTE\u241f"  # stands for the note's text while the chat template is filled


@dataclass(frozen=True)
class Shot:
    """A worked example: a text and its markup."""

    text: str
    markup: str


def render_instruction(template: str, schema: Schema) -> str:
    """Return the instruction of a jinja template's text.

    The template sees `entities` and `modifiers`: lists with name, definition and, for modifiers,
    `modifies` (a sorted list) and `modified` (the same in words).
    RAISES (KiwiError): The template does not parse or names what is not there.
    """

    def plain(label: Label) -> dict[str, Any]:
        modifies = [name for name in schema.entities if name in label.modifies]
        return {
            "name": label.name, "definition": label.definition.strip(), "modifies": modifies, "modified": ", ".join(modifies),
            "inside": label.inside,
        }

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(template).render(
            entities=[plain(label) for label in schema.entities.values()],
            modifiers=[plain(label) for label in schema.modifiers.values()],
        ).strip()
    except jinja2.TemplateError as error:
        raise KiwiError(f"The prompt template cannot be used: {error}") from None


@dataclass(frozen=True)
class Frame:
    """The tokens around a note's text: instruction and examples before it, the start of the answer after it, its end."""

    before: list[int]
    after: list[int]
    end: int


def make_frame(tokenizer: Any, instruction: str, shots: Sequence[Shot] = ()) -> Frame:
    """Return the frame of a prompt in the tokenizer's chat template; without one, line ends part the turns.

    RAISES (KiwiError): The tokenizer has neither a chat template that ends a turn nor an end token.
    """
    turns = [{"role": "system", "content": instruction}]
    for shot in shots:
        turns += [{"role": "user", "content": shot.text}, {"role": "assistant", "content": shot.markup}]
    turns += [{"role": "user", "content": _MARK}, {"role": "assistant", "content": _MARK}]
    if tokenizer.chat_template:
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
    else:
        eos = tokenizer.eos_token or ""
        whole = (tokenizer.bos_token or "") + "\n\n".join(turn["content"] for turn in turns) + eos
    before, after, rest = (tokenizer.encode(part, add_special_tokens=False) for part in whole.rsplit(_MARK, 2))
    if not rest or not after:
        raise KiwiError("The tokenizer has no chat template that ends a turn and no end token, so no answer could end.")
    return Frame(before, after, rest[0])
