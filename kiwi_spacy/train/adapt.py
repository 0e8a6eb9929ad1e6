"""Go on with masked-language training of an encoder on unlabelled clinical text, before a pipeline is trained on it."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ..engines.bert.backbones import backbone_path
from ..errors import TrainingError
from ..extras import extra
from ..formats.inputs import read_texts

with extra("bert"):
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer


def pack(texts: Iterator[str], tokenizer: Any, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut all texts, joined, into rows of `length` word pieces.

    RETURNS: ids, int64 (rows, length), each row begun by [CLS] and ended by [SEP]; and a
        boolean (rows, length) that is true where a word goes on from the piece before.
    """
    ids: list[int] = []
    inside: list[bool] = []
    tokenizer.model_max_length = 10**9
    for text in texts:
        encoding = tokenizer(text, add_special_tokens=False)
        words = encoding.word_ids()
        ids += encoding["input_ids"] + [tokenizer.sep_token_id]
        inside += [i > 0 and words[i] == words[i - 1] for i in range(len(words))] + [False]
    body = length - 2
    rows = len(ids) // body
    pieces = torch.tensor(ids[: rows * body]).view(rows, body)
    follows = torch.tensor(inside[: rows * body]).view(rows, body)
    edge = torch.zeros(rows, 1, dtype=torch.bool)
    cls = torch.full((rows, 1), tokenizer.cls_token_id)
    sep = torch.full((rows, 1), tokenizer.sep_token_id)
    return torch.cat([cls, pieces, sep], 1), torch.cat([edge, follows, edge], 1)


def mask_words(
    ids: torch.Tensor, follows: torch.Tensor, tokenizer: Any, rate: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose whole words to predict: 80% become [MASK], 10% a random piece, 10% stay.

    RETURNS: the spoilt ids and a boolean of the chosen places, both (rows, length).
    """
    word = (~follows).cumsum(1)
    draw = torch.rand(ids.shape, generator=generator).gather(1, word - 1)
    special = (ids == tokenizer.cls_token_id) | (ids == tokenizer.sep_token_id)
    chosen = (draw < rate) & ~special
    fate = torch.rand(ids.shape, generator=generator)
    spoilt = ids.clone()
    spoilt[chosen & (fate < 0.8)] = tokenizer.mask_token_id
    swapped = chosen & (fate >= 0.9)
    first = min(1000, len(tokenizer) // 2)  # BERT's vocabularies begin with special and unused pieces
    spoilt[swapped] = torch.randint(first, len(tokenizer), (int(swapped.sum()),), generator=generator)
    return spoilt, chosen


def prediction_head(model: Any) -> torch.nn.Module:
    """Return what predicts pieces from an encoder's vectors: `cls` in BERT, `lm_head` in MPNet and RoBERTa.

    RAISES (TrainingError): The model has several such parts, or none.
    """
    heads = [part for name, part in model.named_children() if name != model.base_model_prefix]
    if len(heads) != 1:
        raise TrainingError(
            f"An encoder of the kind '{model.config.model_type}' cannot be adapted: its prediction of words has {len(heads)} "
            "parts, and one is expected, as in BERT, MPNet and RoBERTa."
        )
    head: torch.nn.Module = heads[0]
    return head


def adapt(
    texts: Sequence[Path], output: Path, *, backbone: str = "minilm", epochs: float = 1.0, length: int = 128,
    batch_size: int = 16, rate: float = 3e-4, head_factor: float = 1.0, mask_rate: float = 0.2, seed: int = 0,
    precision: Literal["single", "bfloat16"] = "single", checkpoint_every: int = 100,
    progress: Callable[[str], None] = lambda line: None,
) -> None:
    """Adapt an encoder to clinical language and write it as a transformers directory, to be named as a config's backbone.

    A killed run goes on from its last checkpoint, with its optimizer's state.

    texts (Sequence[Path]): Text files, .jsonl(.gz) files, or folders of .txt. backbone (str): A name or a directory.
    epochs (float): Passes over the text. length (int): Word pieces a row. batch_size (int): Rows a step.
    rate (float): Highest learning rate. head_factor (float): How many times that the layer that predicts words takes; it is
        new where the encoder came without one. mask_rate (float): Share of the words to predict.
    precision (str): What matrices are multiplied in; the weights stay single.
    RAISES (TrainingError): The texts are too short for one step, or the encoder's kind is not known.
    """
    torch.manual_seed(seed)
    source = backbone_path(backbone)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    maximum = tokenizer.model_max_length
    model = AutoModelForMaskedLM.from_pretrained(source, local_files_only=True).train()
    ids, follows = pack((text for path in texts for _, text in read_texts(path)), tokenizer, length)
    tokenizer.model_max_length = maximum
    order: list[int] = []
    shuffler = random.Random(seed)
    total = int(len(ids) * epochs) // batch_size
    if not total:
        raise TrainingError(f"{len(ids)} rows of {length} word pieces are too few for a step of {batch_size}. Give more text.")
    while len(order) < total * batch_size:
        order += shuffler.sample(range(len(ids)), len(ids))
    head = prediction_head(model)
    encoder = list(model.base_model.parameters())  # the output embeddings are tied to its own
    known = {id(parameter) for parameter in encoder}
    new = [parameter for parameter in head.parameters() if id(parameter) not in known]
    groups: list[dict[str, Any]] = [{"params": encoder}, {"params": new, "lr": rate * head_factor}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01, fused=True)
    warmup = max(1, total // 15)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (total - step) / max(1, total - warmup))
    )
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = output / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    progress(f"{len(ids)} rows of {length} word pieces, {total} steps, starting at step {first}")
    began, sum_loss = time.time(), 0.0
    for step in range(first, total):
        rows = order[step * batch_size : (step + 1) * batch_size]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        spoilt, chosen = mask_words(ids[rows], follows[rows], tokenizer, mask_rate, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            guesses = head(model.base_model(spoilt).last_hidden_state[chosen])
        loss = torch.nn.functional.cross_entropy(guesses.float(), ids[rows][chosen])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        sum_loss += float(loss.detach())
        if (step + 1) % 25 == 0:
            speed = (step + 1 - first) * batch_size * length / (time.time() - began)
            progress(f"step {step + 1}/{total}  loss {sum_loss / 25:.3f}  {speed:.0f} pieces/s")
            sum_loss = 0.0
        if (step + 1) % checkpoint_every == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"schedule": schedule.state_dict(), "step": step + 1}
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    model.base_model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    checkpoint.unlink(missing_ok=True)
