"""A trained pipeline as a wheel that pip installs on another machine."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import spacy
from spacy.cli.package import package as make_package
from spacy.language import Language

from .. import __version__
from ..errors import TrainingError
from ..formats.corpus import own_schema
from .base import load_base
from .identity import schema_digest
from .weights import write_halved

# Weights that come as packages: their short name in a config > the name that they are known by, and their licence.
_KNOWN = {"minilm": ("all-MiniLM-L6-v2", "Apache-2.0"), "smollm2": ("SmolLM2-135M-Instruct", "Apache-2.0")}
# Extras of setup.cfg: what they serve.
_PARTS = {"bert": "kiwi_spacy.engines.bert", "llama": "kiwi_spacy.engines.llama", "codes": "kiwi_spacy.components.codes"}
_NAMES = ("backbone", "base", "name")  # settings that name weights: the last part of a path says which


def package(
    trained: Path, name: str, version: str, output: Path, *, card: Path | None = None, author: str = "", facts: bool = True,
    eight_bits: bool = False,
) -> Path:
    """Write the wheel `en_NAME-VERSION` into `output` and return its path; nothing is fetched.

    No setting of what is packaged holds a path of this machine: weights and schema are in the wheel, corpora are not.

    trained (Path): The pipeline's folder. card (Path | None): A Markdown file that becomes the package's README.
    facts (bool): Sections and facts are added where the pipeline lacks them.
    eight_bits (bool): The encoder of the bert engine takes eight bits a weight, half of its room, with a scale a row.
    RAISES (TrainingError): The pipeline cannot be loaded, its schema would not travel, or no wheel can be built here.
    """
    nlp = load_base(str(trained))
    added = add_facts(nlp) if facts else []
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "pipeline"
        if added or eight_bits:
            write_halved(nlp, copied, eight_bits=eight_bits)
        else:
            shutil.copytree(trained, copied)
        meta = {
            **nlp.meta, "name": name, "version": version, "author": author or nlp.meta.get("author", ""),
            "description": f"Clinical entities, modifiers and links; kiwi_spacy {__version__}", "license": _licence(nlp),
            "requirements": [f"kiwi-spacy{_extras(nlp)}>={__version__}"],
        }
        (copied / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        config = spacy.util.load_config(copied / "config.cfg", interpolate=False)
        without_paths(config)
        config.to_disk(copied / "config.cfg")
        if schema_digest(own_schema(load_base(str(copied)))) != schema_digest(own_schema(nlp)):
            raise TrainingError(
                f"The schema of '{trained}' is not in its folder, so it cannot travel. Train it anew with this version."
            )
        make_package(copied, Path(folder), create_wheel=False, create_sdist=False, silent=True)
        source = Path(folder) / f"{meta['lang']}_{name}-{version}"
        if card is not None:
            shutil.copy(card, source / "README.md")
        output.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
        done = subprocess.run([*command, "--wheel-dir", str(output), str(source)], capture_output=True, text=True)
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "")
        raise TrainingError(f"pip could not build the wheel: {last} Run: pip install 'kiwi-spacy[package]'")
    return next(output.glob(f"{meta['lang']}_{name}-{version}-*.whl"))


def add_facts(nlp: Language) -> list[str]:
    """Add sections and facts to a pipeline that lacks them, before what cleans its Docs; return what was added."""
    missing = [name for name in ("kiwi_sections", "kiwi_facts") if name not in nlp.pipe_names]
    last = {"before": "doc_cleaner"} if "doc_cleaner" in nlp.pipe_names else {}
    for name in missing:
        nlp.add_pipe(name, **last)  # type: ignore[arg-type]
    return missing


def without_paths(block: dict[str, Any]) -> None:
    """Take the paths of this machine out of a config, in place: the name of weights stays, of anything else nothing.

    >>> block = {"paths": {"backbone": "/models/BiomedBERT", "schema": "site.yml"}, "url": "http://127.0.0.1:8080/v1"}
    >>> without_paths(block)
    >>> block
    {'paths': {'backbone': 'BiomedBERT', 'schema': None}, 'url': 'http://127.0.0.1:8080/v1'}
    """
    for key, value in block.items():
        if isinstance(value, dict):
            without_paths(value)
            if key == "paths":  # files and folders, whatever their names look like
                block[key] = {k: v if k in _NAMES else None for k, v in value.items()}
        elif isinstance(value, str) and "${" not in value and "://" not in value and not key.startswith("@"):
            if key in _NAMES:
                block[key] = value.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
            elif "/" in value or "\\" in value or key in ("schema", "template", "examples"):
                block[key] = None


def _extras(nlp: Language) -> str:
    """Return the extras that a pipeline's components need, such as `[bert,codes]`."""
    modules = [type(pipe).__module__ for _, pipe in nlp.pipeline]
    needed = [extra for extra, part in _PARTS.items() if any(module.startswith(f"{part}.") for module in modules)]
    return f"[{','.join(needed)}]" if needed else ""


def _licence(nlp: Language) -> str:
    """Say which licence holds for code and weights, by the weights that a pipeline's own derive from."""
    paths = nlp.config.get("paths", {})
    base = Path(str(paths.get("backbone") or paths.get("base") or "")).name
    name, licence = _KNOWN.get(base, (base, f"that of {base}" if base else "unknown"))
    return f"MIT (code); weights: {licence}" + (f" (derived from {name})" if base in _KNOWN else "")
