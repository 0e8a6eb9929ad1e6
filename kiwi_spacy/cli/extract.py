"""`kiwi extract` and `kiwi show`: what a pipeline finds in notes."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import KiwiError
from .common import Device, OnDevice, Pipeline, app, echo_problems, load_pipeline, one_line, without_text


class ExtractFormat(str, Enum):
    brat = "brat"
    jsonl = "jsonl"
    docbin = "docbin"
    csv = "csv"


@app.command()
def extract(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Text files, folders of .txt (all below), .jsonl(.gz) files, or - for stdin."),
    ],
    pipeline: Pipeline,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    format: Annotated[ExtractFormat, typer.Option("--format", "-f", help="What to write.")] = ExtractFormat.brat,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Notes at a time.")] = 32,
    device: OnDevice = Device.cpu,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do all again, also notes already written.")] = False,
) -> None:
    """Run a pipeline over notes. Started again, it goes on where it stopped."""
    with one_line():
        from ..run.extract import extract as run

        nlp = load_pipeline(pipeline, device)
        with without_text():
            summary = run(
                inputs, nlp, output, format.value, batch_size=batch_size, overwrite=overwrite,
                stdin=typer.get_binary_stream("stdin"),
            )
    for name, reason in summary.failed:
        typer.echo(f"{name}: {reason}", err=True)
    typer.echo(f"{summary.done} done, {summary.skipped} skipped, {len(summary.failed)} failed", err=True)
    echo_problems(summary.problems)
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def show(
    note: Annotated[Path, typer.Argument(metavar="NOTE", help="A text file.")],
    pipeline: Pipeline,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here rather than print a table.")] = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Show what a pipeline finds in one note."""
    with one_line():
        from ..show import render_html, summary_table

        nlp = load_pipeline(pipeline, device)
        with without_text():
            try:
                text = note.read_bytes().decode("utf-8")
            except UnicodeDecodeError as error:
                raise KiwiError(f"{note}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
            nlp.max_length = max(nlp.max_length, len(text))
            doc = nlp(text)
            table = "" if html else summary_table(doc)
            if html:
                html.parent.mkdir(parents=True, exist_ok=True)
                html.write_text(render_html(doc, title=note.stem), encoding="utf-8")
    if html:
        typer.echo(f"{html} written", err=True)
    else:
        typer.echo(table)
    echo_problems(doc._.problems)
