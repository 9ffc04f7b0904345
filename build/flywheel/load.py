"""Writes signals.db: every table of the public database, beside the old one, and renames it when it is whole.

Same tables, same bytes: rows go in by key, nothing asks the clock, and stored floats are rounded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from flywheel import estimate
from flywheel.agreement import Agreement
from flywheel.data import ChangeRow, Coding, Duplicate, HistoryRow, ReportRow
from flywheel.estimate import Estimate, Window
from flywheel.schema import JSON, TABLES, VIEWS
from flywheel.signal import Post
from flywheel.vocabulary import Vocabulary

Texts = Callable[[Post], tuple[str | None, str | None]]
"""Title and excerpt of a post, where its source allows them."""

Rows = Iterator[dict[str, Any]]
Record = TypeVar("Record")

_HASHED = 1000
"""Rows that are hashed at once, in a third of the time of one by one."""

EXCERPT = 280
"""Characters of a post's text that a source with the policy `excerpt` or `full` may show."""


@dataclass(frozen=True)
class Tables:
    """All that is written. `posts` are the distinct ones that were read, `derived` the signals that only a machine has
    read; `before_folding` holds the copies too."""

    vocabulary: Vocabulary
    posts: Sequence[Post]
    derived: Sequence[Post]
    before_folding: Sequence[Post]
    counted: set[str]
    codings: Sequence[Coding]
    duplicates: Sequence[Duplicate]
    report: Sequence[ReportRow]
    agreement: Sequence[Agreement]
    windows: Sequence[Window]
    variants: Sequence[Mapping[str, Any]]
    estimates: Sequence[Estimate]
    clustered_by: Mapping[str, str]
    history: Sequence[HistoryRow]
    changes: Sequence[ChangeRow]
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made: its path, the hash of its content, and its number of signals."""

    path: Path
    content_hash: str
    n_signals: int


def _vocabulary(family: str) -> Callable[[Tables, Texts], Rows]:
    def rows(tables: Tables, _: Texts) -> Rows:
        for position, entry in enumerate(getattr(tables.vocabulary, family).values(), 1):
            yield {**entry.model_dump(), "position": position}

    return rows


def _sources(tables: Tables, _: Texts) -> Rows:
    for row in _vocabulary("sources")(tables, _):
        yield {**row, "text_policy": row["text"], "licence_url": row["licence_url"] or None}


ENTERS = {"population": "the mean", "neutral": "beside the mean", "targeted": "counts only"}


def _wants(tables: Tables, _: Texts) -> Rows:
    for row in _vocabulary("wants")(tables, _):
        yield {**row, "themes": json.dumps(row["themes"])}


def _places(tables: Tables, _: Texts) -> Rows:
    for row in _vocabulary("places")(tables, _):
        yield {
            **row,
            "enters": ENTERS[row["frame"]],
            "clustered_by": tables.clustered_by[row["slug"]] or None,
        }


def _archives(tables: Tables, _: Texts) -> Rows:
    posts = _by(tables.before_folding, lambda post: post.archive)
    for row in _vocabulary("archives")(tables, _):
        read = posts.get(row["slug"], [])
        months = sorted(post.month for post in read if post.month)
        yield {
            **row,
            "place": next((post.place for post in read if post.place), None),
            "posts_read": len(read),
            "signals": sum(post.verdict == "signal" for post in read),
            "first_month": months[0] if months else None,
            "last_month": months[-1] if months else None,
        }


def _communities(tables: Tables, _: Texts) -> Rows:
    for community, posts in sorted(_by((*tables.posts, *tables.derived), lambda post: post.community).items()):
        read = [post for post in posts if post.labelled_by != "machine"]
        signals = sum(post.verdict == "signal" for post in read)
        yield {"community": community, "source": posts[0].source, "posts_read": len(read), "signals": signals}


def _all_signals(tables: Tables) -> list[Post]:
    """Signals in the order in which pages list them, which is that of their rowids: read ones before those of a
    machine, clear ones before unclear ones, then the newest. A list's first page then reads its own rows alone."""
    read = (post for post in tables.posts if post.verdict == "signal")
    signals = sorted((*read, *tables.derived), key=lambda post: post.id)
    signals.sort(key=lambda post: post.month or "", reverse=True)
    return sorted(signals, key=lambda post: (post.labelled_by == "machine", post.sure == "low", post.month is None))


