"""Every route and parameter with values that nobody meant: an answer that says what is wrong, never a failure.

`make test` sends a few hundred; FUZZ=20000 sends as many as one likes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel import queries
from flywheel.schema import TABLES, VIEWS
from tests.conftest import ROOT
from tests.served import site

QUERIES = queries.load(ROOT / "canned_queries")
PLACES_OF_TEXT = "{text}"
ROUTES = [
    *("/", "/memo", "/themes", "/method", "/downloads", "/search", "/signals.db", "/robots.txt"),
    *("/themes/{text}", "/figures/{text}.svg", "/static/{text}", "/-/{text}", "/{text}", "/signals/{text}"),
    *("/signals/signals/{text}", "/signals/{text}/{text}", "/{text}/{text}/{text}"),
    *(f"/figures/{path.stem}.svg" for path in sorted((ROOT / "templates" / "figures").glob("*.html"))),
    *(f"/-/{name}.json" for name in ("versions", "settings", "plugins", "metadata")),
    *(f"/signals{format}" for format in ("", ".json", ".csv")),
    *(f"/signals/{name}{format}" for name in (*TABLES, *VIEWS, *QUERIES) for format in ("", ".json", ".csv")),
    *(f"/signals/signals/gh~2EBlaizzy~2Emlx-vlm~2E2181{format}" for format in ("", ".json", ".blob")),
]
PARAMETERS = [
    *("sql", "_where", "_sort", "_sort_desc", "_facet", "_facet_array", "_facet_date", "_facet_size", "_size", "_next"),
    *("_search", "_search_title", "_searchmode", "_shape", "_nl", "_labels", "_col", "_nocol", "_json", "_trace"),
    *("_json_infinity", "_ttl", "_timelimit", "_stream", "_dl", "_format", "_through", "_nofacet", "_nosuggest"),
    *("_nocount", "_header", "_hide_sql", "_show_hidden", "_blob_column", "_blob_hash", "_extra", "_extras"),
    *("_filter_column", "_filter_op", "_filter_value", "_filter_column_1", "_filter_op_1", "_filter_value_1"),
    *("_sort_by_desc", "_object", "theme", "id", "month__gt", "month__date", "id__in", "themes__arraycontains"),
    *("title__contains", "title__like", "title__glob", "title__notblank", "score__lt", "nothing__exact", "phase__x"),
    *sorted({parameter.name for query in QUERIES.values() for parameter in query.parameters}),
]
AWKWARD = [
    *("", "0", "-1", "1", "max", "10001", "99999999999999999999", "1e9", "nan", "on", "off", "x", "array", "objects"),
    *("signals", "theme", "month", "id", "rowid", "themes", "signals_fts", "raw", "'", '"', "''", "%", "%00", "[", "]"),
    *("[]", "{}", '{"table":"places","column":"slug","value":"x"}', '["a"]', "null", ",", "a,b", "~", "~2E", "$null"),
    *("select 1", "select", "select ?", "select :a", "select * from signals limit 3", "with x as (select 1) select 1"),
    *("explain select 1", "pragma table_info(signals)", "delete from signals", "attach 'x' as y", "1=1) --", "theme"),
    *("select 1; select 2", "select '<script>' as \"<script>\"", "select 1 as a, 2 as a", "select x'ff00' as b"),
    *("select 9223372036854775807 * 2.0", "select 1e999", "select null where 0", "../..", "\u202e"),
    *("🏳️‍🌈", "\x00", "\r\n"),
    *("{{ 7*7 }}", "<script>alert(1)</script>", "2025-01", "2025-13", "output-defects"),
    *("evaluate", "json", "csv"),
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(AWKWARD), st.text(max_size=30), st.text(st.characters(max_codepoint=127), max_size=30)
)
values = st.lists(st.tuples(st.sampled_from(PARAMETERS), texts), max_size=4)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from(ROUTES))
    while PLACES_OF_TEXT in path:
        path = path.replace(PLACES_OF_TEXT, quote(draw(texts), safe=draw(st.sampled_from(["", "/", "/.~"]))), 1)
    given = draw(values)
    return f"{path}?{urlencode(given)}" if given else path


@pytest.fixture(scope="module")
def get(database: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYWHEEL_SQL_PER_MINUTE", "off")
        datasette = site(database)
        loop = asyncio.new_event_loop()
        yield lambda address: loop.run_until_complete(datasette.client.get(address))
        loop.close()


@settings(
    max_examples=int(os.environ.get("FUZZ", "300")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(address=addresses())
def test_no_address_makes_the_site_fail(get: Any, address: str) -> None:
    answer = get(address)
    assert answer.status_code < 500, answer.text[:500]
    assert "Traceback (most recent call last)" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe-inline" not in answer.headers["content-security-policy"].split("style-src")[0]
