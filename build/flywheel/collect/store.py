"""The private raw store: one SQLite file with the text of posts, never published, never committed.

A page is written in one transaction with the cursor it leads to, so a run that is killed at any moment goes
on where it was, with nothing doubled and nothing lost. Every text is cleaned of secrets here, on its way in:
this is the only place that writes. Days, not times, are kept of when a post was seen, so that a second run on
a day on which nothing changed writes nothing at all."""

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.clean import safe, scrub
from flywheel.collect.record import Broken, Gone, Page, Record, Verdict, Wanted, Why, Window
from flywheel.signal import canonical_url, signal_id

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE items (
  source TEXT NOT NULL, native_id TEXT NOT NULL,
  id TEXT NOT NULL,          -- public id (signal_id): the same post under another spelling of its url has the same
  url TEXT NOT NULL,
  kind TEXT NOT NULL, community TEXT NOT NULL,
  title TEXT, body TEXT, created TEXT, edited TEXT, score INTEGER, n_replies INTEGER, thread TEXT,
  author_hash TEXT, state TEXT, license TEXT, attribution TEXT, ref TEXT,
  collector TEXT,            -- who can look it up again; null: nobody (imported)
  query TEXT, frame TEXT, corpus TEXT,
  content_hash TEXT NOT NULL,
  first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, last_checked TEXT NOT NULL,   -- UTC days
  PRIMARY KEY (source, native_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_id ON items(id);
CREATE INDEX items_collector ON items(collector, last_checked);
CREATE TABLE windows (
  source TEXT NOT NULL, query TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
  cursor TEXT, total INTEGER, got INTEGER NOT NULL DEFAULT 0,
  verdict TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',   -- 'open' while it is being read
  PRIMARY KEY (source, query, since, until)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine (
  source TEXT NOT NULL, item TEXT NOT NULL, native_id TEXT, reason TEXT NOT NULL,
  raw TEXT NOT NULL, seen TEXT NOT NULL,
  PRIMARY KEY (source, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstones (
  source TEXT NOT NULL, native_id TEXT NOT NULL, id TEXT, day TEXT NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (source, native_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_id ON tombstones(id);
CREATE TABLE resume (
  source TEXT NOT NULL, lane TEXT NOT NULL, resume_after REAL NOT NULL, saved_at REAL NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (source, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (run INTEGER PRIMARY KEY, day TEXT NOT NULL, report TEXT NOT NULL) STRICT;
"""

# What a change of makes an item "changed"; where it was found and when it was seen do not.
_CONTENT = tuple(f.name for f in fields(Record) if f.name not in ("author",))
_TEXT = ("title", "body", "attribution", "thread", "ref", "state", "license", "community")
# Not every endpoint of a source tells these; what was known stays.
_KEPT = ("thread", "ref", "score", "n_replies", "license")
BY_URL = "url:"  # what a native id begins with where only the url is known
_BREADTH = {"population": 3, "neutral": 2, "targeted": 1, None: 0}


class Found(NamedTuple):
    """How a page came about: stored with every item on it."""

    collector: str | None = None
    query: str | None = None
    frame: str | None = None
    corpus: str | None = None


@dataclass(slots=True)
class Counts:
    got: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    gone: int = 0
    quarantined: int = 0
    unused: int = 0
    tombstoned: int = 0  # offered again, and refused
    newly_gone: int = 0  # of `gone`, those not known to be gone before
    newly_quarantined: int = 0  # of `quarantined`, those not set aside before

    def add(self, other: "Counts") -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


class OpenWindow(NamedTuple):
    window: Window
    cursor: str | None
    total: int | None


class StoreError(Exception):
    """The file is not a raw store, or of another version."""


class Store:
    """One raw store, open for writing. `at_commit` is called with the name of each commit point, before and
    after it; the fault tests kill the process there. `author_key` turns names into hashes and is never stored
    here."""

    def __init__(self, path: Path, author_key: bytes, at_commit: Callable[[str], None] = lambda point: None) -> None:
        self.path = path
        self._key = author_key
        self._at_commit = at_commit
        if str(path) != ":memory:" and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self.db.row_factory = sqlite3.Row
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise StoreError(f"{path}: not a raw store ({error})") from error

    @classmethod
    def copy_in_memory(cls, path: Path) -> "Store":
        """A store in memory with the contents of the file, which stays untouched; empty if there is none."""
        store = cls(Path(":memory:"), b"")
        if path.exists():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
                try:
                    file.backup(store.db)
                except sqlite3.DatabaseError as error:
                    raise StoreError(f"{path}: not a raw store ({error})") from error
        return store

    def _open(self) -> None:
        self.db.execute("PRAGMA busy_timeout = 30000")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA secure_delete = ON")
        self.db.execute("PRAGMA temp_store = MEMORY")
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        tables = self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and tables == 0:
            # One transaction: a run killed here leaves an empty file, which the next one fills.
            self.db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        elif version != SCHEMA_VERSION:
            self.db.close()
            raise StoreError(f"{self.path}: is no raw store of version {SCHEMA_VERSION} (found {version})")

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._at_commit(f"before {name}")
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self._at_commit(f"after {name}")

    # --- pages ----------

    def write_page(
        self, page: Page, found: Found, day: str, source: str = "", window: Window | None = None
    ) -> tuple[Counts, dict[str, Why]]:
        """Stores a page, and with `window` the cursor it leads to, in one transaction. Returns what came of
        it, and the public ids (`signal_id`) of what was erased. `source` names the collector in windows and
        quarantine."""
        counts = Counts(got=page.n_items, unused=page.unused)
        erased: dict[str, Why] = {}
        with self._transaction("page"):
            for record in page.records:
                setattr(counts, name := self._put(record, found, day), getattr(counts, name) + 1)
            for gone in page.gone:
                new, ids = self._erase(gone, day)
                counts.gone += 1
                counts.newly_gone += new
                erased |= dict.fromkeys(ids, gone.why)
            for item in page.broken:
                counts.quarantined += 1
                counts.newly_quarantined += self._quarantine(source, item, day)
            if window is not None:
                self._advance(source, found.query or "", window, page)
        if erased:
            self.wipe()
        return counts, erased

    def _put(self, record: Record, found: Found, day: str) -> str:
        row = self._row(record, found)
        if self._is_buried(record.source, record.native_id, row["id"]):
            return "tombstoned"
        old = self._held(record.source, record.native_id, row["id"])
        if old is None:
            row |= {"first_seen": day, "last_seen": day, "last_checked": day}
            names = ", ".join(row)
            marks = ", ".join(f":{name}" for name in row)
            self.db.execute(f"INSERT INTO items ({names}) VALUES ({marks})", row)  # noqa: S608 - names are ours
            return "new"
        if _is_older(row, old):
            return "same"
        if _BREADTH.get(old["frame"], 0) >= _BREADTH.get(row["frame"], 0):
            row |= {name: old[name] for name in ("query", "frame", "corpus")}
        row |= {name: old[name] for name in (*_KEPT, "collector") if row[name] is None}
        if row["native_id"].startswith(BY_URL):
            row["native_id"] = old["native_id"]
        changed = any(old[name] != row[name] for name in (*_CONTENT, "author_hash"))
        row |= {"last_seen": max(day, old["last_seen"]), "last_checked": max(day, old["last_checked"])}
        if any(old[name] != value for name, value in row.items()):
            sets = ", ".join(f"{name} = :{name}" for name in row)
            row["held"] = old["native_id"]
            self.db.execute(f"UPDATE items SET {sets} WHERE source = :source AND native_id = :held", row)  # noqa: S608
        return "changed" if changed else "same"

    def _held(self, source: str, native_id: str, public_id: str) -> sqlite3.Row | None:
        """The row of a post: by its id at the source, or by its public id where one of the two knows only its url."""
        row: sqlite3.Row | None = self.db.execute(
            "SELECT * FROM items WHERE source = ? AND native_id = ?", (source, native_id)
        ).fetchone()
        if row is not None:
            return row
        rows = self.db.execute("SELECT * FROM items WHERE id = ? AND source = ?", (public_id, source))
        by_url = native_id.startswith(BY_URL)
        return next((row for row in rows if by_url or row["native_id"].startswith(BY_URL)), None)

    def _row(self, record: Record, found: Found) -> dict[str, Any]:
        row: dict[str, Any] = {name: getattr(record, name) for name in _CONTENT}
        for name in _TEXT:
            if row[name] is not None:
                row[name] = safe(row[name]) or None
        row["url"] = scrub(record.url)
        row["id"] = signal_id(row["url"])
        row["author_hash"] = self.author_hash(record.source, record.author)
        row["content_hash"] = content_hash(row["title"], row["body"])
        return {**row, **found._asdict()}

    def author_hash(self, source: str, author: str | None) -> str | None:
        """A keyed hash: the same author gets the same one within a source, and nobody without the key can
        tell who."""
        if not author:
            return None
        name = f"{source}:{author.casefold()}".encode("utf-8", "replace")
        return hmac.new(self._key, name, hashlib.sha256).hexdigest()[:20]

    def _quarantine(self, source: str, item: Broken, day: str) -> int:
        raw = safe(item.raw)
        written = self.db.execute(
            "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)",
            (source, hashlib.sha256(raw.encode()).hexdigest()[:20], item.native_id and safe(item.native_id),
             safe(item.reason), raw, day),
        )  # fmt: skip
        return written.rowcount

    # --- erasing ----------

    def _is_buried(self, source: str, native_id: str, public_id: str) -> bool:
        return (
            self.db.execute(
                "SELECT 1 FROM tombstones WHERE (source = ? AND native_id = ?) OR id = ?",
                (source, native_id, public_id),
            ).fetchone()
            is not None
        )

    def _erase(self, gone: Gone, day: str) -> tuple[bool, list[str]]:
        """Whether that was news, and the public ids it concerns."""
        url = canonical_url(gone.url) if gone.url else None
        rows = self.db.execute(
            "SELECT source, native_id, id FROM items WHERE (native_id = ?1 AND (?2 IS NULL OR source = ?2)) OR id = ?3",
            (gone.native_id, gone.source, signal_id(url) if url else None),
        ).fetchall()
        ids = {row["id"] for row in rows} | ({signal_id(url)} if url else set())
        keys: dict[tuple[str, str], str | None] = {(row["source"], row["native_id"]): row["id"] for row in rows}
        if not keys:
            # Never seen here. Remembered all the same, so that no archive brings it in later.
            keys = {(gone.source or "", gone.native_id or next(iter(ids), "")): next(iter(ids), None)}
        news = False
        for (source, native_id), public_id in keys.items():
            self.db.execute("DELETE FROM items WHERE source = ? AND native_id = ?", (source, native_id))
            # What was set aside is known by the source's own number, without our prefix.
            numbers = (native_id, native_id.rpartition(":")[2])
            self.db.execute("DELETE FROM quarantine WHERE native_id IN (?, ?)", numbers)
            tombstone = (source, native_id, public_id, day, gone.why)
            written = self.db.execute("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?, ?)", tombstone)
            news |= written.rowcount > 0
        if url:
            self.db.execute("DELETE FROM quarantine WHERE instr(raw, ?)", (url,))
        return news, sorted(ids) if news else []

    def erase(self, gone: Iterable[Gone], day: str) -> int:
        """Erases posts and remembers that they were erased. Returns how many were held."""
        before = self.db.execute("SELECT count(*) FROM items").fetchone()[0]
        with self._transaction("erase"):
            for one in gone:
                self._erase(one, day)
        self.wipe()
        return int(before - self.db.execute("SELECT count(*) FROM items").fetchone()[0])

    def bury(self, tombstones: Mapping[str, Why], day: str) -> int:
        """Applies tombstones (public id → why, data/tombstones.jsonl); returns how many posts had to go."""
        wanted = set(tombstones) - {
            row["id"] for row in self.db.execute("SELECT id FROM tombstones WHERE id IS NOT NULL")
        }
        if not wanted:
            return 0
        held = [
            (row["id"], row["url"])
            for public_id in sorted(wanted)
            for row in self.db.execute("SELECT id, url FROM items WHERE id = ?", (public_id,))
        ]
        with self._transaction("bury"):
            for public_id, url in held:
                self._erase(Gone(tombstones[public_id], url=url), day)
            for public_id in sorted(wanted):
                self.db.execute(
                    "INSERT OR IGNORE INTO tombstones VALUES ('', ?1, ?1, ?2, ?3)",
                    (public_id, day, tombstones[public_id]),
                )
        if held:
            self.wipe()
        return len(held)

    def buried(self) -> dict[str, Why]:
        """Public id → why, of every post that was erased here or may never come in."""
        rows = self.db.execute("SELECT id, why FROM tombstones WHERE id IS NOT NULL ORDER BY id")
        return {row["id"]: row["why"] for row in rows}

    def wipe(self) -> None:
        """Empties the write-ahead log, which still holds pages as they were; the pages themselves were
        overwritten (secure_delete)."""
        busy = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StoreError(
                f"{self.path}: another process reads the store, so erased text could not be wiped; "
                "close it and run again"
            )

    # --- windows ----------

    def open_window(self, source: str, query: str, window: Window) -> None:
        with self._transaction("window"):
            self.db.execute(
                "INSERT INTO windows (source, query, since, until, verdict) VALUES (?, ?, ?, ?, 'open') "
                "ON CONFLICT DO UPDATE "
                "SET verdict = 'open', cursor = NULL, got = 0, total = NULL, reason = ''",
                (source, query, *window),
            )

    def _advance(self, source: str, query: str, window: Window, page: Page) -> None:
        verdict = "open" if page.cursor is not None else page.verdict
        self.db.execute(
            "UPDATE windows SET cursor = ?, total = coalesce(?, total), got = got + ?, verdict = ?, "
            "reason = ? WHERE source = ? AND query = ? AND since = ? AND until = ?",
            (page.cursor, page.total, page.n_items, verdict, scrub(page.reason), source, query, *window),
        )
        if verdict == "split":
            for half in window.halves():
                self.db.execute(
                    "INSERT OR IGNORE INTO windows (source, query, since, until, verdict) VALUES (?, ?, ?, ?, 'open')",
                    (source, query, *half),
                )
        if verdict == "complete":
            self.db.execute(
                "DELETE FROM windows WHERE source = ?1 AND query = ?2 AND since >= ?3 AND until <= ?4 "
                "AND verdict IN ('incomplete', 'error', 'gone', 'capped') "
                "AND NOT (since = ?3 AND until = ?4)",
                (source, query, *window),
            )

    def close_window(self, source: str, query: str, window: Window, verdict: Verdict, reason: str) -> None:
        """Ends a window without a page: it could not be read."""
        with self._transaction("verdict"):
            self._advance(source, query, window, Page(verdict=verdict, reason=reason))

    def open_windows(self, source: str, query: str) -> list[OpenWindow]:
        rows = self.db.execute(
            "SELECT since, until, cursor, total FROM windows "
            "WHERE source = ? AND query = ? AND verdict = 'open' ORDER BY until - since DESC, since",
            (source, query),
        )
        return [OpenWindow(Window(r["since"], r["until"]), r["cursor"], r["total"]) for r in rows]

    def total_of(self, source: str, query: str, window: Window) -> int | None:
        row = self.db.execute(
            "SELECT total FROM windows WHERE source = ? AND query = ? AND since = ? AND until = ?",
            (source, query, *window),
        ).fetchone()
        return None if row is None else row["total"]

    def covered(self, source: str, query: str) -> list[Window]:
        """The times of a query that were read completely, joined and in order."""
        rows = self.db.execute(
            "SELECT since, until FROM windows WHERE source = ? AND query = ? AND verdict = 'complete' "
            "ORDER BY since, until",
            (source, query),
        )
        joined: list[Window] = []
        for since, until in rows:
            if joined and since <= joined[-1].until:
                joined[-1] = Window(joined[-1].since, max(until, joined[-1].until))
            else:
                joined.append(Window(since, until))
        return joined

    # --- looking up again ----------

    def due(self, collector: str, day: str, young_from: str, share: int) -> list[Wanted]:
        """Posts to look up again: those made or first seen on or after `young_from`, and of the others one
        eighth (`share` is which) that was not looked up today. Those not looked up for longest come first."""
        rows = self.db.execute(
            "SELECT url, native_id, ref, first_seen, created, last_checked FROM items WHERE collector = ? "
            "ORDER BY last_checked, source, native_id",
            (collector,),
        )
        return [
            Wanted(row["url"], row["native_id"], row["ref"])
            for row in rows
            if max(row["first_seen"], (row["created"] or "")[:10]) >= young_from
            or (row["last_checked"] < day and eighth(row["native_id"]) == share)
        ]

    def missing(self, urls: Iterable[str]) -> list[str]:
        """The canonical urls of posts that the store neither holds nor has buried, in order."""
        query = "SELECT 1 FROM items WHERE id = ?1 UNION ALL SELECT 1 FROM tombstones WHERE id = ?1"
        return [url for url in urls if not self.db.execute(query, (signal_id(url),)).fetchone()]

    def checked(self, collector: str, native_ids: Sequence[str], day: str) -> None:
        """Notes that posts were looked up, without news."""
        if not native_ids:
            return
        with self._transaction("checked"):
            self.db.executemany(
                "UPDATE items SET last_checked = ? WHERE collector = ? AND native_id = ? AND last_checked < ?",
                [(day, collector, native_id, day) for native_id in native_ids],
            )

    # --- waits and runs ----------

    def save_resume(self, source: str, lane: str, resume_after: float, now: float, why: str) -> None:
        with self._transaction("resume"):
            self.db.execute(
                "INSERT INTO resume VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET resume_after = excluded.resume_after, saved_at = excluded.saved_at, why = excluded.why",
                (source, lane, resume_after, now, scrub(why)),
            )

    def resumes(self, source: str, now: float) -> list[tuple[str, float, str]]:
        """(lane, seconds left, why) of the waits told to earlier runs. Where the clock has jumped back since,
        the wait is as long as it was told, not longer."""
        rows = self.db.execute("SELECT * FROM resume WHERE source = ? ORDER BY lane", (source,)).fetchall()
        lefts = [(r["lane"], min(r["resume_after"] - now, r["resume_after"] - r["saved_at"]), r["why"]) for r in rows]
        return [(lane, left, why) for lane, left, why in lefts if left > 0]

    def clear_resumes(self, source: str, now: float) -> None:
        if self.db.execute("SELECT 1 FROM resume WHERE source = ? AND resume_after <= ?", (source, now)).fetchone():
            with self._transaction("resume"):
                self.db.execute("DELETE FROM resume WHERE source = ? AND resume_after <= ?", (source, now))

    def save_run(self, day: str, report: Mapping[str, Any]) -> None:
        with self._transaction("run"):
            self.db.execute("INSERT INTO runs (day, report) VALUES (?, ?)", (day, json.dumps(report, sort_keys=True)))


def _is_older(row: Mapping[str, Any], old: sqlite3.Row) -> bool:
    """Whether a row is an earlier state of the post than the one held. A dump that tells no time of change is taken
    for earlier than what a live source told with one."""
    if row["edited"] or not old["edited"]:
        return bool(old["edited"] and row["edited"] < old["edited"])
    return row["collector"] is None and old["collector"] is not None


def content_hash(title: str | None, body: str | None) -> str:
    return hashlib.sha256(f"{title or ''}\0{body or ''}".encode()).hexdigest()[:20]


def eighth(native_id: str) -> int:
    """Which of eight shares of the re-check an id belongs to."""
    return hashlib.sha256(native_id.encode()).digest()[0] % 8


KEY_VARIABLE = "FLYWHEEL_AUTHOR_KEY"
KEY_FILE = Path("author.key")


def author_key(environ: Mapping[str, str] = os.environ, file: Path = KEY_FILE) -> bytes:
    """The key of the author hashes: from the environment, else from a private file that is made on first
    use."""
    if value := environ.get(KEY_VARIABLE):
        return value.encode()
    if not file.exists():
        # Written beside and linked into place: two first runs at once agree on one key.
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        with closing(os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w")) as out:
            out.write(secrets.token_hex(32) + "\n")
        try:
            os.link(beside, file)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    key = file.read_text().strip()
    if len(key) < 32:
        raise StoreError(f"{file}: holds no key of 32 characters or more")
    return key.encode()
