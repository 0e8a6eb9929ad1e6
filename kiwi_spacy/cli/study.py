"""`kiwi evaluate`, `kiwi compare`, `kiwi check` and `kiwi curve`: how well pipelines do on annotated notes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..errors import KiwiError
from .common import Device, OnDevice, Pipeline, SchemaFile, TextDir, app, echo_problems, load_pipeline, one_line, without_text


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
    """Score a pipeline on annotated notes; its facts too, where a folder has status.tsv, values.tsv or sections.tsv."""
    with one_line():
        from ..study.evaluate import evaluate as run

        nlp = load_pipeline(pipeline, device)
        with without_text():
            scores = run(
                nlp, gold, notes, schema=str(schema) if schema else None, text_dir=str(text_dir) if text_dir else None
            )
            table = scores.pop("table")
            if output:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    typer.echo(table)
    echo_problems(scores["problems"])


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
    with one_line():
        from ..schema import load_schema
        from ..study.comparison.compare import compare as run
        from ..study.comparison.compare import parse_gold
        from ..study.comparison.report import write_report

        with without_text():
            report = run(
                pipelines or [], [parse_gold(text, notes, label_map) for text in gold],
                load_schema(str(schema) if schema else None), load=lambda name: load_pipeline(name, device),
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
    with one_line():
        from ..schema import load_schema
        from ..study.comparison.compare import Gold
        from ..study.comparison.report import write_check
        from ..study.site.check import check as run
        from ..train.loop import finetune as tune

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

        with without_text():
            found = run(
                Gold(folder), names, load_schema(str(schema) if schema else None), load=lambda name: load_pipeline(name, device),
                finetune=finetune_on if base and folds > 1 else None, base=base or "", folds=folds, precision=precision,
                show_text=show_text, text_dir=text_dir, progress=lambda line: typer.echo(line, err=True),
            )
            write_check(found, report)
    for line in found["advice"]:
        typer.echo(line)
    typer.echo(f"{report / 'report.html'} written, and report.md and report.json beside it", err=True)


@app.command()
def curve(
    corpus: Annotated[str, typer.Option("--corpus", help="Annotated notes to train on; several folders joined by a comma.")],
    dev: Annotated[Path, typer.Option("--dev", help="Annotated notes to score on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the points and curve.html.")],
    without: Annotated[Path | None, typer.Option("--without", help="File of note names to leave out of the corpus.")] = None,
    dev_notes: Annotated[Path | None, typer.Option("--dev-notes", help="File of note names to score on.")] = None,
    bert_parts: Annotated[str, typer.Option("--bert-parts", help="Percent of the notes, or nothing.")] = "5 10 25 50 100",
    bert_epochs: Annotated[float, typer.Option("--bert-epochs", min=0, help="Passes over each part.")] = 9,
    bert_least_steps: Annotated[int, typer.Option("--bert-least-steps", min=1, help="Steps of small parts.")] = 150,
    bert_rate: Annotated[float, typer.Option("--bert-rate", min=0, help="Highest learning rate.")] = 1.5e-4,
    bert_config: Annotated[Path, typer.Option("--bert-config", help="A .cfg file.")] = Path("configs/bert.cfg"),
    llama_parts: Annotated[str, typer.Option("--llama-parts", help="Percent of the notes, or nothing.")] = "10 100",
    llama_epochs: Annotated[float, typer.Option("--llama-epochs", min=0, help="Passes over each part.")] = 2.5,
    llama_config: Annotated[Path, typer.Option("--llama-config", help="A .cfg file.")] = Path("configs/llama.cfg"),
    seed: Annotated[int, typer.Option("--seed", help="Of the order that parts are drawn in.")] = 0,
    device: OnDevice = Device.cpu,
) -> None:
    """Train both engines on growing parts of annotated notes and draw how the scores grow. Killed, it goes on."""
    with one_line():
        from ..schema import load_schema
        from ..study.comparison.systems import read_source
        from ..study.site.curve import Train, format_curve, learning_curve, read_corpus, write_curve
        from ..train.parts import bert_on_part, llama_on_part

        bert = bert_on_part(
            corpus, bert_config, epochs=bert_epochs, least_steps=bert_least_steps, rate=bert_rate, device=device.value
        )
        llama = llama_on_part(corpus, llama_config, epochs=llama_epochs, device=device.value)
        engines: dict[str, tuple[Sequence[int], Train]] = {
            name: (_percents(f"--{name}-parts", parts), run)
            for name, parts, run in (("bert", bert_parts, bert), ("llama", llama_parts, llama))
            if parts.strip()
        }
        schema = load_schema()
        with without_text():
            found = learning_curve(
                read_corpus(corpus, schema, without=without), read_source(dev, schema, notes=dev_notes), schema, engines, output,
                load=lambda name: load_pipeline(name, device), seed=seed, progress=typer.echo,
            )
            write_curve(found, output)
    typer.echo(format_curve(found))
    typer.echo(f"{output / 'curve.html'} written", err=True)


def _percents(option: str, text: str) -> list[int]:
    """Return the whole numbers of an option.

    >>> _percents("--bert-parts", "25 100")
    [25, 100]
    """
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise KiwiError(f"{option} '{text}': write whole numbers from 1 to 100, such as \"25 100\".") from None


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
