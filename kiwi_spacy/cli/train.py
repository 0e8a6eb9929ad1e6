"""`kiwi train`: training a pipeline by a config."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import KiwiError
from .common import Device, OnDevice, app, one_line, without_text


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A .cfg file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pipeline.")],
    base: Annotated[
        str | None, typer.Option("--base", help="A pipeline, by name or folder, whose weights training starts from.")
    ] = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Train a pipeline. Settings of the config can follow: --training.max_steps 100"""
    with one_line():
        from thinc.api import ConfigValidationError

        from ..train.loop import train as run

        with without_text():
            try:
                run(config, output, _overrides(context.args), base=base, device=device.value)
            except ConfigValidationError as error:  # what it shows is the config
                raise KiwiError(f"{config}: {error.text.strip()}") from None


def _overrides(args: list[str]) -> dict[str, Any]:
    """Return {"section.key": value} of what follows the known options; values are read as JSON where they are.

    >>> _overrides(["--training.max_steps", "100", "--paths.train=corpus/train"])
    {'training.max_steps': 100, 'paths.train': 'corpus/train'}
    """
    found: dict[str, Any] = {}
    rest = iter(args)
    for arg in rest:
        key, equals, value = arg.removeprefix("--").partition("=")
        if not arg.startswith("--") or "." not in key:
            raise KiwiError(f"'{arg}' is no setting: write --section.key VALUE, such as --training.max_steps 100.")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise KiwiError(f"'{arg}' needs a value.")
            value = following
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
