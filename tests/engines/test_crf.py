"""The field over spans against brute force."""

import itertools

import pytest
import torch

from kiwi_spacy.engines.bert import crf
from kiwi_spacy.engines.bert.tagger import whole_spans


def legal_paths(length: int, labels: int) -> list[list[int]]:
    """All tag sequences of whole spans, found by trying every one."""

    def legal(path: tuple[int, ...]) -> bool:
        inside = None
        for tag in path:
            kind, label = (0, None) if tag == 0 else ((tag - 1) // labels + 1, (tag - 1) % labels)
            if kind in (0, 1, 2) and inside is not None:
                return False
            if kind in (3, 4) and inside != label:
                return False
            inside = label if kind in (2, 3) else None
        return inside is None

    return [list(p) for p in itertools.product(range(crf.tag_count(labels)), repeat=length) if legal(p)]


def spans_of(path: list[int], labels: int) -> list[tuple[int, int, int]]:
    spans, start = [], 0
    for i, tag in enumerate(path):
        kind = 0 if tag == 0 else (tag - 1) // labels + 1
        if kind in (1, 2):
            start = i
        if kind in (1, 4):
            spans.append((start, i + 1, (tag - 1) % labels))
    return spans


@pytest.mark.parametrize("seed", range(4))
def test_decode_and_likelihood_equal_brute_force(seed: int) -> None:
    torch.manual_seed(seed)
    labels, length = 2, 4
    scores = torch.randn(1, length + 1, crf.tag_count(labels), dtype=torch.float64) * 2
    mask = torch.tensor([[True] * length + [False]])
    paths = legal_paths(length, labels)
    totals = torch.stack([sum(scores[0, i, tag] for i, tag in enumerate(path)) for path in paths])
    probabilities = totals.softmax(0)
    best = paths[int(totals.argmax())]
    found = crf.decode(scores, mask)[0]
    assert [span[:3] for span in found] == spans_of(best, labels)
    for start, end, label, p in found:
        exact = sum(float(q) for path, q in zip(paths, probabilities) if (start, end, label) in spans_of(path, labels))
        assert p == pytest.approx(exact, abs=1e-6)
    gold = torch.tensor([[*best, 0]])
    assert float(crf.log_likelihood(scores, mask, gold)) == pytest.approx(float(probabilities.max().log()), abs=1e-6)


def test_no_cut_span_is_taught() -> None:
    n = 1  # O 0, S 1, B 2, I 3, E 4
    assert whole_spans([4, 0, 1, 2], n) == [0, 0, 1, 0]
    assert whole_spans([3, 3, 3], n) == [0, 0, 0]
    assert whole_spans([2, 3, 4], n) == [2, 3, 4]


def test_tags_and_spans_round_trip() -> None:
    spans = [(0, 1, 1), (1, 4, 0), (5, 7, 2)]
    assert spans_of(crf.span_tags(spans, 8, 3), 3) == spans
