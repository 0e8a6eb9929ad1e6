"""`kiwi vocabulary`: building a vocabulary for `kiwi_codes`, and looking into one."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import KiwiError
from .common import app, one_line

vocabulary = typer.Typer(
    name="vocabulary", help="Build a vocabulary of your own for codes, and look terms up in it.", no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(vocabulary)

File = Annotated[Path | None, typer.Option("--vocabulary", "-v", help="A file that `build` wrote; ICD-10-CM by default.")]
Types = Annotated[str, typer.Option("--types", help="Entity types that its concepts serve, with commas between.")]


class SourceFormat(str, Enum):
    csv = "csv"
    rxnorm = "rxnorm"
    umls = "umls"
    athena = "athena"
    hpo = "hpo"
    icd10cm = "icd10cm"


class Codes(str, Enum):
    cui = "cui"
    source = "source"


@vocabulary.command()
def build(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="A file, or the folder of a release; none for the packaged ICD-10-CM."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("vocabulary.sqlite"),
    format: Annotated[
        SourceFormat, typer.Option("--format", "-f", help="What SOURCE is; `hpo` reads any OBO file.")
    ] = SourceFormat.csv,
    types: Types = "",
    language: Annotated[str, typer.Option("--language", help="As the source writes it: ENG in RRF, a number in Athena.")] = "",
    system: Annotated[
        str, typer.Option("--system", help="The terminology of a CSV or OBO file: icd10cm, snomed, loinc, hpo, …, or its URI.")
    ] = "",
    sources: Annotated[
        list[str] | None, typer.Option("--source", help="Keep this SAB of UMLS or vocabulary_id of Athena; may be repeated.")
    ] = None,
    codes: Annotated[Codes, typer.Option("--codes", help="UMLS: its own codes, or those of the sources.")] = Codes.cui,
    code_column: Annotated[str, typer.Option("--code-column", help="CSV: the column of codes.")] = "code",
    term_column: Annotated[str, typer.Option("--term-column", help="CSV: the column of terms.")] = "term",
    synonyms_column: Annotated[str, typer.Option("--synonyms-column", help="CSV: the column of synonyms, if any.")] = "synonyms",
    type_column: Annotated[str, typer.Option("--type-column", help="CSV: the column of entity types, if any.")] = "type",
    separator: Annotated[str, typer.Option("--separator", help="CSV: what stands between synonyms.")] = "|",
) -> None:
    """Write a vocabulary. Rows that cannot be read are counted and named; all of them stand in the file's table `rejected`."""
    with one_line():
        from ..components.codes.build import build_vocabulary
        from ..components.codes.sources import READERS
        from ..components.codes.sources.term import system_types, system_uri

        if source is None and format is not SourceFormat.icd10cm:
            raise KiwiError(f"--format {format.value} needs a SOURCE. Without one, --format icd10cm takes the packaged list.")
        named = system or ("" if format is SourceFormat.csv else format.value)
        if format is SourceFormat.csv and not system:
            raise KiwiError("A CSV file does not say which terminology it holds. Name it: --system snomed, or its URI.")
        served = tuple(kind.strip() for kind in types.split(",") if kind.strip()) or system_types(named)
        columns = {"code": code_column, "term": term_column, "synonyms": synonyms_column, "type": type_column}
        terms = READERS[format.value](
            source, language=language, sources=tuple(sources or ()), codes=codes.value, columns=columns, separator=separator,
            system=system_uri(system) if system else "",
        )
        try:
            made = build_vocabulary(
                terms, output, system=system_uri(named), types=served, title=named, source=source.name if source else "",
            )
        except OSError as error:
            raise KiwiError(f"{error.filename or output}: {error.strerror}.") from None
    for each in made.first:
        typer.echo(f"{each.file}, line {each.line}: {each.reason}", err=True)
    for reason, times in made.faults.most_common():
        typer.echo(f"{times} x {reason}", err=True)
    for reason, times in made.left_out.most_common():
        typer.echo(f"{times} left out: {reason}", err=True)
    typer.echo(f"{output} written: {made.concepts} concepts, {made.terms} terms, {made.hash[:16]}", err=True)


@vocabulary.command("look-up")
def look_up(
    words: Annotated[str, typer.Argument(metavar="WORDS", help='What a note says, such as "heart attack".')],
    file: File = None,
    kind: Annotated[str, typer.Option("--type", help="The entity type of the words.")] = "problem",
    section: Annotated[str, typer.Option("--section", help="Their section, by which some abbreviations are told.")] = "",
) -> None:
    """Show the code that words get, how it was found, and what came next."""
    with one_line():
        from ..components.codes import Vocabulary, default_vocabulary
        from ..components.codes.abbreviations import load_abbreviations
        from ..components.codes.coding import find_code
        from ..contract.facts import Fact, FactSection
        from ..contract.status import Status

        opened = Vocabulary(file or default_vocabulary())
        place = FactSection(section, section, None) if section else None
        code = find_code(Fact(kind, words, 0, len(words), None, Status(), place), opened, load_abbreviations())
        near = opened.candidates(words, kind) if code is None else []
    if code is None:
        typer.echo("no match")
        for hit in near[:5]:
            typer.echo(f"  {hit.score:.2f}  {hit.concept.code}  {hit.concept.name}  ({hit.term})")
        raise typer.Exit(1)
    typer.echo(f"{code.code}  {code.name}  {code.how} {code.score:.2f}  ({code.term})")
    for other in code.others:
        typer.echo(f"  {other.score:.2f}  {other.code}  {other.name}")


@vocabulary.command()
def info(
    file: File = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="List the rows of the source that could not be read.")] = False,
) -> None:
    """Show what a vocabulary holds."""
    with one_line():
        from ..components.codes import Vocabulary, default_vocabulary

        opened = Vocabulary(file or default_vocabulary())
        rows = opened.rejected() if rejected else []
        typer.echo(f"{'file':9} {opened.path}")
        for name, value in opened.meta.items():
            typer.echo(f"{name:9} {value}")
        for name, line, reason in rows:
            typer.echo(f"{name}, line {line}: {reason}")
