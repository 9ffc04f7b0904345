"""May this build be published? Pure checks over two databases and what a run saw, each a named verdict.

holds   nothing to say
flag    published all the same, and said in the report: somebody should look
fails   not published; what is published stays

A check is a function from `Facts` to one verdict; `CHECKS` is the table of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasette.utils import escape_fts

from flywheel.diff import Diff
from flywheel.queries import Query
from flywheel.schema import TABLES

Level = Literal["holds", "flag", "fails"]

LOST_READ, LOST_MACHINE = 0.01, 0.2
"""Parts of the read posts, and of the machine's signals, that may vanish without a tombstone. What was read is gone
only by hand; what a machine read may go when posts are edited or the model is trained anew."""

ERASED = 0.05
"""From this part on a wave of deletions is flagged. It is carried out all the same: a deletion is honoured."""

NAMED = 5
"""How many names a sentence lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says: its name, its level, and one sentence why."""

    check: str
    level: Level
    why: str


@dataclass(frozen=True)
class Database:
    """What is judged of one file: rows by table, ids by who read them, rows by canned query, shares of the mean."""

    rows: Mapping[str, int]
    read: frozenset[str]
    machine: frozenset[str]
    folded: frozenset[str]
    queries: Mapping[str, int | str]
    """Number of rows, or the error."""
    mean: Mapping[str, tuple[float, float, float]]
    """Share, low and high of each phase of `of_100` and of the headline, as the mean over places."""


@dataclass(frozen=True)
class Facts:
    """All that the checks need. `before` is null where nothing was published yet."""

    before: Database | None
    after: Database
    tombstones: frozenset[str]
    sources: Mapping[str, str]
    """What each source gave; `refresh.source_verdicts` says in which words."""
    diff: Diff | None
    pages: Mapping[str, str]
    """What was wrong with each page of the staged site; empty where it answered."""


def database(path: Path, queries: Iterable[Query]) -> Database:
    """Reads what is judged of a file. A query that fails is a fact, not an error."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        # As Datasette registers it; the canned queries call it.
        db.create_function("escape_fts", 1, escape_fts)
        known = {name for (name,) in db.execute("select name from sqlite_schema where type = 'table'")}
        counts = {
            name: db.execute(f"select count(*) from [{name}]").fetchone()[0]  # noqa: S608 - our own names
            for name in TABLES
            if name in known
        }
        means = db.execute(
            """select measure || ' ' || subject, share, low, high from estimates join windows using (window)
            where "by" = '' and method = 'process' and variant = '' and role = 'all'
            and measure in ('of_100', 'headline') and share is not null"""
        )
        return Database(
            rows=counts,
            read=_ids(db, "select id from signals where labelled_by <> 'machine' union all select id from screened"),
            machine=_ids(db, "select id from signals where labelled_by = 'machine'"),
            folded=_ids(db, 'select "drop" from duplicates'),
            mean={name: (share, low, high) for name, share, low, high in means},
            queries={query.name: _rows(db, query) for query in queries},
        )


def _ids(db: sqlite3.Connection, sql: str) -> frozenset[str]:
    return frozenset(id_ for (id_,) in db.execute(sql))


def _rows(db: sqlite3.Connection, query: Query) -> int | str:
    try:
        return len(db.execute(query.sql, {p.name: "" for p in query.parameters}).fetchall())
    except sqlite3.Error as error:
        return str(error)


def judge(facts: Facts, accepted: Collection[str] = ()) -> list[Verdict]:
    """Every check in order. Where somebody looked and accepts what one of `ACCEPTABLE` says, it flags only."""
    verdicts = [Verdict(name, *check(facts)) for name, check in CHECKS.items()]
    verdicts = [
        Verdict(v.check, "flag", f"accepted: {v.why}")
        if v.level == "fails" and v.check in {*accepted} & {*ACCEPTABLE}
        else v
        for v in verdicts
    ]
    if may_publish(verdicts) or not _erased(facts):
        return verdicts
    still = "; what is published still shows them, until a run is sound"
    return [Verdict(v.check, "flag", v.why + still) if v.check == "deletions" else v for v in verdicts]


def may_publish(verdicts: Iterable[Verdict]) -> bool:
    return all(verdict.level != "fails" for verdict in verdicts)


Said = tuple[Level, str]


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def _published(facts: Facts) -> Said:
    if facts.before is None:
        return "flag", "no published file is at hand: nothing can be compared"
    return "holds", "compared with the published file"


