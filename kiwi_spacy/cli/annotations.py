"""`kiwi convert` and `kiwi agree`: annotations of people, or of other systems."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .common import SchemaFile, TextDir, app, one_line, without_text


class NamesFormats(TyperCommand):
    """A command whose help names the formats. They are looked up when it is asked for, as their modules import spaCy."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # of the click that typer brings
        """Write the help, with the formats in place of {read} and {written} and a line each at its end."""
        from ..formats.registry import FORMATS, describe

        read = ", ".join(format.name for format in FORMATS.values() if format.read)
        written = ", ".join(format.name for format in FORMATS.values() if format.encode)
        for option in self.params:
            text = getattr(option, "help", None)
            if text:
                option.help = text.replace("{read}", read).replace("{written}", written)  # type: ignore[attr-defined]
        self.epilog = describe().replace("\n", "\n\n")
        super().format_help(ctx, formatter)


@app.command(cls=NamesFormats)
def convert(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder or a file.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder (brat, inception) or a file (the others).")],
    to: Annotated[str, typer.Option("--to", help="What OUTPUT becomes: {written}.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="What INPUT is: {read}; recognised by default.")
    ] = None,
    text_dir: TextDir = None,
    schema: SchemaFile = None,
) -> None:
    """Convert annotations; what a file cannot say, or says wrongly, is reported."""
    with one_line():
        from ..formats.convert import convert as run

        with without_text():
            reported = run(
                source, output, from_, to, text_dir=text_dir, schema=str(schema) if schema else None
            )
    for line in reported.problems:
        typer.echo(line, err=True)
    for line in reported.failed:
        typer.echo(f"failed: {line}", err=True)
    typer.echo(f"{reported.done} done, {len(reported.failed)} failed, {len(reported.problems)} problems", err=True)
    if reported.failed:
        raise typer.Exit(1)


@app.command()
def agree(
    folder_a: Annotated[Path, typer.Argument(metavar="FOLDER_A", help="One annotator's brat folder.")],
    folder_b: Annotated[Path, typer.Argument(metavar="FOLDER_B", help="Another's; or what a pipeline wrote, texts or not.")],
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="File of two note names a line, A's and B's, where names differ or the folder is one."),
    ] = None,
    schema: SchemaFile = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for all of it.")] = None,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Show the words that are disagreed on, which are the note's.")
    ] = False,
) -> None:
    """Say how far two annotators of the same notes agree, also in tables of facts, and list where they do not."""
    with one_line():
        from ..study.annotation.agreement import agree as run
        from ..study.annotation.agreement import format_agreement

        with without_text():
            result = run(folder_a, folder_b, pairs=pairs, schema=str(schema) if schema else None)
            if output:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(result.to_dict(show_text), indent=2) + "\n", encoding="utf-8")
    typer.echo(format_agreement(result, show_text=show_text))
    for line in result.problems:
        typer.echo(line, err=True)
    for line in result.failed:
        typer.echo(f"failed: {line}", err=True)
    typer.echo(
        f"{len(result.notes)} compared, {len(result.failed)} failed, {len(result.problems)} problems", err=True
    )
    if result.failed:
        raise typer.Exit(1)
