"""`kiwi extract` and `kiwi show`: what a pipeline finds in notes."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ..errors import KiwiError
from ..formats.names import printable
from .common import Device, OnDevice, Pipeline, app, echo_problems, load_pipeline, one_line, without_text
from .exits import SOME

if TYPE_CHECKING:
    from ..formats.outputs import Format
    from ..run.extract import Summary


class ExtractFormat(str, Enum):
    brat = "brat"
    jsonl = "jsonl"
    docbin = "docbin"
    csv = "csv"
    fhir = "fhir"
    html = "html"
    parquet = "parquet"


class TableName(str, Enum):
    facts = "facts"
    entities = "entities"
    modifiers = "modifiers"
    relations = "relations"
    problems = "problems"
    medications = "medications"
    results = "results"


class RedoWhat(str, Enum):
    changed = "changed"
    all = "all"


_SHOWN = 20  # files left out that are named for one reason; the manifest names all


@app.command()
def extract(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files or folders of .txt, .text or .jsonl, also with .gz; .json, .csv, .tsv or .parquet; a database's URL; "
            "or - for stdin.",
        ),
    ],
    pipeline: Pipeline,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to write to, a .parquet file, or a database's URL.")],
    format: Annotated[
        ExtractFormat | None, typer.Option("--format", "-f", help="What to write; by default parquet into .parquet, else brat.")
    ] = None,
    table: Annotated[TableName, typer.Option("--table", help="Which table parquet or a database gets.")] = TableName.facts,
    into: Annotated[str | None, typer.Option("--into", metavar="NAME", help="Its name in a database; else kiwi_facts …")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Notes at a time.")] = 32,
    device: OnDevice = Device.cpu,
    redo: Annotated[
        RedoWhat | None,
        typer.Option("--redo", help="Do again what another pipeline, other settings or another text have made; or all."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="What files that are not UTF-8 are in, such as latin-1 or cp1252.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="LABEL=VALUE", help="Keep what has this label from this score on; repeatable."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="COLUMN", help="Column of a table that holds the notes.")] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Column of their names; id, if there is one.")] = None,
    date: Annotated[
        str | None, typer.Option("--date", metavar="COLUMN", help="Column of their dates, from which \"yesterday\" is counted.")
    ] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option("--carry", metavar="COLUMN", help="Column to carry along into the output, repeatable; else all others are."),
    ] = None,
    query: Annotated[
        str | None, typer.Option("--query", metavar="TABLE|SELECT", help="Which table or SELECT of a database holds the notes.")
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Write sections and facts too: status, values. With jsonl, docbin and csv.")
    ] = False,
    fhir: Annotated[
        list[str] | None,
        typer.Option(
            "--fhir", metavar="KEY=VALUE", help="Of FHIR's bundles, such as patient-column=mrn or text=yes; repeatable."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", hidden=True)] = False,
) -> None:
    """Run a pipeline over notes. Started again, it goes on where it stopped.

    Exit codes: 0 all done; 1 some notes failed or are incomplete; 2 a mistake in the command or the inputs; 3 the output
    folder holds other results; 4 another run writes there; 5 weights are missing.
    """
    if overwrite:
        typer.echo("kiwi: --overwrite is now called --redo all.", err=True)
    with one_line():
        from ..formats.fhir import parse_options
        from ..formats.records import Columns
        from ..formats.sources import is_url
        from ..run.extract import extract as run
        from ..run.thresholds import parse_thresholds, set_thresholds

        thresholds = parse_thresholds(threshold or [])
        options = parse_options(fhir or [])
        named = any(option is not None for option in (text, id, date, query)) or bool(carry)
        columns = Columns(text or "text", id, date, tuple(carry) if carry else None, query) if named else None
        written = (
            format.value if format else "database" if is_url(output) else "parquet" if output.endswith(".parquet") else "brat"
        )
        nlp = load_pipeline(pipeline, device)
        set_thresholds(nlp, thresholds)
        with without_text():
            summary = run(
                inputs, nlp, output, cast("Format", written), batch_size=batch_size, table=table.value, into=into,
                redo="all" if overwrite else redo.value if redo else None, encoding=encoding,
                thresholds=thresholds, facts=facts, columns=columns, fhir=options,
                stdin=typer.get_binary_stream("stdin"),
            )
    echo_summary(summary)
    if summary.failed or summary.incomplete:
        raise typer.Exit(SOME)


def echo_summary(summary: "Summary") -> None:
    by_reason: dict[str, list[str]] = {}
    for place, reason in summary.left_out:
        by_reason.setdefault(reason, []).append(place)
    for reason, places in by_reason.items():
        more = f" and {len(places) - _SHOWN} more, named in kiwi-manifest.jsonl" if len(places) > _SHOWN else ""
        typer.echo(f"left out, {reason}: {', '.join(places[:_SHOWN])}{more}", err=True)
    for name, reason in [*summary.failed, *summary.incomplete]:
        typer.echo(f"{printable(name)}: {reason}", err=True)
    counts = {
        "done": summary.done, "kept": summary.kept, "incomplete": len(summary.incomplete), "failed": len(summary.failed),
        "left out": len(summary.left_out), "taken away": summary.removed,
    }
    always = ("done", "kept", "incomplete", "failed")
    typer.echo(", ".join(f"{n} {what}" for what, n in counts.items() if n or what in always), err=True)
    echo_problems(summary.problems)
    if summary.unwritten:
        typer.echo(f"kiwi: {summary.unwritten}", err=True)


@app.command()
def show(
    note: Annotated[Path, typer.Argument(metavar="NOTE", help="A text file.")],
    pipeline: Pipeline,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here rather than print tables.")] = None,
    device: OnDevice = Device.cpu,
) -> None:
    """Show what a pipeline finds in one note."""
    with one_line():
        from ..show import fact_tables, render_html, summary_table

        nlp = load_pipeline(pipeline, device)
        with without_text():
            try:
                text = note.read_bytes().decode("utf-8")
            except UnicodeDecodeError as error:
                raise KiwiError(f"{note}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
            nlp.max_length = max(nlp.max_length, len(text))
            doc = nlp(text)
            facts = doc._.facts
            table = "" if html else f"{summary_table(doc, facts=facts)}\n\n{fact_tables(facts)}"
            if html:
                html.parent.mkdir(parents=True, exist_ok=True)
                html.write_text(render_html(doc, title=note.stem, facts=facts), encoding="utf-8")
    if html:
        typer.echo(f"{html} written", err=True)
    else:
        typer.echo(table)
    echo_problems(doc._.problems)
