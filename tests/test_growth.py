"""Pages made of estimates do the same work whatever the number of signals that a machine has read.

Work is counted in steps of SQLite's virtual machine, so that the load of the machine that tests does not matter.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from datasette.utils import escape_fts

from bench import rows
from flywheel import pipeline, queries
from tests.conftest import ROOT

SIGNALS = 20_000
QUERIES = queries.load(ROOT / "canned_queries")
PAGES = (
    "pages/memo.html",
    "pages/iterate.html",
    "pages/themes.html",
    "pages/themes/{theme}.html",
    "_drill.html",
    "base.html",
)
# Its answer is a count of rows, but it is only asked of a theme of the next run: 0.05 s at a million signals.
GROWS = {"iterate_themes"}
STEPS = 100


def asked() -> list[str]:
    """The queries that the pages name, and the figures that they include."""
    texts = [(ROOT / "templates" / page).read_text() for page in PAGES]
    texts += [path.read_text() for path in (ROOT / "templates").glob("_*.html")]
    texts += [path.read_text() for path in (ROOT / "templates" / "figures").glob("*.html")]
    return sorted({name for text in texts for name in re.findall(r'query\("(\w+)"', text)} - GROWS)


def work(database: Path, name: str, **given: str) -> int:
    """Steps of one answer, in hundreds."""
    steps = 0

    def counted() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        connection.create_function("escape_fts", 1, escape_fts)
        arguments: dict[str, Any] = {parameter.name: "" for parameter in QUERIES[name].parameters}
        connection.set_progress_handler(counted, STEPS)
        connection.execute(QUERIES[name].sql, arguments | given).fetchall()
    return steps


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("large")
    store = rows.make(ROOT / "data", folder / "data", SIGNALS)
    yield pipeline.build(folder / "data", folder / "signals.db", store).path


@pytest.mark.slow
def test_pages_do_no_more_work_when_signals_are_many(database: Path, large: Path) -> None:
    with closing(sqlite3.connect(large)) as connection:
        (count,) = connection.execute("select count(*) from signals").fetchone()
        (shipped,) = sqlite3.connect(database).execute("select count(*) from signals").fetchone()
    assert count > 4 * shipped
    grown = {}
    for name in asked():
        given = {"theme": "output-defects"} if "theme" in [p.name for p in QUERIES[name].parameters] else {}
        small, many = work(database, name, **given), work(large, name, **given)
        if many > 1.2 * small + 20:
            grown[name] = (small, many)
    assert grown == {}


@pytest.mark.slow
def test_a_search_does_bounded_work(large: Path) -> None:
    """A frequent word, and one in a script that the index cannot look into."""
    for q in ("model", "微调"):
        for name in ("search", "search_counts"):
            assert work(large, name, q=q) * STEPS < 150 * SIGNALS
    with closing(sqlite3.connect(large)) as connection:
        found = "select count(*) from signals_fts where signals_fts match 'model'"
        assert connection.execute(found).fetchone()[0] > 10_000
        connection.create_function("escape_fts", 1, escape_fts)
        given = {parameter.name: "" for parameter in QUERIES["search"].parameters} | {"q": "model"}
        (row, *_) = connection.execute(QUERIES["search"].sql, given).fetchall()
    assert row[-1] == 10_000


@pytest.mark.slow
def test_signals_are_stored_in_the_order_of_their_lists(large: Path) -> None:
    with closing(sqlite3.connect(large)) as connection:
        stored = connection.execute("select id from signals order by rowid").fetchall()
        listed = connection.execute(
            "select id from signals order by labelled_by = 'machine', sure = 'low', month is null, month desc, id"
        ).fetchall()
    assert stored == listed