def _signals(tables: Tables, texts: Texts) -> Rows:
    for post in _all_signals(tables):
        title, excerpt = texts(post)
        yield {
            **_fields(post),
            "title": title,
            "excerpt": excerpt,
            "themes": json.dumps(post.themes),
            "run": None if post.run is None else int(post.run),
            "weight": round(post.weight, 6),
        }


_FIELDS = tuple(field.name for field in dataclasses.fields(Post))
_values = attrgetter(*_FIELDS)


def _fields(post: Post) -> dict[str, Any]:
    """A post's fields as they are: `asdict` copies each value, which took a third of a large build."""
    return dict(zip(_FIELDS, _values(post), strict=True))


def _signal_themes(tables: Tables, _: Texts) -> Rows:
    for post in _all_signals(tables):
        probability = dict(post.probabilities)
        for theme in post.themes:
            role = "primary" if theme == post.theme else "secondary"
            yield {"signal": post.id, "theme": theme, "role": role, "probability": probability.get(theme)}


_KIND = ("theme", "phase", "ask", "place", "tool", "model", "year", "seen", "frame", "labelled_by")


def _signal_counts(tables: Tables, _: Texts) -> Rows:
    """How many signals are alike in all that a list can be narrowed by: pages count these rows, which hardly grow."""
    named = attrgetter("theme", "phase", "ask", "place", "tool", "model", "month", "seen", "frame", "labelled_by")
    numbers: Counter[tuple[str | None, ...]] = Counter()
    for post in _all_signals(tables):
        *before, month, seen, frame, labelled_by = named(post)
        numbers[*before, month and month[:4], seen, frame, labelled_by] += 1
    for position, key in enumerate(sorted(numbers, key=lambda key: tuple(name or "" for name in key)), 1):
        yield {"cell": position, **dict(zip(_KIND, key, strict=True)), "n": numbers[key]}


def _screened(tables: Tables, _: Texts) -> Rows:
    for post in tables.posts:
        if post.verdict != "signal":
            yield {**_fields(post), "note": post.gist, "weight": round(post.weight, 6)}


def _codings(tables: Tables, _: Texts) -> Rows:
    coded = {coding.id for coding in tables.codings}
    urls = {post.id: post.url for post in (*tables.before_folding, *tables.derived) if post.id in coded}
    for coding in tables.codings:
        yield {
            **asdict(coding),
            "post": coding.id,
            "url": urls[coding.id],
            "also": json.dumps(coding.also),
            "phase": tables.vocabulary.phase_of(coding.theme),
            "pain": None if coding.pain is None else int(coding.pain),
            "run": None if coding.run is None else int(coding.run),
        }


_CELL = ("place", "archive", "frame", "corpus", "month", "theme", "ask", "seen", "sure", "cluster")


def _cells(tables: Tables, _: Texts) -> Rows:
    numbers: Counter[tuple[str, ...]] = Counter()
    weights: dict[tuple[str, ...], float] = {}
    for post in tables.posts:
        if post.id in tables.counted:
            key = tuple(getattr(post, name) or "" for name in _CELL)
            numbers[key] += 1
            weights[key] = weights.get(key, 0.0) + post.weight
    for position, key in enumerate(sorted(numbers), 1):
        named = {name: value or None for name, value in zip(_CELL, key, strict=True)}
        phase = tables.vocabulary.phase_of(named["theme"])
        yield {
            "cell": position,
            **named,
            "phase": phase,
            "number": numbers[key],
            "weight": round(weights[key], 6),
        }


def _estimates(tables: Tables, _: Texts) -> Rows:
    digits = {"variance": 12, "reader_variance": 12, "t_df": 3}
    for row in tables.estimates:
        yield {k: round(v, digits.get(k, 6)) if isinstance(v, float) else v for k, v in asdict(row).items()}


