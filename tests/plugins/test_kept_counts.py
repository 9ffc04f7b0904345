"""Counts of an immutable file are made once; everything else is asked anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import forget_site_plugins
from tests.served import ask, site

COUNT = "select count(*) from signals where place = :p0"
FACET = (
    "\n    select theme as value, count(*) as count from (select id, theme from signals)\n    group by theme limit 31"
)


def kept(run: Any, **options: Any) -> Any:
    from datasette.plugins import pm

    return pm.get_plugin("kept_counts.py").KeptCounts(run, **options)


@pytest.fixture(autouse=True)
def plugins(database: Path) -> None:
    forget_site_plugins()
    site(database)


class Asked:
    """Stands for a database: remembers what it was asked, and fails where it is told to."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, Any]] = []
        self.broken = False

    async def __call__(self, sql: str, params: Any = None, **options: Any) -> Any:
        self.queries.append((sql, params))
        await asyncio.sleep(0)
        if self.broken:
            raise RuntimeError("interrupted")
        return SimpleNamespace(rows=[(len(self.queries),)])


def test_the_same_count_is_asked_once_also_by_many_at_once() -> None:
    async def run() -> None:
        database = Asked()
        counts = kept(database)
        await asyncio.gather(*(counts.execute(COUNT, {"p0": "reddit"}) for _ in range(8)))
        await counts.execute(COUNT, {"p0": "reddit"})
        await counts.execute(COUNT, {"p0": "openai-forum"})
        await counts.execute(FACET, {}, truncate=False, custom_time_limit=500)
        await counts.execute(FACET, {}, truncate=False, custom_time_limit=500)
        assert database.queries == [(COUNT, {"p0": "reddit"}), (COUNT, {"p0": "openai-forum"}), (FACET, {})]

    asyncio.run(run())


@pytest.mark.parametrize(
    "sql",
    [
        "select * from signals",
        "select random()",
        "select max(n), count(*) from cells",
        "with a as (select 1) select * from a",
    ],
)
def test_nothing_but_counts_is_kept(sql: str) -> None:
    async def run() -> None:
        database = Asked()
        counts = kept(database)
        await counts.execute(sql)
        await counts.execute(sql)
        assert len(database.queries) == 2

    asyncio.run(run())


def test_a_count_that_failed_is_asked_again_and_the_oldest_goes_first() -> None:
    async def run() -> None:
        database = Asked()
        counts = kept(database, max_entries=2)
        database.broken = True
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await counts.execute(COUNT, {"p0": "a"})
        database.broken = False
        for place in ("a", "b", "a", "c", "a", "b"):
            await counts.execute(COUNT, {"p0": place})
        assert [params["p0"] for _, params in database.queries] == ["a", "a", "a", "b", "c", "b"]

    asyncio.run(run())


def test_a_faceted_table_says_the_same_twice(database: Path) -> None:
    path = "/signals/signals.json?_facet=theme&_facet=place&_size=1&_extra=count&_extra=facet_results"

    def counted(path: str) -> tuple[int, Any]:
        answer = ask(database, [path])[path].json()
        # Datasette 1.0 says `count`, 0.65 `filtered_table_rows_count`.
        return answer.get("count", answer.get("filtered_table_rows_count")), answer["facet_results"]

    first, narrowed, second = counted(path), counted(path + "&phase=train"), counted(path)
    assert first == second
    assert 0 < narrowed[0] < first[0]
    assert narrowed[1] != first[1]
