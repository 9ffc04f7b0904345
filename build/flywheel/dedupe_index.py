"""The index of copies that goes with a store: so that a refresh compares new posts alone.

`build(path, items)` compares all items, keeps what is template among them, and writes one SQLite file. `add(path,
items)` then gives for new items exactly the pairs that a full run with the same template runs would give, and appends
them. The file holds hashes, ids, communities and authors; no text.

| table | a row is |
|---|---|
| `frozen` | the template runs, one sorted array, and the rows of a band: what stays until the next `build` |
| `posts` | one post: what `dedupe.Texts` says of it |
| `bands` | for one rule, band and batch of posts: the band keys, sorted, and the posts that have them |
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from flywheel import dedupe
from flywheel.dedupe import BUCKET, RULES, Flags, Frozen, Hashes, Item, Numbers, Pair, Runs, Sketched, Texts

VERSION = repr(
    (
        2,
        RULES,
        dedupe.MINIMA,
        dedupe.SEED,
        dedupe.COMMON_AUTHORS,
        dedupe.COMMON_SHARE,
        dedupe.THIN,
        dedupe.TITLE_JACCARD,
    )
)
"""Everything that decides a pair. An index of another version must be built again."""

_TABLES = """
create table about (version text not null);
create table frozen (frequent blob not null, rows integer not null);
create table posts (
  number integer primary key, id text not null unique, community text not null, author text not null,
  words integer not null, exact integer not null, title integer not null, title_words integer not null,
  bare integer not null, first integer not null, runs_0 blob not null, runs_1 blob not null
);
create table bands (
  rule integer, band integer, batch integer, keys blob not null, numbers blob not null, primary key (rule, band, batch)
);
"""
_INDEXES = """
create index posts_exact on posts (exact);
create index posts_title on posts (title) where first;
"""


class CopiesIndexError(Exception):
    """An index that cannot be used, in one sentence."""


def build(path: Path, items: Sequence[Item], processes: int = 1) -> list[Pair]:
    """Compares all items, writes the index beside `path` and renames it. Gives every pair."""
    with dedupe.workers(processes) as each:
        parts = each(dedupe.read, ([(i.title, i.body) for i in chunk] for chunk in dedupe.chunks(items)))
        texts = dedupe.joined([*parts] or [dedupe.read([])])
    frozen = dedupe.freeze(items, texts)
    first = dedupe.first_of_kind(texts)
    sketched = list(dedupe.sketched(texts, first, frozen))
    pairs = dedupe.pairs_of(items, texts, first, sketched)
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with closing(sqlite3.connect(beside, isolation_level=None)) as connection:
        connection.executescript("pragma journal_mode = off; pragma synchronous = off;" + _TABLES)
        connection.execute("begin")
        connection.execute("insert into about values (?)", [VERSION])
        connection.execute("insert into frozen values (?, ?)", [frozen.frequent.tobytes(), frozen.rows])
        _append(connection, 0, items, texts, first, sketched)
        connection.execute("commit")
        connection.executescript(_INDEXES)
    beside.replace(path)
    return pairs


def add(path: Path, items: Sequence[Item]) -> list[Pair]:
    """Compares new items with all that the index holds and with each other, and appends them.

    An id that the index holds already is passed over: what was decided about it stays. Raises `CopiesIndexError` where
    the file is no index, or one of other rules.
    """
    with closing(_opened(path)) as connection, connection:
        connection.execute("begin immediate")
        items = [item for item in _first_ids(items) if not _has(connection, item.id)]
        if not items:
            return []
        frequent, rows = connection.execute("select frequent, rows from frozen").fetchone()
        frozen = Frozen(np.frombuffer(frequent, dtype=np.uint64), rows)
        texts = dedupe.read([(item.title, item.body) for item in items])
        numbers = _related(connection, texts, frozen)
        old_items, old_texts = _fetched(connection, numbers)
        both, together = [*old_items, *items], dedupe.joined([old_texts, texts])
        new = {item.id for item in items}
        first = dedupe.first_of_kind(together)
        found = dedupe.pairs_of(both, together, first, dedupe.sketched(together, first, frozen))
        pairs = [pair for pair in found if pair.drop in new]
        first = first[len(numbers) :]
        start = connection.execute("select coalesce(max(number), -1) + 1 from posts").fetchone()[0]
        _append(connection, start, items, texts, first, dedupe.sketched(texts, first, frozen))
    return pairs


def holds(path: Path) -> tuple[set[str], int]:
    """The posts that an index holds, and how many of them were there when what is template was last counted.

    Raises `CopiesIndexError` as `add` does.
    """
    with closing(_opened(path)) as connection:
        posts = {id_ for (id_,) in connection.execute("select id from posts")}
        added = connection.execute("select min(batch) from bands where batch > 0").fetchone()[0]
    return posts, len(posts) if added is None else added


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None)
    try:
        version = connection.execute("select version from about").fetchone()[0]
    except sqlite3.DatabaseError as error:
        connection.close()
        raise CopiesIndexError(f"{path} is no index of copies ({error}); build it with --rebuild") from None
    if version != VERSION:
        connection.close()
        raise CopiesIndexError(f"{path} was built by other rules; renew it with --rebuild")
    return connection


def _first_ids(items: Iterable[Item]) -> list[Item]:
    return list({item.id: item for item in reversed(list(items))}.values())[::-1]


def _has(connection: sqlite3.Connection, id_: str) -> bool:
    return connection.execute("select 1 from posts where id = ?", [id_]).fetchone() is not None


def _signed(values: Hashes) -> list[int]:
    """SQLite's integers have a sign."""
    signed: list[int] = values.view(np.int64).tolist()
    return signed