def _flow(tables: Tables, _: Texts) -> Rows:
    """How many posts each stage left, by archive ('search' for what was found by query) and source.

    Beside the stages of reading stand the posts that nobody read and that the machine takes for signals.
    """
    kept = {post.id for post in tables.posts}
    stages: tuple[tuple[str, Callable[[Post], bool]], ...] = (
        ("read", lambda post: True),
        ("signal", lambda post: post.verdict == "signal"),
        ("distinct", lambda post: post.verdict == "signal" and post.id in kept),
        ("themed", lambda post: post.theme is not None and post.id in kept),
        ("counted", lambda post: post.id in tables.counted),
    )
    groups = _by(tables.before_folding, lambda post: (post.archive or "search", post.source, post.corpus))
    for (archive, source, corpus), posts in sorted(groups.items()):
        known = tables.vocabulary.archives.get(archive)
        named = {"archive": archive, "source": source, "corpus": corpus}
        if known:
            yield {**named, "stage": "matched", "position": 1, "posts": known.matched}
        for position, (stage, passes) in enumerate(stages, 2):
            yield {**named, "stage": stage, "position": position, "posts": sum(map(passes, posts))}
    machine = Counter((post.archive or "search", post.source, post.corpus) for post in tables.derived)
    for (archive, source, corpus), count in sorted(machine.items()):
        named = {"archive": archive, "source": source, "corpus": corpus}
        yield {**named, "stage": "machine", "position": len(stages) + 2, "posts": count}


def _versions(tables: Tables, _: Texts) -> Rows:
    """The published versions, in the order in which they were published."""
    for position, (name, rows) in enumerate(_by(tables.history, lambda row: row.version).items(), 1):
        yield {
            "version": name,
            "position": position,
            "day": rows[0].day,
            "data_version": rows[0].data_version,
            "n_shares": len(rows),
        }


