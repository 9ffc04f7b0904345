"""How the site is served, and every limit it is served with, each with its reason.

`command` is what `flywheel serve` becomes; flywheel/server.py is what then runs.
"""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

SETTINGS: Mapping[str, str | int] = {
    # A query's CSV is cut at this many rows without a word in the file. No canned query returns more: the longest
    # ones page, and a test holds every one of them below it.
    "max_returned_rows": 10_000,
    # Tables stream whole (_stream=1); 100 MB would cut a table of a million rows.
    "max_csv_mb": 0,
    "default_page_size": 50,
    # Tables and named queries answer in milliseconds. The clock runs on while they wait for the processor: at 64
    # clients on two cores with other work, a second was too short for some.
    "sql_time_limit_ms": 3000,
    "facet_time_limit_ms": 3000,
    # Every table names its facets in metadata.yml. Suggesting more means one scan per column of every page.
    "suggest_facets": "off",
    # The file never changes while it is served, and pages carry their own validators.
    "default_cache_ttl": 3600,
}

# What SQLite may do for anyone, on every connection. The longest cell of ours has a few hundred characters.
SQLITE_LIMITS: Mapping[int, int] = {
    sqlite3.SQLITE_LIMIT_LENGTH: 16_000_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# What it may do for SQL that a reader wrote. Some functions cannot be stopped while they run (instr, replace and LIKE
# take the product of their two lengths), so what they may be given is short: the worst found takes 0.2 s.
OWN_SQL_LIMITS: Mapping[int, int] = {
    **SQLITE_LIMITS,
    sqlite3.SQLITE_LIMIT_LENGTH: 200_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 50_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
}
# Own SQL runs in this many processes of the lowest priority: readers of pages get the processor first.
OWN_SQL_PROCESSES = 2
# Of work, see own_sql.py.
OWN_SQL_MILLISECONDS = 1000
# Bytes that a query may make such a process take on top of what it needs to run.
OWN_SQL_MEMORY = 256_000_000
# Answers are made into HTML and JSON by the one thread that serves everybody: 1,000 cells take it 20 ms as HTML and
# 0.5 ms as JSON. A page shows what comes first and says that there is more; JSON and CSV come whole or not at all.
OWN_SQL_CELLS_OF_A_PAGE, OWN_SQL_CELLS, OWN_SQL_BYTES = 5_000, 100_000, 4_000_000
# A table's page, whatever _size= asks; CSV and JSON of a table give max_returned_rows at a time.
ROWS_OF_A_PAGE = 200
# One client's own SQL: one at a time, this many more may wait, and over time so many a minute. A person who edits a
# query sends a few a minute; a script that gets 429 is told when to come back.
OWN_SQL_WAITING, OWN_SQL_BURST, OWN_SQL_PER_MINUTE = 4, 30, 60
# Clients remembered; the one longest unseen is forgotten first. 100 bytes each.
CLIENTS = 20_000
# The longest address of our own pages ("Edit this SQL") has under 8,000 characters.
ADDRESS_LENGTH = 16_000
# Words of one search. bm25 counts each of them through the whole index in a single call, which nothing can interrupt.
SEARCH_WORDS = 32
# Columns that one page may be asked to count by; each may take facet_time_limit_ms.
FACETS = 8
# Seconds that a client may take to send a request, and that open answers have to end after SIGTERM.
REQUEST_SECONDS, GOODBYE_SECONDS = 10, 8
# Seconds that a connection without a request is kept: longer than proxies keep theirs (60), since one that is closed
# under a proxy's request makes it answer 502.
IDLE_SECONDS = 75


def sql_per_minute() -> float | None:
    """Own SQL of one client in a minute, None for no limit. FLYWHEEL_SQL_PER_MINUTE changes it: a number, or off."""
    given = os.environ.get("FLYWHEEL_SQL_PER_MINUTE", str(OWN_SQL_PER_MINUTE))
    if given == "off":
        return None
    if not given.isdecimal() or int(given) == 0:
        raise ValueError(f"FLYWHEEL_SQL_PER_MINUTE is a number above 0 or off, not {given}")
    return float(given)


def trusted_proxies() -> str:
    """Addresses and networks, with commas, whose X-Forwarded-For and -Proto are believed. Nobody's, unless told so."""
    return os.environ.get("FLYWHEEL_TRUSTED_PROXIES", "")


def hosts() -> frozenset[str]:
    """The names that the site answers to; empty for any. FLYWHEEL_HOSTS, with commas."""
    return frozenset(name.strip().lower() for name in os.environ.get("FLYWHEEL_HOSTS", "").split(",") if name.strip())


def command(root: Path, database: Path, host: str, port: int, inspected: Path | None = None) -> list[str]:
    """The command line that serves a database. It reads the project's folder and writes nothing."""
    return [
        *(sys.executable, "-m", "flywheel.server", str(root), str(database), "--host", host, "--port", str(port)),
        *(("--inspected", str(inspected)) if inspected else ()),
    ]


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises OSError where the host itself is not ours."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def doors(base: str) -> list[tuple[str, str]]:
    """What to look at first: a name and an address each."""
    return [
        ("memo", f"{base}/memo"),
        ("a theme", f"{base}/themes/did-it-get-better"),
        ("tables", f"{base}/signals"),
        ("SQL", f"{base}/signals?sql=select+*+from+estimates+limit+20"),
    ]
