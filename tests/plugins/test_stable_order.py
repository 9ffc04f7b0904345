"""Sorted tables page through every row once, whatever they are sorted by."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.conftest import forget_site_plugins
from tests.served import ask, site

COLUMNS = ["", "_sort=id", "_sort=place", "_sort_desc=place", "_sort=month", "_sort_desc=month", "_sort_desc=tool",
           "_sort_desc=weight", "_sort=theme&place=openai-forum", "_sort_desc=sure&_search=loss"]  # fmt: skip


@pytest.mark.parametrize("sort", COLUMNS)
def test_streamed_csv_holds_each_row_once(database: Path, sort: str) -> None:
    paths = [f"/signals/signals.csv?_stream=1&{sort}", f"/signals/signals.json?_size=1&{sort}"]
    table, count = ask(database, paths).values()
    ids = [row["id"] for row in csv.DictReader(io.StringIO(table.text))]
    assert len(ids) == len(set(ids)) == count.json()["filtered_table_rows_count"] > 100


@pytest.mark.parametrize("table", ["screened", "codings", "cells", "estimates", "communities", "archives"])
def test_every_table_streams_whole(database: Path, table: str) -> None:
    rows, count = ask(database, [f"/signals/{table}.csv?_stream=1", f"/signals/{table}.json?_size=1"]).values()
    found = list(csv.reader(io.StringIO(rows.text)))[1:]
    assert len(found) == len(set(map(tuple, found))) == count.json()["filtered_table_rows_count"]


def test_only_a_sorted_page_of_a_table_is_changed(database: Path) -> None:
    forget_site_plugins()
    site(database)
    from datasette.plugins import pm

    change = pm.get_plugin("stable_order.py").with_primary_key
    keys = {"codings": ["post", "reading"], "signals": ["id"]}
    page = "select [id], month from signals where place = :p0 order by month desc limit 51"
    assert change(page, keys) == page.replace(" limit", ", [id] limit")
    assert change("select a from codings order by a limit 5", keys).endswith("order by a, [post], [reading] limit 5")
    for other in (
        "select id from signals order by month desc, id limit 51",
        "select theme, count(*) from signals where 1 group by theme order by theme limit 3",
        "select s.id from signals s join places p on p.slug = s.place order by month limit 3",
        "select id from signals where 1 union select slug from places order by id limit 3",
        "select id from unknown order by id limit 3",
        "with x as (select 1) select * from x",
    ):
        assert change(other, keys) == other
