"""The command `kiwi`. Each command parses its arguments and calls a plain function of another module."""

import json
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from . import memory
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
    except KiwiError as error:
        typer.echo(f"kiwi: {' '.join(str(error).split(chr(10)))}", err=True)
        raise typer.Exit(2) from None


@contextmanager
def _without_text() -> Iterator[None]:
    """Keep note text off the screen: of errors and warnings that are not ours, place and kind are shown, no message."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            yield
        except KiwiError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.strerror:
                raise KiwiError(f"{error.filename}: {error.strerror}." if error.filename else error.strerror) from None
            typer.echo("".join(traceback.format_tb(error.__traceback__)), err=True, nl=False)
            raise KiwiError(f"{_kind(error)}. Its message is left out, as it may hold note text.") from None


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"{filename}:{lineno}: {_kind(message)}. Its message is left out, as it may hold note text.", err=True)


def _kind(error: Exception | Warning | str) -> str:
    """Return the type of an error, and its code where it is one of spaCy's.

    >>> _kind(ValueError("[E088] Text of length 1200000 exceeds maximum"))
    'ValueError [E088]'
    """
    code = re.match(r"\[[EW]\d+\]", str(error))
    return type(error).__name__ + (f" {code.group()}" if code else "")


def _load(pipeline: str, device: Device) -> "Language":
    import spacy
    from thinc.api import require_gpu

    if device is Device.cuda:
        try:
            require_gpu(0)
        except ValueError as error:
            raise KiwiError("No CUDA device can be used here. Leave out --device cuda.") from error
    try:
        nlp = spacy.load(pipeline)
        for _, pipe in nlp.pipeline:
            if device is not Device.cpu and hasattr(pipe, "to_device"):
                pipe.to_device(device.value)
        return nlp
    except KiwiError:
        raise
    except (OSError, ValueError, ImportError) as error:  # no note is read yet, so the message can be shown
        first = next(iter(str(error).strip().split("\n")))
        raise KiwiError(f"The pipeline '{pipeline}' cannot be loaded: {first}") from error


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
    with _one_line():
        from .extract import extract as run

        nlp = _load(pipeline, device)
        with _without_text():
            summary = run(
                inputs, nlp, output, format.value, batch_size=batch_size, overwrite=overwrite,
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
    gold: Annotated[
        list[Path],
        typer.Option("--gold", "-g", help="Folder of brat annotations, or .jsonl, .spacy, .bio file; may be repeated."),
    ],
    notes: Annotated[Path | None, typer.Option("--notes", help="File with the names to score, one on a line.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for all scores.")] = None,
    schema: SchemaFile = None,
    text_dir: TextDir = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Score a pipeline on annotated notes."""
    with _one_line():
        from .evaluate import evaluate as run

        nlp = _load(pipeline, device)
        with _without_text():
            scores = run(
                nlp, gold, notes, schema=str(schema) if schema else None, text_dir=str(text_dir) if text_dir else None
            )
            table = scores.pop("table")
            if output:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    typer.echo(table)
    _echo_problems(scores["problems"])


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder (brat) or a file (the others).")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder (brat) or a file (the others).")],
    from_: Annotated[ConvertFormat, typer.Option("--from", help="What INPUT is.")],
    to: Annotated[ConvertFormat, typer.Option("--to", help="What OUTPUT becomes.")],
    text_dir: TextDir = None,
    schema: SchemaFile = None,
) -> None:
    """Convert annotations; what a file cannot say, or says wrongly, is reported."""
    with _one_line():
        from .convert import convert as run

        with _without_text():
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
def compare(
    gold: Annotated[
        list[str],
        typer.Option("--gold", "-g", help="Annotated notes: FOLDER[,notes=FILE][,map=MAP][,name=NAME]; may be repeated."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html, report.md and report.json.")],
    pipelines: Annotated[
        list[str] | None, typer.Option("--pipeline", "-p", help="A pipeline, by name or folder; may be repeated.")
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option("--predictions", help="Another system, NAME=FOLDER of its brat annotations; may be repeated."),
    ] = None,
    notes: Annotated[Path | None, typer.Option("--notes", help="File with the names to score, one on a line.")] = None,
    label_map: Annotated[
        str | None, typer.Option("--map", help="Label map of annotations under another scheme: a file, or maccrobat.")
    ] = None,
    cost_notes: Annotated[int, typer.Option("--cost-notes", min=0, help="Notes to measure speed on; 0 for none.")] = 4,
    passes: Annotated[int, typer.Option("--passes", min=1, help="Passes over them; each pipeline has a process of its own.")] = 3,
    precision: Annotated[float, typer.Option("--precision", min=0, max=1, help="Find the threshold that gives it.")] = 0.9,
    show_text: Annotated[bool, typer.Option("--show-text", help="Put the words of mistakes, which are the notes', in.")] = False,
    schema: SchemaFile = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Compare pipelines, and other systems' predictions, on annotated notes; write a report."""
    with _one_line():
        from .schema import load_schema
        from .study.compare import compare as run
        from .study.compare import parse_gold
        from .study.report import write_report

        with _without_text():
            report = run(
                pipelines or [], [parse_gold(text, notes, label_map) for text in gold],
                load_schema(str(schema) if schema else None), load=lambda name: _load(name, device),
                predictions=_named_folders(predictions or []), cost_notes=cost_notes, passes=passes, device=device.value,
                precision=precision, show_text=show_text, progress=lambda line: typer.echo(line, err=True),
            )
            write_report(report, output)
    for source in report["sources"]:
        for system in source["systems"]:
            for each in system["failed"]:
                typer.echo(f"{system['system']}, {each['note']}: {each['reason']}", err=True)
    typer.echo(f"{output / 'report.html'} written, and report.md and report.json beside it", err=True)


def _named_folders(texts: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise KiwiError(f"--predictions {text}: write NAME=FOLDER.")
        if name in found:
            raise KiwiError(f"--predictions {text}: '{name}' stands twice. Name each system once.")
        found[name] = Path(folder)
    return found


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A few dozen notes of your own, annotated in brat.")],
    report: Annotated[Path, typer.Option("--report", "-o", help="Folder for report.html, report.md and report.json.")],
    pipelines: Annotated[
        list[str] | None,
        typer.Option("--pipeline", "-p", help="May be repeated; en_kiwi_bert and en_kiwi_llama by default, if installed."),
    ] = None,
    finetune: Annotated[
        str | None, typer.Option("--finetune", help="The pipeline to try fine-tuning with; by default the first that can be.")
    ] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=0, help="Folds of the cross-validation; fewer than 2 leave fine-tuning out.")
    ] = 2,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the notes when fine-tuning.")] = 6,
    precision: Annotated[float, typer.Option("--precision", min=0, max=1, help="Find the threshold that gives it.")] = 0.9,
    show_text: Annotated[bool, typer.Option("--show-text", help="Put the words of mistakes, which are the notes', in.")] = False,
    schema: SchemaFile = None,
    text_dir: TextDir = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Say what to expect on annotated notes of your own, which threshold to take, and whether fine-tuning pays."""
    with _one_line():
        from .schema import load_schema
        from .study.check import check as run
        from .study.compare import Gold
        from .study.report import write_check
        from .training import finetune as tune

        names = list(pipelines or _shipped())
        base = finetune or next((name for name in names if _can_tune(name)), None)
        if base is not None and base not in names:
            names.append(base)
        if base is None and folds > 1:
            typer.echo("None of the pipelines can be fine-tuned here, so that is left out.", err=True)

        def finetune_on(notes: Sequence[str], into: Path) -> Path:
            listed = into / "notes.txt"
            listed.write_text("\n".join(notes) + "\n", encoding="utf-8")
            return tune(
                str(base), folder, into, notes=listed, text_dir=text_dir, epochs=epochs, device=device.value,
                progress=lambda line: typer.echo(line, err=True),
            )

        with _without_text():
            found = run(
                Gold(folder), names, load_schema(str(schema) if schema else None), load=lambda name: _load(name, device),
                finetune=finetune_on if base and folds > 1 else None, base=base or "", folds=folds, precision=precision,
                show_text=show_text, text_dir=text_dir, progress=lambda line: typer.echo(line, err=True),
            )
            write_check(found, report)
    for line in found["advice"]:
        typer.echo(line)
    typer.echo(f"{report / 'report.html'} written, and report.md and report.json beside it", err=True)


def _shipped() -> list[str]:
    from spacy.util import get_installed_models

    names = sorted(name for name in get_installed_models() if name.startswith("en_kiwi_"))
    if not names:
        raise KiwiError("No pipeline of ours is installed. Name one by --pipeline.")
    return names


def _can_tune(pipeline: str) -> bool:
    """Whether a pipeline has heads that `finetune` trains; only its settings are read."""
    from spacy.util import get_model_meta, get_package_path, is_package

    path = get_package_path(pipeline) if is_package(pipeline) else Path(pipeline)
    try:
        inner = next((p for p in [path, *sorted(path.glob("*/"))] if (p / "config.cfg").is_file()), path)
        return "transformer" in get_model_meta(inner)["pipeline"]
    except (OSError, KeyError):
        return False


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
    """Say how far two annotators of the same notes agree, and list where they do not."""
    with _one_line():
        from .study.agreement import agree as run
        from .study.agreement import format_agreement

        with _without_text():
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

        nlp = _load(pipeline, device)
        with _without_text():
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
        from thinc.api import ConfigValidationError

        from .training import train as run

        with _without_text():
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


def _echo_problems(problems: dict[str, int]) -> None:
    for kind, times in Counter(problems).most_common():
        typer.echo(f"{times} x {kind}", err=True)


def main() -> None:
    """Run the command; the entry point of `kiwi` and of `python -m kiwi_spacy.cli`."""
    memory.keep()  # this process is ours alone
    app()


if __name__ == "__main__":
    main()
