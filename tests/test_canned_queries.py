"""Every canned query over the shipped data: explained, run without parameters, described, and never cut in silence."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from pathlib import Path

import pytest

from flywheel import queries, serve
from flywheel.schema import TABLES, VIEWS
from tests.conftest import ROOT
from tests.served import ask, site

QUERIES = queries.load(ROOT / "canned_queries")
NEEDED = {
    "of_100",
    "headline",
    "phase_shares",
    "theme_shares",
    "theme_drill",
    "search",
    "shares_by_place",
    "shares_by_tool",
    "shares_by_community",
    "trend",
    "tinker",
    "iterate_themes",
    "near_misses",
    "stages",
}
SHARES = {"share", "train", "evaluate", "iterate", "evaluate_after_run", "after_run"}


def test_the_queries_that_others_rely_on_are_there() -> None:
    assert set(QUERIES) >= NEEDED


def test_no_query_is_named_like_a_table() -> None:
    assert not set(QUERIES) & {*TABLES, *VIEWS, "build_info", "signals_fts"}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_explains_itself_and_finds_rows_without_parameters(database: Path, name: str) -> None:
    query = QUERIES[name]
    assert query.title
    assert query.description.endswith(".")
    answers = ask(database, [f"/signals/{name}.json?_shape=objects"])
    (answer,) = answers.values()
    found = answer.json()
    assert answer.status_code == 200
    assert found["rows"], name
    assert not found["truncated"]
    assert len(found["rows"]) < int(serve.SETTINGS["max_returned_rows"]) / 2
    if SHARES & set(found["rows"][0]) and name != "lead":
        assert {"n", "counted"} & set(found["rows"][0]), "a share stands beside its n"


def test_every_query_can_be_planned(database: Path) -> None:
    async def run() -> None:
        db = site(database).get_database("signals")
        for name, query in QUERIES.items():
            plan = await db.execute(f"explain query plan {query.sql}", {p.name: "" for p in query.parameters})
            assert plan.rows, name

    asyncio.run(run())


def test_lists_page_to_the_end(database: Path) -> None:
    """Pages of twenty, none twice, as many as `of` says."""
    seen: list[str] = []
    for page in range(1, 40):
        path = f"/signals/theme_drill.json?_shape=array&theme=checkpoint-lifecycle&page={page}"
        rows = ask(database, [path])[path].json()
        if not rows:
            break
        seen += [row["id"] for row in rows]
        total = rows[0]["of"]
    assert len(seen) == len(set(seen)) == total > 60


def test_csv_holds_every_row(database: Path) -> None:
    """Tables stream whole, also beyond a thousand rows; a query's CSV has as many rows as its JSON."""
    paths = ["/signals/signals.csv?_stream=1", "/signals/screened.csv?_stream=1", "/signals/trend.csv?step=month"]
    trend, tables = "/signals/trend.json?_shape=array&step=month", "/signals/table_sizes.json?_shape=array"
    answers = ask(database, [*paths, trend, tables])
    sizes = {row["name"]: row["n"] for row in answers[tables].json()}
    counts = [sum(1 for _ in csv.DictReader(io.StringIO(answers[path].text))) for path in paths]
    assert counts == [
        sizes["signals"],
        sizes["screened"],
        len(answers["/signals/trend.json?_shape=array&step=month"].json()),
    ]
    assert counts[0] > 1000


def test_sql_of_a_reader_is_not_cut_at_a_thousand_rows(database: Path) -> None:
    path = "/signals.csv?sql=select+id+from+signals"
    with sqlite3.connect(database) as db:
        (signals,) = db.execute("select count(*) from signals").fetchone()
    assert len(ask(database, [path])[path].text.splitlines()) == signals + 1 > 1001


def test_other_sites_may_read(database: Path) -> None:
    paths = ["/signals/headline.json?_shape=array", "/signals/signals.csv?_stream=1"]
    assert {a.headers["access-control-allow-origin"] for a in ask(database, paths).values()} == {"*"}