def _by(posts: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for post in posts:
        if (name := key(post)) is not None:
            groups.setdefault(name, []).append(post)
    return groups


ROWS: Mapping[str, Callable[[Tables, Texts], Iterable[Mapping[str, Any]]]] = {
    **{family: _vocabulary(family) for family in ("phases", "themes", "asks", "whys", "external")},
    "sources": _sources,
    "wants": _wants,
    "places": _places,
    "archives": _archives,
    "communities": _communities,
    "signals": _signals,
    "signal_themes": _signal_themes,
    "signal_counts": _signal_counts,
    "screened": _screened,
    "duplicates": lambda tables, _: map(asdict, tables.duplicates),
    "codings": _codings,
    "windows": lambda tables, _: map(asdict, tables.windows),
    "variants": lambda tables, _: tables.variants,
    "cells": _cells,
    "estimates": _estimates,
    "student_t": lambda *_: ({"df": df, "t": t} for df, t in estimate.student_t().items()),
    "tagger_report": lambda tables, _: ({**row.model_dump(), "figure": row.value} for row in tables.report),
    "reader_agreement": lambda tables, _: map(asdict, tables.agreement),
    "flow": _flow,
    "versions": _versions,
    "history": lambda tables, _: (row.model_dump() for row in tables.history),
    "changes": lambda tables, _: (row.model_dump() for row in tables.changes),
}
"""What goes into each table of the schema. A row may hold more than the table's columns."""


def write(tables: Tables, folder: Path, out: Path, store: Path | None, say: Callable[[str], None]) -> Built:
    """Writes the database beside `out`, checks it, and renames it. A killed build leaves the old file as it was."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    for stale in out.parent.glob(f".{out.name}.*.part*"):
        if not _alive(stale):
            stale.unlink()
    beside = out.parent / f".{out.name}.{os.getpid()}.part"
    try:
        with texts(store, tables.vocabulary) as found:
            content_hash, n_signals = _write(tables, folder, beside, found, say)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(out)
    finally:
        for left in out.parent.glob(f"{beside.name}*"):
            left.unlink()
    return Built(out, content_hash, n_signals)


def _alive(part: Path) -> bool:
    try:
        os.kill(int(part.name.split(".part")[0].rsplit(".", 1)[1]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _write(tables: Tables, folder: Path, path: Path, found: Texts, say: Callable[[str], None]) -> tuple[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        db = Database(connection)
        # The file is thrown away if anything fails, so it needs no journal of its own.
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        # Room to sort an index of a million rows at once, in two threads.
        connection.execute("pragma cache_size = -200000")
        connection.execute("pragma threads = 2")
        for name, table in TABLES.items():
            pk: Any = table.pk[0] if len(table.pk) == 1 else table.pk
            keys = [(column, other, TABLES[other].pk[0]) for column, other in table.references.items()]
            sql = db.create_table_sql(name, table.types(), pk=pk, foreign_keys=keys)
            for column in JSON:
                sql = sql.replace(f'"{column}" TEXT', f'"{column}" TEXT CHECK (json_valid("{column}"))')
            db.execute(sql)
            made = db.table(name)
            rows = (tuple(map(row.get, table.columns)) for row in ROWS[name](tables, found))
            _insert(connection, name, table.columns, rows)
            for columns in table.indexes:
                made.create_index(list(columns))
        for name, view in VIEWS.items():
            db.create_view(name, textwrap.dedent(view.sql).strip())
        say("indexing for search")
        db.table("signals").enable_fts(["title", "excerpt", "gist"], tokenize="porter", fts_version="FTS5")
        db.table("signals").optimize()
        content_hash = hash_content(connection)
        n_signals = db.table("signals").count
        site = tables.vocabulary.site
        facts = {
            "content_hash": content_hash,
            "data_version": site.version,
            "latest_month": max((window.last_month for window in tables.windows), default=""),
            **{f"site_{name}": text for name, text in site.model_dump().items()},
            **{f"input data/{name}": _sha256(folder / name) for name in sorted(tables.files)},
            **{f"input data/{path.name}": _sha256(path) for path in sorted(folder.glob("*.yml"))},
            **{f"package {name}": version(name) for name in ("numpy", "pydantic", "scipy", "sqlite-utils")},
            "package sqlite": sqlite3.sqlite_version,
        }
        info = db.table("build_info").create({"key": str, "value": str}, pk="key")
        info.insert_all({"key": key, "value": value} for key, value in sorted(facts.items()))
        connection.execute("analyze")
        connection.commit()
        say("checking the file")
        _check(connection)
    return content_hash, n_signals


def _insert(connection: sqlite3.Connection, name: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Writes rows as they are: sqlite-utils' `insert_all` looks at every value, two minutes for a million signals.

    Raises ValueError where a value holds half a surrogate pair, which would end a build without a word of where it
    stood."""
    row: tuple[Any, ...] = ()

    def remembered() -> Iterator[tuple[Any, ...]]:
        nonlocal row
        for each in rows:
            row = each
            yield row

    marks = ", ".join("?" * len(columns))
    try:
        connection.executemany(f"insert into [{name}] values ({marks})", remembered())  # noqa: S608 - our own names
    except UnicodeEncodeError as error:
        column = columns[row.index(error.object)]
        raise ValueError(f"{name}.{column} of {ascii(row)[:120]} is not text") from None


def _check(connection: sqlite3.Connection) -> None:
    """The smoke test between building and renaming."""
    if (answer := connection.execute("pragma integrity_check").fetchone()[0]) != "ok":
        raise RuntimeError(f"the new database is damaged: {answer}")
    if broken := connection.execute("pragma foreign_key_check").fetchall():
        raise RuntimeError(f"the new database refers to rows that are not there: {broken[:3]}")
    indexed = connection.execute("select count(*) from signals_fts_docsize").fetchone()
    if indexed != connection.execute("select count(*) from signals").fetchone():
        raise RuntimeError("the search index does not hold every signal")


def hash_content(connection: sqlite3.Connection) -> str:
    """blake2b over all rows of all tables but build_info, in order of name and key; equal content, equal hash."""
    digest = hashlib.blake2b(digest_size=16)
    encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
    for name in sorted(TABLES):
        table = TABLES[name]
        columns = ", ".join(f"[{column}]" for column in table.columns)
        key = ", ".join(f"[{column}]" for column in table.pk)
        digest.update(f"{name}({columns})".encode())
        rows = connection.execute(f"select {columns} from [{name}] order by {key}")  # noqa: S608 - our own names
        while many := rows.fetchmany(_HASHED):
            digest.update(encode(many).encode())
    return digest.hexdigest()


@contextmanager
def texts(store: Path | None, vocabulary: Vocabulary) -> Iterator[Texts]:
    """Title and excerpt of posts from the private store, where the source's policy allows them. Each is looked up when
    its row is written, so that a large store takes no memory; nothing else of it is read."""
    if store is None:
        yield lambda post: (None, None)
        return
    allowed = {slug for slug, source in vocabulary.sources.items() if source.text != "link"}
    asked = "select source, title, body from items where id = ? and url = ? order by source, native_id"
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:

        def found(post: Post) -> tuple[str | None, str | None]:
            title, body = None, None
            for source, *text in connection.execute(asked, (post.id, post.url)):
                if source in allowed:
                    title, body = text
            return title or None, " ".join((body or "").split())[:EXCERPT] or None

        yield found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