def _tables(facts: Facts) -> Said:
    if facts.before is None:
        return "holds", "nothing to compare"
    empty = [name for name, rows in facts.before.rows.items() if rows and not facts.after.rows.get(name)]
    # Folded or undone pairs may all go, and so may the machine's themes: the check on rows looks at those.
    empty = [name for name in empty if name != "duplicates"]
    return ("fails", f"empty now: {_listed(empty)}") if empty else ("holds", "no table was emptied")


def _lost(facts: Facts, family: str, allowed: float) -> Said:
    if facts.before is None:
        return "holds", "nothing to compare"
    before: frozenset[str] = getattr(facts.before, family)
    now = facts.after.read | facts.after.machine | facts.after.folded
    lost = before - now - facts.tombstones
    why = f"{len(lost):,} of {len(before):,} gone without a tombstone"
    return ("fails" if len(lost) > allowed * len(before) else "flag" if lost else "holds"), why


def _read(facts: Facts) -> Said:
    return _lost(facts, "read", LOST_READ)


def _machine(facts: Facts) -> Said:
    return _lost(facts, "machine", LOST_MACHINE)


def _erased(facts: Facts) -> frozenset[str]:
    """Published posts that are gone with a tombstone."""
    if facts.before is None:
        return frozenset()
    before = facts.before.read | facts.before.machine
    return (before - facts.after.read - facts.after.machine) & facts.tombstones


def _deletions(facts: Facts) -> Said:
    if facts.before is None:
        return "holds", "nothing to compare"
    before, erased = facts.before.read | facts.before.machine, _erased(facts)
    why = f"{len(erased):,} of {len(before):,} posts were erased at their source or on request"
    return ("flag" if len(erased) > ERASED * len(before) else "holds"), why


def _sources(facts: Facts) -> Said:
    lacking = {name: verdict for name, verdict in facts.sources.items() if verdict != "complete"}
    if lacking:
        return "flag", "; ".join(f"{name}: {verdict}" for name, verdict in sorted(lacking.items()))
    if not facts.sources:
        return "holds", "no source was asked"
    return "holds", f"{len(facts.sources)} sources read completely"


def _queries(facts: Facts) -> Said:
    broken = [f"{name} ({rows})" for name, rows in facts.after.queries.items() if isinstance(rows, str)]
    had = facts.before.queries if facts.before else {}
    empty = [name for name, rows in facts.after.queries.items() if rows == 0]
    emptied = [name for name in empty if isinstance(had.get(name), int) and had[name]]
    if broken or emptied:
        parts = [f"{what}: {_listed(names)}" for what, names in (("fail", broken), ("empty now", emptied)) if names]
        return "fails", "; ".join(parts)
    return ("flag", f"no row, as before: {_listed(empty)}") if empty else ("holds", "every canned query has rows")


def _headline(facts: Facts) -> Said:
    """A step is plausible while the new share lies inside the interval that was published with the old one."""
    if facts.before is None or not facts.before.mean:
        return "holds", "no earlier mean"
    if gone := facts.before.mean.keys() - facts.after.mean.keys():
        return "flag", f"can no longer be given: {_listed(gone)}"
    outside = [
        f"{name} from {old:.3f} to {facts.after.mean[name][0]:.3f}"
        for name, (old, low, high) in sorted(facts.before.mean.items())
        if not low <= facts.after.mean[name][0] <= high
    ]
    if outside:
        return "flag", f"outside the interval published before: {_listed(outside)}"
    return "holds", "every mean lies inside the interval published before"


def _places(facts: Facts) -> Said:
    if facts.diff and facts.diff.places:
        return "flag", "a break: " + _listed(f"{place} {what}" for place, what in facts.diff.places.items())
    return "holds", "the same places"


def _site(facts: Facts) -> Said:
    wrong = {path: problem for path, problem in facts.pages.items() if problem}
    if wrong or not facts.pages:
        return "fails", _listed(f"{path}: {problem}" for path, problem in wrong.items()) or "no page was asked"
    return "holds", f"{len(facts.pages)} pages of the staged site answered"


CHECKS: Mapping[str, Callable[[Facts], Said]] = {
    "published file": _published,
    "tables": _tables,
    "read posts": _read,
    "machine-read signals": _machine,
    "deletions": _deletions,
    "sources": _sources,
    "canned queries": _queries,
    "headline": _headline,
    "places": _places,
    "site": _site,
}
"""Each check by the name under which the report gives its verdict."""


ACCEPTABLE = ("tables", "read posts", "machine-read signals", "canned queries")
"""Checks against the published file. What they find may be meant: a model trained anew, posts taken out by hand."""


def as_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [{"check": v.check, "level": v.level, "why": v.why} for v in verdicts]
