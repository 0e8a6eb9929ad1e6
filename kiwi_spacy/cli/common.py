"""What the commands share: their options, loading a pipeline, errors in one line without note text."""

import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from .. import __version__
from ..errors import BackboneError, KiwiError, kind_of
from .exits import exit_code

if TYPE_CHECKING:  # each command imports what it needs, so that --help answers at once
    from spacy.language import Language

app = typer.Typer(
    name="kiwi", help="Find problems, treatments, tests and drugs in clinical notes, with what modifies them.",
    no_args_is_help=True, pretty_exceptions_show_locals=False,  # locals hold note text
    epilog="Exit codes: 0, all is done; 1, some notes or files failed or are incomplete and are named, the others are done; "
    "2, nothing could be done as asked, and one line says what to mend; 3, the output folder holds other results; "
    "4, another run writes there; 5, weights are missing.",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kiwi_spacy {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find problems, treatments, tests and drugs in clinical notes, with what modifies them."""


class Device(str, Enum):
    cpu = "cpu"
    cuda = "cuda"


Pipeline = Annotated[str, typer.Option("--pipeline", "-p", help="An installed pipeline's name, or its folder.")]
OnDevice = Annotated[Device, typer.Option("--device", help="Where the pipeline computes.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema of your own; see kiwi_spacy/schema.yml.")]
TextDir = Annotated[Path | None, typer.Option("--text-dir", help="Where the texts are, if not beside the annotations.")]


@contextmanager
def one_line() -> Iterator[None]:
    """Turn errors that the user can mend into one line on stderr and an exit code of `exits`."""
    try:
        yield
    except KiwiError as error:
        typer.echo(f"kiwi: {' '.join(str(error).split(chr(10)))}", err=True)
        raise typer.Exit(exit_code(error)) from None


@contextmanager
def without_text() -> Iterator[None]:
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
            raise KiwiError(f"{kind_of(error)}. Its message is left out, as it may hold note text.") from None


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"{filename}:{lineno}: {kind_of(message)}. Its message is left out, as it may hold note text.", err=True)


def load_pipeline(pipeline: str, device: Device) -> "Language":
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
    except FileNotFoundError as error:  # a folder or package that is there, less one of its files
        raise BackboneError(
            f"The pipeline '{pipeline}' lacks its file {error.filename}. Install it again, or copy it whole."
        ) from error
    except (OSError, ValueError, ImportError) as error:  # no note is read yet, so the message can be shown
        first = next(iter(str(error).strip().split("\n")))
        raise KiwiError(f"The pipeline '{pipeline}' cannot be loaded: {first}") from error


def echo_problems(problems: dict[str, int]) -> None:
    for kind, times in Counter(problems).most_common():
        typer.echo(f"{times} x {kind}", err=True)
