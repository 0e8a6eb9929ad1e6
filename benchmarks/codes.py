"""Print how often terms that were taken out of ICD-10-CM come back, and what building and looking up cost.

    python benchmarks/codes.py [--seed 4] [--terms 2000000]

500 inclusion terms, by a seed, are taken out of the vocabulary, and looked up in the rest. Right is the very code that the list
gives the term; a code of the same category counts as wrong, and is told apart. With --terms, a vocabulary of so many made-up
terms is built and asked, in seconds and in milliseconds a look-up, same words, slips and like words mixed.
"""

import argparse
import random
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from kiwi_spacy.components.codes import Vocabulary, build_vocabulary
from kiwi_spacy.components.codes.sources import Term
from kiwi_spacy.components.codes.sources.icd10cm import read_icd10cm
from kiwi_spacy.components.codes.vocabulary import settings
from kiwi_spacy.components.codes.words import key, normal, unqualified

THRESHOLDS = (0.95, 0.92, 0.90, 0.85, 0.80, 0.75, 0.70, 0.60)


def same(text: str) -> str:
    """Return what two terms have in common that say the same."""
    return key(normal(unqualified(text)))


def held_out(seed: int, number: int = 500) -> None:
    """Print right, wrong and unmatched of held-out inclusion terms, by threshold."""
    terms = [term for term in read_icd10cm() if isinstance(term, Term)]
    codes: dict[str, set[str]] = defaultdict(set)
    for term in terms:
        codes[same(term.text)].add(term.code)
    shuffled = [term for term in terms if term.rank == 1]
    random.Random(seed).shuffle(shuffled)
    sample: dict[str, str] = {}
    for term in shuffled:
        if len(sample) < number:
            sample.setdefault(same(term.text), term.text)
    with tempfile.TemporaryDirectory() as folder:
        rest = (term for term in terms if term.rank == 0 or same(term.text) not in sample)
        build_vocabulary(rest, Path(folder) / "rest.sqlite")
        vocabulary = Vocabulary(Path(folder) / "rest.sqlite")
        answers: list[tuple[set[str], str, float]] = []  # the right codes, the one found, its score
        for text in sample.values():
            found = vocabulary.exact(text)
            if found.best is None:
                found = vocabulary.near(text, threshold=0.0)
            best = found.best
            answers.append((codes[same(text)], best.concept.code if best else "", best.score if best else -1.0))
    shipped = settings()["threshold"]
    print(f"codes: {number} inclusion terms of ICD-10-CM taken out, seed {seed}; the shipped threshold is {shipped}")
    print("  threshold  right  wrong  (of the right category)  unmatched")
    for threshold in sorted({*THRESHOLDS, shipped}, reverse=True):
        counts: Counter[str] = Counter()
        for right, found_code, score in answers:
            if score < threshold:
                counts["unmatched"] += 1
            elif found_code in right:
                counts["right"] += 1
            else:
                counts["wrong"] += 1
                counts["category"] += found_code[:3] in {code[:3] for code in right}
        print(f"  {threshold:9.2f}  {counts['right']:5}  {counts['wrong']:5}  {counts['category']:23}  {counts['unmatched']:9}")


def made_up(number: int) -> Iterator[Term]:
    """Yield terms of three to six words from 100,000, a few of them common as in a terminology."""
    rng = random.Random(0)
    letters = "bcdfglmnprst", "aeiou"
    words = ["".join(rng.choice(letters[i % 2]) for i in range(rng.randint(6, 11))) for _ in range(100_000)]
    for i in range(number):
        chosen = [words[int(len(words) * rng.random() ** 3)] for _ in range(rng.randint(3, 6))]
        yield Term(str(i // 2), " ".join(chosen), i % 2)


def cost(number: int) -> None:
    """Print what it takes to build a vocabulary of made-up terms, and to look up in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.sqlite"
        began = time.perf_counter()
        build_vocabulary(made_up(number), path)
        took = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = path.stat().st_size / 1e6
        print(f"codes: {number} terms built in {took:.0f} s, {size:.0f} MB, peak memory {memory:.0f} MB")
        vocabulary = Vocabulary(path)
        asked = [term.text.split() for term, _ in zip(made_up(number), range(3000))]
        kinds = {
            "same words": [" ".join(words) for words in asked[:1000]],
            "a slip": [" ".join([words[0][:-2] + words[0][-1], *words[1:]]) for words in asked[1000:2000]],
            "a word less": [" ".join(words[1:]) for words in asked[2000:]],
        }
        for name, texts in kinds.items():
            began = time.perf_counter()
            hits = 0
            for text in texts:
                found = vocabulary.exact(text)
                hits += (found if found.best else vocabulary.near(text)).best is not None
            took = (time.perf_counter() - began) / len(texts) * 1000
            print(f"  {name:11} {took:.2f} ms a look-up, {hits} of {len(texts)} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--terms", type=int, default=0)
    args = parser.parse_args()
    held_out(args.seed)
    if args.terms:
        cost(args.terms)


if __name__ == "__main__":
    main()
