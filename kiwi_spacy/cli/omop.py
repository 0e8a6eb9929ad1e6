"""`kiwi omop`: what a pipeline finds in NOTE of an OMOP database, into its NOTE_NLP."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Device, OnDevice, Pipeline, app, load_pipeline, one_line, without_text
from .exits import SOME
from .extract import RedoWhat, echo_summary


@app.command()
def omop(
    database: Annotated[str, typer.Option("--database", help="postgresql://USER@HOST/NAME, or sqlite:///FILE.")],
    pipeline: Pipeline,
    schema: Annotated[str | None, typer.Option("--schema", help="Where the CDM's tables stand.")] = None,
    vocabulary: Annotated[
        list[Path] | None,
        typer.Option("--vocabulary", "-v", help="Concepts, as `vocabulary build --format athena` wrote them; repeatable."),
    ] = None,
    where: Annotated[str, typer.Option("--where", help="Take these notes: a condition in SQL, on columns of NOTE.")] = "",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Notes at a time, one transaction each time.")] = 32,
    device: OnDevice = Device.cpu,
    redo: Annotated[
        RedoWhat | None,
        typer.Option("--redo", help="Do again what another pipeline or other settings have made, and tidy up; or all."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="LABEL=VALUE", help="Keep what has this label from this score on; repeatable."),
    ] = None,
) -> None:
    """Fill NOTE_NLP of an OMOP database (CDM 5.4). Started again, it does new and changed notes.

    Exit codes: 0 all done; 1 some notes failed or are incomplete; 2 a mistake in the command or the database; 3 NOTE_NLP holds
    rows of another pipeline or other settings; 4 another run writes there; 5 weights are missing.
    """
    with one_line():
        from ..run.omop import fill_note_nlp
        from ..run.thresholds import parse_thresholds, set_thresholds

        thresholds = parse_thresholds(threshold or [])
        nlp = load_pipeline(pipeline, device)
        set_thresholds(nlp, thresholds)
        with without_text():
            summary = fill_note_nlp(
                database, nlp, schema=schema, where=where, redo=redo.value if redo else None, batch_size=batch_size,
                thresholds=thresholds, vocabularies=vocabulary or [],
            )
    echo_summary(summary)
    if summary.failed or summary.incomplete:
        raise typer.Exit(SOME)
