"""Adapters of PEFT: attached to a base model, written, merged into one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from ...errors import KiwiError
from .markup import label_of


def attach(model: Any, tags: Sequence[int], *, rank: int, alpha: int, dropout: float) -> Any:
    """Return a base model with a fresh adapter: LoRA on its linear layers, trained rows for its tags."""
    from peft import LoraConfig, get_peft_model

    rows = None
    if tags:
        tied = model.config.tie_word_embeddings
        rows = {"embed_tokens": list(tags)} if tied else {"embed_tokens": list(tags), "lm_head": list(tags)}
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        trainable_token_indices=rows,
    )
    return get_peft_model(model, config)


def reattach(model: Any, folder: Path, *, dropout: float) -> Any:
    """Return a base model with an adapter to train further; rank and alpha are those that it was written with.

    RAISES (KiwiError): The adapter is of another base.
    """
    from peft import PeftConfig, PeftModel

    config: Any = PeftConfig.from_pretrained(str(folder))
    config.lora_dropout = dropout
    with _fitting(folder):
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True, config=config, local_files_only=True)


def start_tags(model: Any, tokenizer: Any, tags: Sequence[str]) -> None:
    """Set the embeddings of new tags to the mean of what spells them, labels weighing as much as all the rest."""
    ids = tokenizer.convert_tokens_to_ids(list(tags))
    for table in {id(t): t for t in (model.get_input_embeddings(), model.get_output_embeddings())}.values():
        weight = table.weight.data
        for tag, id_ in zip(tags, ids):
            spelt = tokenizer(tag, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            row = weight[spelt].float().mean(0)
            label = label_of(tag)
            if label:
                words = tokenizer.encode(" " + label.replace("_", " "), add_special_tokens=False)
                row = (row + weight[words].float().mean(0)) / 2
            weight[id_] = row.to(weight.dtype)


def save_adapter(model: Any, tokenizer: Any, folder: Path, base: str) -> None:
    """Write an adapter in half precision, with the tokenizer that holds its tags.

    base (str): The base's name, for people: the adapter is loaded onto whatever base the pipeline names.
    """
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder, save_embedding_layers=False)
    weights = folder / "adapter_model.safetensors"
    halved = {name: tensor.half().contiguous() for name, tensor in load_file(weights).items()}
    save_file(halved, weights, metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card


def merge_adapter(model: Any, folder: Path) -> Any:
    """Return a base model with a PEFT adapter merged into it.

    RAISES (KiwiError): The adapter is of another base.
    """
    from peft import PeftModel

    with _fitting(folder):
        return PeftModel.from_pretrained(model, str(folder), local_files_only=True).merge_and_unload().eval()


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError:  # shapes that do not fit
        raise KiwiError(
            f"The adapter in '{folder}' does not fit the base model: it was trained on another. "
            "Name that one as the model's base."
        ) from None
