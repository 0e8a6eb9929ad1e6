"""Print how well facts are told: sections, values and status, with spans given and with the pipeline finding them.

    python benchmarks/facts.py [SHARED] [--pipeline en_kiwi_bert] [--misses]

Sections, values and status of our own corpus need nothing else. SHARED, by default the folder that the environment variable
KIWI_SHARED names, holds `negex/sentences.tsv` (number, mention, sentence, negation, time, whom) and `behaviour/cases.txt`. With a
pipeline, also what it finds in them, behaviour by kind, and what facts cost beside it, on the notes of our own corpus.
`--misses` names each value and status of our own corpus that differs from the gold, by note and offsets.
"""

import argparse
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import spacy
from codes import held_out
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.components.facts import derive_facts
from kiwi_spacy.contract.facts import Fact
from kiwi_spacy.study.fact_gold import DEFAULTS
from kiwi_spacy.study.facts import (
    Rates,
    given_folder,
    heading_rates,
    judge_status,
    judge_values,
    status_counts,
    value_counts,
    value_rates,
)

ROOT = Path(__file__).parent.parent
KINDS = ("scope", "post", "uncertain", "family", "condition")  # the kinds of short lines that status answers for
TOKENS = {"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}}


def shown(rates: Rates) -> str:
    """Return precision, recall and F1 with what they are counted from."""
    return (
        f"precision {rates.precision:.3f} recall {rates.recall:.3f} F1 {rates.f1:.3f} "
        f"({rates.right} found, {rates.found - rates.right} wrong, {rates.gold - rates.right} missed)"
    )


def rates_of(counts: Counter[tuple[bool, bool]]) -> Rates:
    """Return the rates of (gold, found) counts."""
    hits = counts[True, True]
    return Rates(hits + counts[True, False], hits + counts[False, True], hits)


def sections() -> Rates:
    """Compare headings and keys with those marked by hand in our own corpus."""
    parts = [heading_rates(*given_folder(ROOT / "corpus" / part)) for part in ("train", "dev", "test")]
    return Rates(sum(p.gold for p in parts), sum(p.found for p in parts), sum(p.right for p in parts))


def own_corpus(*, misses: bool = False) -> None:
    """Print values and status of the test part of our own corpus, spans given."""
    gold, found = given_folder(ROOT / "corpus/test")
    values, status = judge_values(gold, found, "given"), judge_status(gold, found, "given")
    print(f"values, own corpus, spans given: F1 {value_rates(values).f1:.3f}")
    for label in sorted({each.what for each in values}):
        mine = [each for each in values if each.what == label]
        print(f"  {label:15} F1 {value_rates(mine).f1:.3f}  {dict(value_counts(mine))}")
    print("status, own corpus, spans given")
    for axis, default in DEFAULTS.items():
        accuracy, rates = status_counts(status, axis)
        print(f"  {axis:11} accuracy {accuracy:.3f}; of what is not {default}: {shown(rates)}")
    for each in values + status if misses else ():
        if each.gold != each.found:
            print(f"  {each.note} {each.start_char}-{each.end_char} {each.what}: gold {each.gold}, found {each.found}")


def sentences(path: Path) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield each sentence that holds its mention, the mention's place, and what is said of it."""
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        _, mention, text, *says = line.split("\t")
        words = mention.split()
        for spelt in (mention.upper().split(), words):  # the mention stands in capitals
            match = re.search(r"\s+".join(map(re.escape, spelt)), text, 0 if spelt != words else re.IGNORECASE)
            if match:
                yield text, match.start(), match.end(), [each.strip() for each in says]
                break


def tally(path: Path, fact_of: Callable[[str, int, int], Fact | None]) -> None:
    """Print negation, history and whose, of one fact a sentence; a mention of which there is none counts as affirmed."""
    negated, historical, others = (Counter[tuple[bool, bool]]() for _ in range(3))
    found = total = 0
    for text, start, end, (negation, when, whom) in sentences(path):
        fact = fact_of(text, start, end)
        total += 1
        found += fact is not None
        negated[negation == "Negated", fact is not None and fact.status.certainty == "absent"] += 1
        historical[when == "Historical", fact is not None and fact.status.time == "historical"] += 1
        others[whom != "Patient", fact is not None and fact.status.experiencer != "patient"] += 1
    print(f"  mentions {total}, with a fact {found}")
    for name, counts in (("negated", negated), ("historical", historical), ("not patient", others)):
        print(f"  {name:11} {shown(rates_of(counts))}")


def given(nlp: Language) -> Callable[[str, int, int], Fact]:
    def fact_of(text: str, start: int, end: int) -> Fact:
        doc = nlp.make_doc(text)
        span = doc.char_span(start, end, label="problem", alignment_mode="expand")
        doc.set_ents([span])
        return derive_facts(doc)[0]

    return fact_of


def found_by(nlp: Language) -> Callable[[str, int, int], Fact | None]:
    def fact_of(text: str, start: int, end: int) -> Fact | None:
        facts = [fact for fact in derive_facts(nlp(text)) if fact.start_char < end and fact.end_char > start]
        return max(facts, key=lambda fact: min(fact.end_char, end) - max(fact.start_char, start), default=None)

    return fact_of


def behaviour(path: Path, nlp: Language) -> None:
    """Print the share of expectations about status that are met, by kind."""
    met: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            kind, text, wants = (part.strip() for part in line.split(" | "))
            doc = nlp(text)
            for want in filter(None, map(str.strip, wants.split(";"))):
                asked[kind] += 1
                met[kind] += meets(doc, derive_facts(doc), want)
    for kind in asked:
        print(f"  {kind:10} {met[kind]:3} of {asked[kind]:3}")
    chosen = sum(met[kind] for kind in KINDS), sum(asked[kind] for kind in KINDS)
    print(f"  {', '.join(KINDS)}: {chosen[0] / chosen[1]:.3f}; all lines: {sum(met.values()) / sum(asked.values()):.3f}")


def place(text: str, words: str) -> tuple[int, int]:
    words, _, which = words.replace("_", " ").partition("#")
    start = -1
    for _ in range(int(which or 1)):
        start = text.index(words, start + 1)
    return start, start + len(words)


def meets(doc: Doc, facts: list[Fact], want: str) -> bool:
    """Whether facts are as a line wants: `label:words`, then `modifier:words` or a flag."""
    head, *parts = want.split()
    rule, _, rest = head.partition(":")
    label, words = (rest.split(":", 1) if rule == "not" else (rule, rest)) if rule != "none" else ("", rest)
    start, end = place(doc.text, words)
    hits = [f for f in facts if f.start_char < end and f.end_char > start and label in ("", f.type)]
    if rule in ("none", "not"):
        return not hits
    if not hits:
        return False
    fact = max(hits, key=lambda f: min(f.end_char, end) - max(f.start_char, start))
    said = fact.status
    flags = {
        "neg": said.certainty == "absent", "unc": said.certainty == "possible", "fam": said.experiencer != "patient",
        "cond": said.condition is not None,
    }
    flags |= {"pos": not flags["neg"], "plain": not any(flags.values())}
    for part in parts:
        if part in flags:
            if not flags[part]:
                return False
            continue
        modifier, words = part.split(":", 1)
        low, high = place(doc.text, words)
        group = fact.attributes.get(modifier.lstrip("!"), ())
        if any(a.start_char < high and a.end_char > low for a in group) == modifier.startswith("!"):
            return False
    return True


def cost(nlp: Language) -> None:
    """Print the time that facts take a note beside that of the pipeline, in processor time."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "corpus/train").glob("*.txt"))]
    started = time.process_time()
    docs = list(nlp.pipe(texts))
    between = time.process_time()
    facts = sum(len(derive_facts(doc)) for doc in docs)
    done = time.process_time()
    ours, whole = (done - between) / len(docs) * 1000, (between - started) / len(docs) * 1000
    print(f"  {len(docs)} notes, {facts} facts: {ours:.1f} ms a note, the pipeline {whole:.1f} ms ({ours / whole:.0%})")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, nargs="?", default=os.environ.get("KIWI_SHARED") or None)
    parser.add_argument("--pipeline")
    parser.add_argument("--misses", action="store_true")
    args = parser.parse_args()
    print(f"sections, own corpus\n  {shown(sections())}")
    own_corpus(misses=args.misses)
    held_out(seed=4)
    if not args.shared:
        print("negex and behaviour are left out: name their folder, or set KIWI_SHARED")
        return
    print("negex, mention given")
    tally(args.shared / "negex/sentences.tsv", given(spacy.blank("en", config=TOKENS)))
    if args.pipeline:
        nlp = spacy.load(args.pipeline)
        print(f"negex, found by {args.pipeline}")
        tally(args.shared / "negex/sentences.tsv", found_by(nlp))
        print("behaviour, by the status of facts")
        behaviour(args.shared / "behaviour/cases.txt", nlp)
        print("cost")
        cost(nlp)


if __name__ == "__main__":
    main()
