"""The command `kiwi`. Each command parses its arguments and calls a plain function of another module."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import KiwiError

if TYPE_CHECKING:  # each command imports what it needs, so that --help answers at once
    from spacy.language import Language

app = typer.Typer(
    name="kiwi", help="Find problems, treatments, tests and drugs in clinical notes, with what modifies them.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False,  # locals hold note text
)


class ExtractFormat(str, Enum):
    brat = "brat"
    jsonl = "jsonl"
    docbin = "docbin"
    csv = "csv"


class ConvertFormat(str, Enum):
    brat = "brat"
    jsonl = "jsonl"
    docbin = "docbin"
    bio = "bio"


class Device(str, Enum):
    cpu = "cpu"
    cuda = "cuda"


Pipeline = Annotated[str, typer.Option("--pipeline", "-p", help="An installed pipeline's name, or its folder.")]
OnDevice = Annotated[Device, typer.Option("--device", help="Where the pipeline computes.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema of your own; see kiwi_spacy/schema.yml.")]
TextDir = Annotated[Path | None, typer.Option("--text-dir", help="Where the texts are, if not beside the annotations.")]


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn errors that the user can mend into one line on stderr and exit code 2."""
    try:
        yield
    except (KiwiError, OSError) as error:
        # A pipeline's E050 is an OSError; its message is long, and its first line says it all.
        message = " ".join(str(error).split("\n")) if isinstance(error, KiwiError) else str(error).split("\n")[0]
        typer.echo(f"kiwi: {message}", err=True)
        raise typer.Exit(2) from None


def _load(pipeline: str, device: Device) -> "Language":
    import spacy
    from thinc.api import require_gpu

    if device is Device.cuda:
        try:
            require_gpu(0)
        except ValueError as error:
            raise KiwiError("No CUDA device can be used here. Leave out --device cuda.") from error
    return spacy.load(pipeline)


@app.command()
def extract(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Text files, folders of .txt, .jsonl files, or -.")
    ],
    pipeline: Pipeline,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    format: Annotated[ExtractFormat, typer.Option("--format", "-f", help="What to write.")] = ExtractFormat.brat,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Notes at a time.")] = 32,
    device: OnDevice = Device.cpu,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do notes again that are already written.")] = False,
) -> None:
    """Run a pipeline over notes. Started again, it goes on where it stopped."""
    with _one_line():
        from .extract import extract as run

        summary = run(
            inputs, _load(pipeline, device), output, format.value, batch_size=batch_size, overwrite=overwrite,
            stdin=typer.get_binary_stream("stdin"),
        )
    for name, reason in summary.failed:
        typer.echo(f"{name}: {reason}", err=True)
    typer.echo(f"{summary.done} done, {summary.skipped} skipped, {len(summary.failed)} failed", err=True)
    _echo_problems(summary.problems)
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def evaluate(
    pipeline: Pipeline,
    gold: Annotated[list[Path], typer.Option("--gold", "-g", help="Folder of brat annotations; may be repeated.")],
    notes: Annotated[Path | None, typer.Option("--notes", help="File with the names to score, one on a line.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for all scores.")] = None,
    schema: SchemaFile = None,
    text_dir: TextDir = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Score a pipeline on annotated notes."""
    with _one_line():
        from .evaluate import evaluate as run

        scores = run(
            _load(pipeline, device), gold, notes, schema=str(schema) if schema else None,
            text_dir=str(text_dir) if text_dir else None,
        )
        table = scores.pop("table")
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    typer.echo(table)
    _echo_problems(scores["problems"])


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder (brat, bio) or a file.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder (brat, bio) or a file.")],
    from_: Annotated[ConvertFormat, typer.Option("--from", help="What INPUT is.")],
    to: Annotated[ConvertFormat, typer.Option("--to", help="What OUTPUT becomes.")],
    text_dir: TextDir = None,
    schema: SchemaFile = None,
) -> None:
    """Convert annotations; what a file cannot say, or says wrongly, is reported."""
    with _one_line():
        from .convert import convert as run

        reported = run(
            source, output, from_.value, to.value, text_dir=text_dir, schema=str(schema) if schema else None
        )
    for line in reported.problems:
        typer.echo(line, err=True)
    for line in reported.failed:
        typer.echo(f"failed: {line}", err=True)
    typer.echo(f"{reported.done} done, {len(reported.failed)} failed, {len(reported.problems)} problems", err=True)
    if reported.failed:
        raise typer.Exit(1)


@app.command()
def show(
    note: Annotated[Path, typer.Argument(metavar="NOTE", help="A text file.")],
    pipeline: Pipeline,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here rather than print a table.")] = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Show what a pipeline finds in one note."""
    with _one_line():
        from .visualise import render_html, summary_table

        try:
            text = note.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise KiwiError(f"{note}: not UTF-8 at byte {error.start}.") from None
        nlp = _load(pipeline, device)
        nlp.max_length = max(nlp.max_length, len(text))
        doc = nlp(text)
        if html:
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(render_html(doc, title=note.stem), encoding="utf-8")
    if html:
        typer.echo(f"{html} written", err=True)
    else:
        typer.echo(summary_table(doc))
    _echo_problems(doc._.problems)


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
    with _one_line():
        from .training import train as run

        run(config, output, _overrides(context.args), base=base, device=device.value)


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


def _echo_problems(problems: dict[str, int]) -> None:
    for kind, times in Counter(problems).most_common():
        typer.echo(f"{times} x {kind}", err=True)


def main() -> None:
    """Run the command; the entry point of `kiwi` and of `python -m kiwi_spacy.cli`."""
    app()


if __name__ == "__main__":
    main()
