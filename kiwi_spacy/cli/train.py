"""`kiwi train`, `kiwi adapt`, `kiwi package`, `kiwi vote`, `kiwi unlabelled`: pipelines of one's own, and notes for them."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import KiwiError
from .common import Device, OnDevice, SchemaFile, app, one_line, without_text


class Precision(str, Enum):
    """What `kiwi adapt` multiplies matrices in."""

    single = "single"
    bfloat16 = "bfloat16"


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


@app.command()
def package(
    trained: Annotated[Path, typer.Argument(metavar="PIPELINE", help="The folder of a trained pipeline.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the wheel.")],
    name: Annotated[str, typer.Option("--name", help="Its name without the language: site_bert is installed as en_site_bert.")],
    version: Annotated[str, typer.Option("--version", help="Its version, such as 1.0.0.")],
    card: Annotated[Path | None, typer.Option("--card", help="A Markdown file that becomes its README.")] = None,
    author: Annotated[str, typer.Option("--author", help="Who made it.")] = "",
    facts: Annotated[
        bool, typer.Option("--facts/--no-facts", help="Add kiwi_sections and kiwi_facts where the pipeline lacks them.")
    ] = True,
    eight_bits: Annotated[
        bool, typer.Option("--eight-bits", help="Keep the bert engine's encoder in eight bits a weight: half of the size.")
    ] = False,
) -> None:
    """Build the wheel of a trained pipeline, which pip installs anywhere; no path of this machine is in it."""
    with one_line():
        from ..train.package import package as run

        with without_text():
            wheel = run(trained, name, version, output, card=card, author=author, facts=facts, eight_bits=eight_bits)
    typer.echo(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB")


@app.command()
def vote(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help="Folder of the notes' .txt.")],
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="What each system found, .ann files; ties go to the first.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the joined notes and annotations.")],
    schema: SchemaFile = None,
) -> None:
    """Join what several systems found in the same notes into annotations to train on."""
    with one_line():
        from ..schema import load_schema
        from ..train.vote import join_folders

        with without_text():
            number, left_out = join_folders(texts, output, folders, load_schema(str(schema) if schema else None))
    for line in left_out:
        typer.echo(line, err=True)
    typer.echo(f"{number} notes in {output}")
    if left_out:
        raise typer.Exit(1)


@app.command()
def unlabelled(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help="A .jsonl(.gz) file with id and text, or a folder of .txt.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the notes.")],
    number: Annotated[int, typer.Option("--number", min=1, help="How many to draw.")] = 420,
    least: Annotated[int, typer.Option("--least", min=0, help="Characters of the shortest.")] = 900,
    most: Annotated[int, typer.Option("--most", min=1, help="Characters of the longest.")] = 3200,
) -> None:
    """Draw unlabelled texts as notes, for systems to annotate and `kiwi vote` to join."""
    with one_line():
        from ..train.unlabelled import draw_notes

        with without_text():
            written, of = draw_notes(texts, output, number=number, least=least, most=most)
    typer.echo(f"{written} of {of} texts in {output}")


@app.command()
def adapt(
    texts: Annotated[list[Path], typer.Argument(metavar="TEXTS...", help="Text files, .jsonl(.gz) files, or folders of .txt.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the adapted encoder.")],
    backbone: Annotated[str, typer.Option("--backbone", help="minilm, or the folder of another BERT.")] = "minilm",
    epochs: Annotated[float, typer.Option("--epochs", min=0, help="Passes over the text.")] = 1.0,
    length: Annotated[int, typer.Option("--length", min=3, help="Word pieces a row.")] = 128,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Rows a step.")] = 16,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Highest learning rate.")] = 3e-4,
    head_factor: Annotated[
        float, typer.Option("--head-factor", min=0, help="Times the rate that the layer which predicts words takes.")
    ] = 1.0,
    precision: Annotated[Precision, typer.Option("--precision", help="What matrices are multiplied in.")] = Precision.single,
    mask_rate: Annotated[float, typer.Option("--mask-rate", min=0, max=1, help="Share of the words to predict.")] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of masks, order and new weights.")] = 0,
) -> None:
    """Adapt an encoder to unlabelled clinical text, before training. Killed, it goes on."""
    with one_line():
        from ..train.adapt import adapt as run

        with without_text():
            run(
                texts, output, backbone=backbone, epochs=epochs, length=length, batch_size=batch_size, rate=rate,
                head_factor=head_factor, mask_rate=mask_rate, seed=seed, precision=precision.value, progress=typer.echo,
            )
    typer.echo(f"{output} written")
