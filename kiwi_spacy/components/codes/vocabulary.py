"""A vocabulary at use: a read-only SQLite file, shared by threads and processes."""

import math
import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from ...errors import KiwiError
from ...extras import extra
from ..rules import read_rules
from .build import FORMAT
from .words import key as key_of
from .words import normal, rules, unqualified

How = Literal["exact", "abbreviation", "parts", "fuzzy"]
_MATCH = Path(__file__).parent / "match.yml"


@lru_cache(maxsize=1)
def settings() -> dict[str, Any]:
    """Return the numbers of `match.yml`."""
    return read_rules(_MATCH)


@dataclass(frozen=True)
class Concept:
    """A concept of a vocabulary; no types means all that the vocabulary serves."""

    id: int
    system: str
    code: str
    name: str
    types: tuple[str, ...] = ()
    parent: str = ""
    omop: int | None = None


@dataclass(frozen=True)
class Hit:
    """A concept with the term by which it was found, and how like the words that term is (0 to 1)."""

    concept: Concept
    term: str
    score: float


@dataclass(frozen=True)
class Found:
    """What a look-up gave: `best` is None where nothing is near enough or two are alike; `others` are the next, best first."""

    best: Hit | None
    others: tuple[Hit, ...] = ()
    how: How | None = None


class Vocabulary:
    """Look-ups in a file that `kiwi vocabulary build` wrote. It may be pickled, forked and used by many threads."""

    def __init__(self, path: str | Path) -> None:
        """Open the file.

        RAISES (KiwiError): The file is missing, none of ours or of another version, or the extra is not installed.
        """
        with extra("codes"):
            from rapidfuzz.distance import OSA
        self._distance = OSA.distance
        self.path = Path(path)
        self._local = threading.local()
        if not self.path.is_file():
            raise KiwiError(
                f"No vocabulary at '{self.path}'. Build one by `kiwi vocabulary build SOURCE --output {self.path.name}`, or name "
                "where it is: spacy.load(NAME, config={'components': {'kiwi_codes': {'vocabularies': [PATH]}}})."
            )
        try:
            self.meta = dict(self._db.execute("select name, value from meta").fetchall())
        except sqlite3.DatabaseError:
            raise KiwiError(f"'{self.path}' is no vocabulary. Build one by `kiwi vocabulary build`.") from None
        if self.meta.get("format") != FORMAT:
            raise KiwiError(
                f"'{self.path}' was built by another version (form {self.meta.get('format')}, not {FORMAT}). Build it again."
            )
        self.types = tuple(self.meta["types"].split())
        self.hash = self.meta["hash"]
        self._total = max(2, int(self.meta["terms"]))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection of this thread of this process: SQLite's must not go through a fork."""
        kept = getattr(self._local, "kept", None)
        if kept is None or kept[0] != os.getpid():
            db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            db.execute("pragma mmap_size = 4294967296")  # pages are shared by all processes and cost none of them memory
            kept = self._local.kept = (os.getpid(), db)
        return kept[1]

    def exact(self, text: str, kind: str | None = None) -> Found:
        """Look words up as they are, but for case, order, plurals and what `words.yml` says is the same.

        kind (str | None): The entity type that the concept must serve.
        """
        hits = self._with_key(key_of(normal(text)), kind)
        if not hits:
            hits = self._with_key(key_of(normal(unqualified(text))), kind)
        return self._one_of(hits, "exact")

    def _with_key(self, key: str, kind: str | None) -> list[tuple[int, Hit]]:
        """Return (rank, hit) of each concept that has a key, lowest rank first."""
        rows = self._db.execute(
            "select t.rank, t.text, c.id, c.system, c.code, c.name, c.types, c.parent, c.omop from terms t "
            "join concepts c on c.id = t.concept where t.key = ? order by t.rank, c.code limit 50", (key,),
        )
        found = [(rank, Hit(_concept(row), text, 1.0)) for rank, text, *row in rows]
        return [(rank, hit) for rank, hit in found if _serves(hit.concept, kind)]

    def _one_of(self, hits: Sequence[tuple[int, Hit]], how: How) -> Found:
        """Choose one of the concepts that share a key: that of the lowest rank, and below it one that says no more."""
        if not hits:
            return Found(None)
        least, best = hits[0]
        chain = [best]
        for _, hit in hits[1:]:
            if self._is_above(chain[-1].concept, hit.concept):  # "Heart failure" I50, and "Heart failure, unspecified" I50.9
                chain.append(hit)
        equal = [hit for rank, hit in hits[1:] if rank == least and hit not in chain]
        rivals = [hit for hit in equal if not self._is_above(hit.concept, best.concept)]
        others = tuple(hit for _, hit in hits if hit is not chain[-1])[: settings()["runners_up"]]
        return Found(None, tuple(hit for _, hit in hits)[: settings()["runners_up"]]) if rivals else Found(chain[-1], others, how)

    def _is_above(self, upper: Concept, lower: Concept) -> bool:
        """Whether a concept stands above another of the same terminology."""
        parent = lower.parent
        for _ in range(20):
            if not parent or upper.system != lower.system:
                return False
            if parent == upper.code:
                return True
            row = self._db.execute("select parent from concepts where code = ? and system = ?", (parent, lower.system)).fetchone()
            parent = row[0] if row else ""
        return False

    def near(self, text: str, kind: str | None = None, *, threshold: float | None = None) -> Found:
        """Look up the term whose words are most like those given.

        threshold: Least likeness; by default that of `match.yml`.
        """
        said = settings()
        least = said["threshold"] if threshold is None else threshold
        hits = self.candidates(text, kind)
        if not hits:
            return Found(None)
        best, *rest = hits
        rivals = [hit for hit in rest if not self._akin(hit.concept, best.concept)]
        for hit in rest:  # pneumonia is J18, and J18.9 says the same of it
            if hit.score == best.score and self._is_above(best.concept, hit.concept):
                best = hit
        clear = not rivals or best.score - rivals[0].score >= said["margin"]
        if best.score >= least and clear:
            return Found(best, tuple(hit for hit in hits if hit is not best)[: said["runners_up"]], "fuzzy")
        return Found(None, tuple(hits[: said["runners_up"]]))

    def _akin(self, one: Concept, other: Concept) -> bool:
        return one.id == other.id or self._is_above(one, other) or self._is_above(other, one)

    def candidates(self, text: str, kind: str | None = None) -> list[Hit]:
        """Return the concepts whose terms share the telling words, most like first, each once."""
        said = settings()
        words = self._known(tuple(dict.fromkeys(normal(unqualified(text)))))
        if not 0 < len(words) <= said["longest"]:
            return []
        rows = self._sharing(words)
        decisive = rules().decisive
        weigh = self._weigh
        total = sum(w for _, w, _ in words)
        mine = {word: w * slip for word, w, slip in words}
        best: dict[int, tuple[float, str]] = {}
        for concept, text_of, key in rows:
            theirs = key.split(" ")
            shared = lost = 0.0
            off = 0.0
            for word in theirs:
                if word in mine:
                    shared += mine[word]
                else:
                    lost += weigh(word)
                    off += said["number"] if word[0].isdigit() else said["decisive"] if word in decisive else 0.0
            for word in mine:
                if word not in theirs:
                    off += said["number"] if word[0].isdigit() else said["decisive"] if word in decisive else 0.0
            score = 2 * shared / (total + shared + lost) - off
            if score > best.get(concept, (0.0, ""))[0]:
                best[concept] = (score, text_of)
        ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:40]
        hits = [Hit(self._concept(concept), term, round(score, 4)) for concept, (score, term) in ranked]
        return [hit for hit in hits if _serves(hit.concept, kind)][:12]

    def _sharing(self, words: Sequence[tuple[str, float, float]]) -> list[tuple[int, str, str]]:
        """Return (concept, term, key) of terms that share enough of the words' weight to be near."""
        said = settings()
        known = sorted(((word, w) for word, w, _ in words if self.times(word)), key=lambda each: -each[1])[:7]
        if not known:
            return []
        # Of the weight, a term must share t / (2 - t) to have the likeness t: so it holds one of the least sets that reach it.
        share = 0.7 / (2 - 0.7) * sum(w for _, w, _ in words)
        sets: list[frozenset[str]] = []
        for size in range(1, len(known) + 1):
            for group in combinations(known, size):
                chosen = frozenset(word for word, _ in group)
                if sum(w for _, w in group) >= share and not any(other <= chosen for other in sets):
                    sets.append(chosen)
        if not sets:
            return []
        query = " OR ".join("(" + " AND ".join(f'"{word}"' for word in sorted(group)) + ")" for group in sets[:30])
        return self._db.execute(
            "select concept, text, key from terms where id in (select rowid from found where found match ? limit ?)",
            (query, said["candidates"]),
        ).fetchall()

    def _known(self, words: Sequence[str]) -> list[tuple[str, float, float]]:
        """Return (word, weight, slip) of each, one that the vocabulary does not have as the one that it may be a slip of."""
        said = settings()
        found = []
        for word in words:
            if self.times(word) or len(word) < 5 or not word.isalpha():
                found.append((word, self._weigh(word), 1.0))
                continue
            meant = self._spelt(word)
            found.append((meant, self._weigh(meant), said["slip"]) if meant else (word, said["unknown"], 1.0))
        return found

    def _weigh(self, word: str) -> float:
        times = self.times(word)
        return math.log(self._total / times) if times else float(settings()["unknown"])

    def holding(self, text: str, kind: str | None = None) -> Found:
        """Look up the term that holds all the words and the fewest others, and no other number: a drug by its parts."""
        words = set(normal(text))
        if not words or not all(map(self.times, words)):
            return Found(None)
        query = " AND ".join(f'"{word}"' for word in sorted(words))
        rows = self._db.execute(
            "select concept, text, key, rank from terms where id in (select rowid from found where found match ? limit ?)",
            (query, settings()["candidates"]),
        ).fetchall()
        fits: list[tuple[int, int, int, str]] = []
        for concept, term, key, rank in rows:
            more = set(key.split(" ")) - words
            if not any(word[0].isdigit() for word in more):
                fits.append((len(more), rank, concept, term))
        fits.sort()
        hits = [Hit(concept, term, 1.0) for _, _, number, term in fits if _serves(concept := self._concept(number), kind)]
        if not hits or any(fit[:2] == fits[0][:2] and fit[2] != fits[0][2] for fit in fits[1:]):
            return Found(None, tuple(hits[: settings()["runners_up"]]))
        others = tuple(hit for hit in hits if hit.concept.id != hits[0].concept.id)
        return Found(hits[0], others[: settings()["runners_up"]], "parts")

    def times(self, word: str) -> int:
        """Return in how many terms a word stands."""
        kept: dict[str, int] = self._local.__dict__.setdefault("times", {})
        if word not in kept:
            if len(kept) > 100_000:
                kept.clear()
            row = self._db.execute("select times from words where word = ?", (word,)).fetchone()
            kept[word] = row[0] if row else 0
        return kept[word]

    def _spelt(self, word: str) -> str | None:
        """Return the word of the vocabulary that is one slip of the pen away, None for none or several.

        With one slip, the first or the second half of a word is right; SQLite finds words by three or more letters in a row.
        """
        half = max(3, len(word) // 2)
        rows = self._db.execute(
            "select s.word from spelt s where spelt match ? limit 5000", (f'"{word[:half]}" OR "{word[-half:]}"',)
        ).fetchall()
        near = [other for (other,) in rows if other[0] == word[0] and abs(len(other) - len(word)) < 2]  # ethyl is not methyl
        near = [other for other in near if self._distance(word, other, score_cutoff=1) == 1]
        if len(near) > 1:
            common = sorted(near, key=self.times, reverse=True)
            near = common[:1] if self.times(common[0]) >= 20 * self.times(common[1]) else []
        return near[0] if near else None

    def rejected(self) -> list[tuple[str, int, str]]:
        """Return (file, line, reason) of the source's rows that could not be read."""
        return self._db.execute("select file, line, reason from rejected order by file, line").fetchall()

    def _concept(self, number: int) -> Concept:
        columns = "id, system, code, name, types, parent, omop"
        return _concept(self._db.execute(f"select {columns} from concepts where id = ?", (number,)).fetchone())


def _concept(row: Sequence[Any]) -> Concept:
    number, system, code, name, types, parent, omop = row
    return Concept(number, system, code, name, tuple(types.split()), parent, omop)


def _serves(concept: Concept, kind: str | None) -> bool:
    return kind is None or not concept.types or kind in concept.types