def _related(connection: sqlite3.Connection, texts: Texts, frozen: Frozen) -> Numbers:
    """The old posts that could be compared with one of the new: the same text, title, or a shared band."""
    found: set[int] = set()
    for column, values, where in (("exact", texts.exact, ""), ("title", texts.title, "and first")):
        query = f"select number from posts where {column} = ? {where} order by number limit {BUCKET}"  # noqa: S608
        for value in set(_signed(values)):
            found.update(number for (number,) in connection.execute(query, [value]))
    everything = np.ones(len(texts.words), dtype=bool)
    for rule, runs in enumerate(texts.runs):
        own = dedupe.rare(texts, runs, frozen.frequent)
        keys = dedupe.sketches(own, dedupe.comparable(texts, own, everything), frozen.rows)
        for band, old_keys, numbers in _bands(connection, rule):
            wanted = np.unique(keys[:, band])
            left, right = np.searchsorted(old_keys, wanted), np.searchsorted(old_keys, wanted, side="right")
            for low, high in zip(left[right > left].tolist(), right[right > left].tolist(), strict=True):
                found.update(numbers[low : min(high, low + BUCKET)].tolist())
    return np.array(sorted(found), dtype=np.int64)


def _bands(connection: sqlite3.Connection, rule: int) -> Iterator[tuple[int, Hashes, Numbers]]:
    rows = connection.execute("select band, keys, numbers from bands where rule = ? order by band, batch", [rule])
    for band, keys, numbers in rows:
        yield band, np.frombuffer(keys, dtype=np.uint64), np.frombuffer(numbers, dtype=np.uint32).astype(np.int64)


def _fetched(connection: sqlite3.Connection, numbers: Numbers) -> tuple[list[Item], Texts]:
    """Old posts as they were read."""
    query = """select id, community, author, words, exact, title, title_words, bare, runs_0, runs_1
               from posts where number = ?"""
    rows = [connection.execute(query, [number]).fetchone() for number in numbers.tolist()]
    columns = list(zip(*rows, strict=True)) or [()] * 10

    def hashes(values: Iterable[int]) -> Hashes:
        return np.array(list(values), dtype=np.int64).view(np.uint64)

    def runs(blobs: Sequence[bytes]) -> Runs:
        parts = [np.frombuffer(blob, dtype=np.uint64) for blob in blobs]
        return Runs(
            np.concatenate([np.zeros(0, np.uint64), *parts]),
            np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
        )

    texts = Texts(
        words=np.array(columns[3], dtype=np.int64),
        exact=hashes(columns[4]),
        title=hashes(columns[5]),
        title_words=np.array(columns[6], dtype=np.int64),
        bare=np.array(columns[7], dtype=bool),
        runs=(runs(columns[8]), runs(columns[9])),
    )
    items = [Item(row[0], "", "", row[1], row[2]) for row in rows]
    return items, texts


def _append(
    connection: sqlite3.Connection,
    start: int,
    items: Sequence[Item],
    texts: Texts,
    first: Flags,
    sketched: Iterable[Sketched],
) -> None:
    blobs = [_slices(runs) for runs in texts.runs]
    columns = (
        range(start, start + len(items)),
        (item.id for item in items),
        (item.community for item in items),
        (item.author for item in items),
        texts.words.tolist(),
        _signed(texts.exact),
        _signed(texts.title),
        texts.title_words.tolist(),
        texts.bare.tolist(),
        first.tolist(),
        *blobs,
    )
    connection.executemany(
        f"insert into posts values ({', '.join('?' * len(columns))})",  # noqa: S608
        zip(*columns, strict=True),
    )
    for rule, (_, posts, keys) in enumerate(sketched):
        for band in range(keys.shape[1]):
            order = np.argsort(keys[:, band], kind="stable")
            numbers = (posts[order] + start).astype(np.uint32)
            row = (rule, band, start, keys[order, band].tobytes(), numbers.tobytes())
            connection.execute("insert into bands values (?, ?, ?, ?, ?)", row)


def _slices(runs: Runs) -> Iterator[bytes]:
    return (runs.hash[a:b].tobytes() for a, b in zip(runs.start[:-1].tolist(), runs.start[1:].tolist(), strict=True))
