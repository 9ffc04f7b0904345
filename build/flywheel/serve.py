"""How the site is served: Datasette over an immutable signals.db, with our plugins, templates and settings."""

from __future__ import annotations

import errno
import socket
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
    # Ours answer in milliseconds; a reader's own SQL may take a second.
    "sql_time_limit_ms": 1000,
    "facet_time_limit_ms": 500,
    # Every table names its facets in metadata.yml. Suggesting more means one scan per column of every page.
    "suggest_facets": "off",
    # The file never changes while it is served, and pages carry their own validators.
    "default_cache_ttl": 3600,
}


def command(root: Path, database: Path, host: str, port: int) -> list[str]:
    """The command line that serves a database. It reads the project's folder and writes nothing."""
    settings = [text for name, value in SETTINGS.items() for text in ("--setting", name, str(value))]
    return [
        *(sys.executable, "-m", "datasette", "serve", "--immutable", str(database)),
        *("--metadata", str(root / "metadata.yml"), "--template-dir", str(root / "templates")),
        *("--plugins-dir", str(root / "plugins"), "--static", f"static:{root / 'static'}"),
        *("--host", host, "--port", str(port), "--cors"),
        *settings,
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
