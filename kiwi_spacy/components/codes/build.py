"""Builds a vocabulary: terms of any source become one SQLite file, with memory that does not grow with them."""

import hashlib
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import KiwiError
from .sources.term import Rejected, Term
from .words import variants

FORMAT = "1"  # of the file; a change of its tables or of how terms are compared makes it larger
_BATCH = 20_000
_STAGE = """
create table stage.terms(system text, code text, text text, rank integer, types text, parent text, omop integer, key text)
"""
_TABLES = """
create table main.meta(name text primary key, value text) without rowid;
create table main.rejected(file text, line integer, reason text, fault integer);
create table main.concepts(id integer primary key, system text, code text, name text, types text, parent text, omop integer);
create table main.terms(id integer primary key, concept integer, text text, rank integer, key text);
create table main.words(word text primary key, times integer) without rowid;
create virtual table main.found using fts5(key, content='', columnsize=0, detail=none, tokenize="unicode61 tokenchars '.%'");
create virtual table main.spelt using fts5(word, tokenize='trigram');
"""
_LEAST = 3  # the rank from which on a term alone makes no concept: a note that points to a code is not its name


@dataclass
class Summary:
    """What a build kept, and what it did not use: `faults` could not be read, `left_out` was not wanted, by reason."""

    concepts: int = 0
    terms: int = 0
    hash: str = ""
    left_out: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    first: list[Rejected] = field(default_factory=list)


