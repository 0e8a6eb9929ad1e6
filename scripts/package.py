"""Build the wheel of a trained pipeline: `python scripts/package.py TRAINED_DIR NAME VERSION OUTPUT_DIR [CARD.md]`."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import spacy
from spacy.cli import package
from spacy.language import Language

import kiwi_spacy

LARGEST = 60_000_000  # bytes a wheel


def _base(nlp: Language) -> str:
    """Return the name of the weights that a pipeline's own derive from."""
    paths = nlp.config["paths"]
    name = Path(str(paths.get("backbone") or paths.get("base"))).name
    return {"minilm": "all-MiniLM-L6-v2", "smollm2": "SmolLM2-135M-Instruct"}.get(name, name)


def main(trained: Path, name: str, version: str, output: Path, card: Path | None = None) -> Path:
    """Write the wheel into `output` and return its path; nothing is fetched."""
    nlp = spacy.load(trained)
    meta = {
        **nlp.meta,
        "name": name,
        "version": version,
        "description": f"Clinical entities, modifiers and links; kiwi_spacy {kiwi_spacy.__version__}",
        "author": "the kiwi_spacy authors",
        "license": f"MIT (code); weights: Apache-2.0 (derived from {_base(nlp)})",
        "requirements": [f"kiwi-spacy>={kiwi_spacy.__version__}"],
    }
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "pipeline"
        shutil.copytree(trained, copied)
        (copied / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        config = spacy.util.load_config(copied / "config.cfg", interpolate=False)
        for key in ("train", "dev", "notes", "without", "text_dir"):
            if key in config["paths"]:  # folders of the machine that trained it
                config["paths"][key] = None
        for key in ("backbone", "base"):
            if key in config["paths"]:
                config["paths"][key] = Path(str(config["paths"][key])).name
        config.to_disk(copied / "config.cfg")
        package(copied, Path(folder), create_wheel=False, create_sdist=False, silent=True)
        source = Path(folder) / f"{meta['lang']}_{name}-{version}"
        if card is not None:
            shutil.copy(card, source / "README.md")
        output.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
        subprocess.run([*command, "--wheel-dir", str(output), str(source)], check=True)
    wheel = next(output.glob(f"{meta['lang']}_{name}-{version}-*.whl"))
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"{wheel} has {size} bytes, more than {LARGEST}: choose a smaller backbone or rank.")
    print(f"{wheel}: {size / 1e6:.1f} MB")
    return wheel


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), *(Path(p) for p in sys.argv[5:]))
