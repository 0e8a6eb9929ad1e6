"""A conditional random field over spans: tags O, S, B, I, E, in which only whole spans can be said.

Scores come as (sequences, length, 1 + 4 * labels): O, then S, B, I, E of every label. The only
transitions are the legal ones, so a step costs O(labels), not O(tags squared).
"""

import math

import torch
from torch import Tensor

NEVER = -1e4  # a score that no path can afford; finite, so that gradients stay numbers


def tag_count(labels: int) -> int:
    """Return the number of scores a token needs."""
    return 1 + 4 * labels


def _parts(scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    n = (scores.shape[-1] - 1) // 4
    outside, rest = scores[..., 0], scores[..., 1:]
    return outside, rest[..., :n], rest[..., n : 2 * n], rest[..., 2 * n : 3 * n], rest[..., 3 * n :]


def _forward(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return (log sum of the paths that are outside any span after t tokens, for t = 0..length; final)."""
    outside, single, begin, inside, end = _parts(scores)
    free = torch.logsumexp(torch.cat([outside[..., None], single], -1), -1)
    out = scores.new_zeros(scores.shape[0])
    within = torch.full_like(begin[:, 0], NEVER)
    outs = [out]
    for t in range(scores.shape[1]):
        live = mask[:, t]
        closed = torch.logsumexp(torch.cat([(out + free[:, t])[:, None], within + end[:, t]], -1), -1)
        opened = torch.logaddexp(out[:, None] + begin[:, t], within + inside[:, t])
        out = torch.where(live, closed, out)
        within = torch.where(live[:, None], opened, within)
        outs.append(out)
    return torch.stack(outs, 1), out


def _backward(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the log sum of the ways to finish from outside, with t tokens read, for t = 0..length."""
    outside, single, begin, inside, end = _parts(scores)
    free = torch.logsumexp(torch.cat([outside[..., None], single], -1), -1)
    out = scores.new_zeros(scores.shape[0])
    within = torch.full_like(begin[:, 0], NEVER)
    outs = [out]
    for t in reversed(range(scores.shape[1])):
        live = mask[:, t]
        closed = torch.logsumexp(torch.cat([(out + free[:, t])[:, None], within + begin[:, t]], -1), -1)
        going = torch.logaddexp(out[:, None] + end[:, t], within + inside[:, t])
        out = torch.where(live, closed, out)
        within = torch.where(live[:, None], going, within)
        outs.append(out)
    return torch.stack(outs[::-1], 1)


def log_likelihood(scores: Tensor, mask: Tensor, gold: Tensor) -> Tensor:
    """Return the log probability of each gold tag sequence, float (sequences,).

    scores: float (sequences, length, tags); mask: bool (sequences, length), true for tokens, which
    come first; gold: int (sequences, length), indices of tags that form whole spans.
    """
    path = scores.gather(2, gold[..., None]).squeeze(2)
    return (path * mask).sum(1) - _forward(scores, mask)[1]


def decode(scores: Tensor, mask: Tensor) -> list[list[tuple[int, int, int, float]]]:
    """Return the spans of the best path of each sequence: (start, end, label, probability).

    Half-open token ranges within the sequence; the probability is that of the span in all paths.
    """
    outside, single, begin, inside, end = _parts(scores)
    free, free_label = torch.cat([outside[..., None], single], -1).max(-1)
    n, length = mask.shape
    out = scores.new_zeros(n)
    within = torch.full_like(begin[:, 0], NEVER)
    from_within, from_label, went_on = [], [], []
    for t in range(length):
        live = mask[:, t]
        ended, label = (within + end[:, t]).max(-1)
        alone = out + free[:, t]
        opened, continued = out[:, None] + begin[:, t], within + inside[:, t]
        from_within.append(ended > alone)
        from_label.append(label)
        went_on.append(continued > opened)
        out = torch.where(live, torch.maximum(ended, alone), out)
        within = torch.where(live[:, None], torch.maximum(opened, continued), within)
    if not length:
        return [[] for _ in range(n)]
    closes = torch.stack(from_within, 1).tolist()
    labels = torch.stack(from_label, 1).tolist()
    continues = torch.stack(went_on, 1).numpy()
    singles = free_label.tolist()
    alpha, total = _forward(scores, mask)
    before, after = (alpha - total[:, None]).numpy(), _backward(scores, mask).numpy()
    numbers = [part.numpy() for part in (single, begin, inside, end)]
    results = []
    for s, size in enumerate(mask.sum(1).tolist()):
        spans = []
        t = size - 1
        while t >= 0:
            if closes[s][t]:
                label, stop = labels[s][t], t + 1
                score = numbers[3][s, t, label]
                t -= 1
                while continues[s, t, label]:
                    score += numbers[2][s, t, label]
                    t -= 1
                score += numbers[1][s, t, label]
            elif singles[s][t]:
                label, stop = singles[s][t] - 1, t + 1
                score = numbers[0][s, t, label]
            else:
                t -= 1
                continue
            logp = float(before[s, t] + score + after[s, stop])
            spans.append((t, stop, label, math.exp(min(0.0, logp))))
            t -= 1
        results.append(spans[::-1])
    return results


def span_tags(spans: list[tuple[int, int, int]], length: int, labels: int) -> list[int]:
    """Return the tags of non-overlapping spans (start, end, label).

    >>> span_tags([(0, 1, 1), (2, 5, 0)], 6, 2)
    [2, 0, 3, 5, 7, 0]
    """
    tags = [0] * length
    for start, end, label in spans:
        if end == start + 1:
            tags[start] = 1 + label
        else:
            tags[start] = 1 + labels + label
            tags[start + 1 : end - 1] = [1 + 2 * labels + label] * (end - start - 2)
            tags[end - 1] = 1 + 3 * labels + label
    return tags