def build_vocabulary(
    terms: Iterable[Term | Rejected], output: str | Path, *, system: str = "", types: Sequence[str] = (), title: str = "",
    source: str = "",
) -> Summary:
    """Write a vocabulary and return what is in it. A build that is stopped leaves nothing under the final name.

    system: URI for terms that name none.
    types: Entity types that concepts without types of their own serve; none serves all.
    title, source: Kept in the file, for people.
    RAISES (KiwiError): There are no terms, or SQLite has no FTS5 with trigrams.
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        made, stage = Path(folder) / "made", Path(folder) / "stage"
        with closing(sqlite3.connect(made, isolation_level=None)) as db:
            db.execute("pragma main.journal_mode = off")
            db.execute("pragma main.synchronous = off")
            db.execute("pragma temp_store = file")
            db.execute("pragma main.cache_size = -65536")  # 64 MB
            db.execute("attach ? as stage", (str(stage),))
            db.execute("pragma stage.journal_mode = off")
            db.execute("pragma stage.synchronous = off")
            try:
                db.executescript(_TABLES)
            except sqlite3.OperationalError:
                raise KiwiError(
                    f"SQLite {sqlite3.sqlite_version} of this Python cannot search words. 3.34 or later with FTS5 is needed."
                ) from None
            db.execute(_STAGE)
            summary = _stage(db, terms, system)
            _fill(db, summary)
            if not summary.terms:
                raise KiwiError(
                    f"No term was found, so no vocabulary is written. {sum(summary.faults.values())} rows could not be read and "
                    f"{sum(summary.left_out.values())} were left out: {_most(summary)}."
                )
            _index(db)
            summary.hash = _hash(db)
            kept = {
                "format": FORMAT, "title": title, "source": source, "hash": summary.hash, "types": " ".join(types),
                "concepts": str(summary.concepts), "terms": str(summary.terms),
            }
            db.executemany("insert into meta values (?, ?)", kept.items())
            db.execute("detach stage")
        os.replace(made, output)
    return summary


def _most(summary: Summary) -> str:
    reasons = (summary.faults + summary.left_out).most_common(3)
    return ", ".join(f"{times} {reason}" for reason, times in reasons) or "the source is empty"


def _stage(db: sqlite3.Connection, terms: Iterable[Term | Rejected], system: str) -> Summary:
    """Put the terms, a row for each key of one, into the stage, and the unused rows into the file."""
    summary = Summary()
    rows: list[tuple[object, ...]] = []
    unused: list[tuple[object, ...]] = []

    def flush() -> None:
        db.execute("begin")
        db.executemany("insert into stage.terms values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.executemany("insert into rejected values (?, ?, ?, ?)", unused)
        db.execute("commit")
        rows.clear()
        unused.clear()

    for term in terms:
        if isinstance(term, Rejected):
            (summary.faults if term.fault else summary.left_out)[term.reason] += 1
            if term.fault:
                unused.append((term.file, term.line, term.reason, 1))
                if len(summary.first) < 20:
                    summary.first.append(term)
            continue
        of = (term.system or system, term.code, term.text)
        more = (" ".join(term.types), term.parent, term.omop)
        found = False
        for key, distance in variants(term.text):
            rows.append((*of, term.rank + distance, *more, key))
            found = True
        if not found:
            summary.left_out["a term without a word to find it by"] += 1
        if len(rows) >= _BATCH:
            flush()
    flush()
    return summary


def _fill(db: sqlite3.Connection, summary: Summary) -> None:
    """Make concepts and terms of the staged rows: each concept once, each key of it once."""
    db.execute("begin")
    # With min(), SQLite takes the other columns from the row that has the least, which is the concept's name.
    db.execute(
        "insert into concepts(system, code, name, types, parent, omop) "
        "select system, code, text, types, parent, omop from "
        "(select system, code, text, types, parent, omop, min(rank * 100000000 + rowid) as least from stage.terms "
        "where code != '' group by system, code) where least < ?", (_LEAST * 100_000_000,),
    )
    db.execute("create unique index concepts_code on concepts(code, system)")
    db.execute("create index concepts_omop on concepts(omop) where omop is not null")
    named = "join concepts c on c.code = s.code and c.system = s.system where s.code != ''"
    numbered = "join concepts c on c.omop = s.omop where s.code = ''"
    db.execute(
        "insert into terms(concept, text, rank, key) select concept, text, rank, key from ("
        "select c.id as concept, s.text as text, min(s.rank) as rank, s.key as key "
        f"from stage.terms s {named} group by c.id, s.key "
        f"union all select c.id, s.text, min(s.rank), s.key from stage.terms s {numbered} group by c.id, s.key)"
    )
    strays = db.execute(
        "select count(*) from stage.terms s left join concepts c on "
        "(s.code != '' and c.code = s.code and c.system = s.system) or (s.code = '' and c.omop = s.omop) where c.id is null"
    ).fetchone()[0] if db.execute("select 1 from stage.terms where code = '' limit 1").fetchone() else 0
    if strays:
        summary.left_out["a term of a concept that is not kept"] += strays
    db.execute("commit")
    summary.concepts = db.execute("select count(*) from concepts").fetchone()[0]
    summary.terms = db.execute("select count(*) from terms").fetchone()[0]


def _index(db: sqlite3.Connection) -> None:
    """Index terms by key and by word, and words by their letters."""
    db.execute("create index terms_key on terms(key, rank)")
    db.execute("create index terms_concept on terms(concept)")
    db.execute("create index concepts_parent on concepts(parent) where parent != ''")
    db.execute("begin")
    db.execute("insert into found(rowid, key) select id, key from terms")
    db.execute("insert into found(found) values ('optimize')")
    db.execute("create virtual table temp.counted using fts5vocab(main, found, row)")
    db.execute("insert into words select term, doc from counted")
    db.execute("insert into spelt(word) select word from words where length(word) > 4 and word glob '*[a-z]*'")
    db.execute("insert into spelt(spelt) values ('optimize')")
    db.execute("commit")
    db.execute("drop table temp.counted")


def _hash(db: sqlite3.Connection) -> str:
    """Return a hash of all that look-up sees, whatever the version of SQLite and the order of concepts."""
    total = hashlib.sha256(FORMAT.encode())
    rows: Iterator[tuple[object, ...]] = db.execute(
        "select c.system, c.code, c.name, c.types, t.key, t.rank from concepts c join terms t on t.concept = c.id "
        "order by c.system, c.code, t.key"
    )
    for row in rows:
        total.update(repr(row).encode())
    return total.hexdigest()

