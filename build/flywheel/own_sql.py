"""Runs SQL that a reader wrote, in processes of their own: read only, short of memory, of the lowest priority, and
ended when they do not stop by themselves.

In a thread of the server such a query would compete with every page for the processor, its memory would be the
server's, and some functions of SQLite (instr over two long texts, a full-text query) cannot be interrupted at all.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from datasette.utils import escape_fts
from pebble import ProcessPool

from flywheel import serve

# A query's time is the processor's, since on a busy machine these processes wait for everybody else; by the clock it
# may take so many times as long.
PATIENCE = 3
# A single function may run on past that; then its process is ended. Starting another takes half a second.
GRACE_SECONDS = 1.0

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# pragma_database_list would tell where the file lies. Full-text search reads data_version.
_ALLOWED_PRAGMAS = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"),
    "data_version",
}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit"}


@dataclass(frozen=True)
class Answer:
    """The rows of one statement as tuples, and whether there were more than asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


class TooLargeError(sqlite3.OperationalError):
    """The answer, or the way to it, does not fit into what one query may use."""


def authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """Reading and nothing else; everything not named is refused, so also what a later SQLite may bring."""
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if first in _ALLOWED_PRAGMAS else sqlite3.SQLITE_DENY
    # A virtual table (full-text search, json_each) declares its columns so. Nothing can be written all the same: the
    # file is opened for reading.
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _settle() -> None:
    """What each process does first."""
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    os.nice(19)
    # pebble's own handler would wait for the function that does not end; three seconds later it kills.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # On top of what Python itself has taken by now. Only Linux tells, and only Linux keeps to it.
    statm = Path("/proc/self/statm")
    if statm.exists():
        most = int(statm.read_text().split()[0]) * resource.getpagesize() + serve.OWN_SQL_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _end_with_the_server() -> None:
    if (server := multiprocessing.parent_process()) is not None:
        server.join()
        os._exit(0)


@lru_cache(maxsize=4)
def connection(path: str, immutable: bool) -> sqlite3.Connection:
    """Read only, limited, and with the functions that Datasette's own pages use."""
    options = "?mode=ro&immutable=1" if immutable else "?mode=ro"
    opened = sqlite3.connect(Path(path).absolute().as_uri() + options, uri=True)
    opened.text_factory = lambda raw: str(raw, "utf-8", "replace")
    opened.create_function("escape_fts", 1, escape_fts)
    # Nothing is spilled to disk: the file system may be read only, and memory is limited.
    opened.execute("pragma temp_store = memory")
    for limit, value in serve.OWN_SQL_LIMITS.items():
        opened.setlimit(limit, value)
    opened.set_authorizer(authorize)
    return opened


@contextmanager
def time_limit(opened: sqlite3.Connection, milliseconds: int) -> Iterator[None]:
    busy = time.process_time() + milliseconds / 1000
    clock = time.monotonic() + PATIENCE * milliseconds / 1000
    # Every 1,000 steps of SQLite, some 0.05 ms.
    opened.set_progress_handler(lambda: time.process_time() > busy or time.monotonic() > clock, 1000)
    try:
        yield
    finally:
        opened.set_progress_handler(None, 0)


def run(
    path: str,
    immutable: bool,
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any],
    milliseconds: int,
    most_rows: int | None,
    cut_cells: int | None,
) -> Answer:
    """Rows of one statement, cut after `most_rows`, and where `cut_cells` is given after so many cells too.

    Raises sqlite3.OperationalError("interrupted") after `milliseconds` of work, TooLargeError beyond the limits of
    serve.py, and what SQLite has to say about the statement.
    """
    opened = connection(path, immutable)
    rows: list[tuple[Any, ...]] = []
    size = 0
    try:
        with time_limit(opened, milliseconds):
            cursor = opened.execute(sql, parameters)
            columns = [column[0] for column in cursor.description or ()]
            if cut_cells is not None:
                most_rows = min(most_rows or cut_cells, max(1, cut_cells // max(1, len(columns))))
            for row in cursor:
                if len(rows) == most_rows:
                    cursor.close()
                    return Answer(columns, rows, truncated=True)
                rows.append(row)
                size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if len(rows) * len(columns) > serve.OWN_SQL_CELLS or size > serve.OWN_SQL_BYTES:
                    raise TooLargeError(
                        f"the answer has more than {serve.OWN_SQL_CELLS:,} cells or "
                        f"{serve.OWN_SQL_BYTES:,} characters: ask for fewer rows or columns"
                    )
            return Answer(columns, rows, truncated=False)
    except MemoryError:
        raise TooLargeError("the query needs more memory than one may use") from None


@cache
def _pool() -> ProcessPool:
    return ProcessPool(
        max_workers=serve.OWN_SQL_PROCESSES, initializer=_settle, context=multiprocessing.get_context("spawn")
    )


def submit(*arguments: Any, milliseconds: int) -> Future[Answer]:
    """`run` in one of the processes. Raises TimeoutError where it did not stop in time, and its process is ended."""
    seconds = PATIENCE * milliseconds / 1000 + GRACE_SECONDS
    try:
        future: Future[Answer] = _pool().schedule(run, arguments, timeout=seconds)
    except RuntimeError:
        # The processes could not be started, for want of memory say. Perhaps they can now.
        _pool.cache_clear()
        future = _pool().schedule(run, arguments, timeout=seconds)
    return future
