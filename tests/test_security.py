"""What docs/security.md promises, line by line."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import multiprocessing
import re
import sqlite3
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from datasette.plugins import pm

from flywheel import own_sql, serve
from flywheel.schema import TABLES
from tests import hostile
from tests.conftest import ROOT
from tests.served import ask, site
from tests.test_fuzz import ROUTES

OURS = ["/", "/memo", "/themes", "/themes/output-defects", "/method", "/downloads", "/search?q=merge"]
DATASETTES = ["/signals", "/signals/signals", "/signals/lead", "/signals?sql=select+1", "/signals/signals/x"]
DATA = ["/signals.json", "/signals/places.csv", "/static/site.css", "/figures/of_100.svg", "/robots.txt", "/signals.db"]
REFUSED = ["/-/patterns", "/nowhere", "/signals?sql=select+nonsense", "//evil.example/", "/themes/vibes"]


@pytest.fixture(scope="module")
def answers(database: Path) -> dict[str, httpx.Response]:
    return ask(database, [*OURS, *DATASETTES, *DATA, *REFUSED])


class Live(HTMLParser):
    """Collects what a page would run or fetch as script: handlers, script in its text, links that are script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/ld+json"):
            self.found.append(f"<{tag}> in the text")
        for name, value in attrs:
            runs = name in ("href", "src", "action") and (value or "").strip().lower().startswith(
                ("javascript:", "data:")
            )
            if name.startswith("on") or name == "style" or runs:
                self.found.append(f"<{tag} {name}={value}>")


def live(page: str) -> list[str]:
    parser = Live()
    parser.feed(page)
    return parser.found


def plugin(name: str) -> Any:
    return pm.get_plugin(f"{name}.py")


@pytest.fixture
def security(database: Path) -> Any:
    site(database)
    return plugin("security")


def request(path: str, method: str = "GET", query: str = "", **headers: str) -> dict[str, Any]:
    given = {"host": "flywheel.example.org", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }


# Headers and pages ------------------------------------------------------------


@pytest.mark.parametrize("path", [*OURS, *DATASETTES, *DATA, *REFUSED])
def test_every_answer_carries_the_headers(answers: dict[str, httpx.Response], path: str) -> None:
    headers = answers[path].headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize("path", [*OURS, *DATASETTES, *REFUSED])
def test_no_page_has_script_or_style_in_its_text(answers: dict[str, httpx.Response], path: str) -> None:
    assert live(answers[path].text) == []


def test_only_pages_with_charts_to_explore_loosen_the_policy(answers: dict[str, httpx.Response]) -> None:
    def policy(path: str) -> str:
        found: str = answers[path].headers["content-security-policy"]
        return found

    for path in [*OURS, *DATA, *REFUSED[:1]]:
        assert "unsafe" not in policy(path), path
    assert "script-src 'self' 'unsafe-eval';" in policy("/signals/signals")
    assert all("'unsafe-inline'" not in policy(path).split("style-src")[0] for path in answers)


def test_hostile_rows_stay_text_on_every_route(database: Path, tmp_path: Path) -> None:
    made = hostile.make(database, tmp_path / "signals.db")
    rows = [f"/signals/{table}?_sort_desc={next(iter(spec.columns))}" for table, spec in TABLES.items()]
    paths = [*(route for route in ROUTES if "{text}" not in route), *rows]
    for path, answer in ask(made, paths).items():
        assert answer.status_code < 500, path
        if answer.headers["content-type"].startswith("text/html"):
            assert live(answer.text) == [], path


# Requests ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"])
def test_nothing_but_reading(security: Any, method: str) -> None:
    assert security.fault(request("/signals", method))[0] == 405


@pytest.mark.parametrize(
    "name",
    ["patterns", "messages", "permissions", "allow-debug", "threads", "actor", "logout", "databases", "auth-token"],
)
def test_datasettes_own_tools_are_off(security: Any, name: str) -> None:
    assert security.fault(request(f"/-/{name}"))[0] == 404
    assert security.fault(request(f"/-/{name}.json"))[0] == 404
    assert security.fault(request("/-/versions.json")) is None


@pytest.mark.parametrize("host", ["", "evil example", 'a"><script>', "a\r\nb", "a/b", "a@b", "a:99999999", "é", "-"])
def test_a_host_is_a_name(security: Any, host: str) -> None:
    given = request("/memo")
    given["headers"] = [(b"host", host.encode())]
    assert security.fault(given)[0] == 400
    assert security.fault({**given, "headers": []})[0] == 400


def test_other_host_names_are_refused_where_ours_are_known(security: Any) -> None:
    names = frozenset({"flywheel.example.org"})
    assert security.fault(request("/memo"), names) is None
    assert security.fault(request("/memo", host="FLYWHEEL.example.org:443"), names) is None
    assert security.fault(request("/memo", host="127.0.0.1:8001"), names) is None
    assert security.fault(request("/memo", host="evil.example"), names)[0] == 400


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/signals/\r\nx: y/", "/a\x00b", "/a\x7f"])
def test_addresses_that_lead_elsewhere_or_split_lines_are_refused(security: Any, path: str) -> None:
    assert security.fault(request(path))[0] == 400


def test_no_redirect_leaves_the_site(database: Path) -> None:
    tries = ["/signals/", "/memo/", "/%2f/evil.example/", "/%5cevil.example/", "/signals/%2f%2fevil.example/", "/x.y/"]
    targets = ["/themes/%2f%2fevil.example", "/signals/signals/%0d%0ax%3ay", "/.//evil.example/", "/signals//evil/"]
    for path, answer in ask(database, [*tries, *targets]).items():
        location = answer.headers.get("location", "/")
        assert re.fullmatch(r"/(?![/\\])[^\r\n]*", location), (path, location)


def test_addresses_and_searches_have_an_end(security: Any) -> None:
    assert security.fault(request("/memo", query="x=" + "a" * 20_000))[0] == 414
    assert security.fault(request("/search", query="q=" + "a+" * 40))[0] == 400
    assert security.fault(request("/signals/signals", query="_search=" + "a-" * 40))[0] == 400
    assert security.fault(request("/signals/signals", query="_search=a*&_searchmode=raw"))[0] == 400
    assert security.fault(request("/signals/signals", query="&".join(["_facet=theme"] * 9)))[0] == 400
    assert security.fault(request("/search", query="q=" + "a" * 5_000)) is None


def test_a_page_of_a_table_has_an_end(database: Path) -> None:
    paths = [
        "/signals/signals?_size=max",
        "/signals/signals?_size=9999",
        "/signals/signals.json?_size=max&_shape=array",
    ]
    pages = ask(database, paths)
    assert [pages[path].text.count("<tr>") for path in paths[:2]] == [serve.ROWS_OF_A_PAGE + 1] * 2
    assert len(pages[paths[2]].json()) > 2_000


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../metadata.yml", "/static/..%2fmetadata.yml", "/static/%2e%2e/%2e%2e/etc/passwd"),
        *("/-/static/../app.py", "/-/static/%2e%2e/app.py", "/-/static-plugins/datasette_vega/..%2f__init__.py"),
        *("/figures/..%2fpages%2fmemo.svg", "/figures/_macros.svg", "/themes/..%2f..%2fbase", "/pages/memo.html"),
        *(
            "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/signals/..%2f..%2fetc%2fpasswd",
            "/_internal",
            "/_memory",
        ),
        *("/base", "/_macros", "/figures/of_100", "/themes/{theme}", "/metadata.yml", "/store.db", "/signals.db.db"),
    ],
)
def test_no_address_reaches_another_file(database: Path, path: str) -> None:
    answer = ask(database, [path])[path]
    assert answer.status_code in (302, 400, 403, 404)
    assert not any(word in answer.text for word in ("root:", "import ", "{%", "databases:"))


def test_crawlers_are_sent_to_the_pages(answers: dict[str, httpx.Response]) -> None:
    assert {"User-agent: *", "Disallow: /*?", "Disallow: /-/"} <= set(answers["/robots.txt"].text.splitlines())


def test_what_a_request_says_of_itself_gets_into_no_kept_page(database: Path) -> None:
    async def run() -> list[str]:
        transport = httpx.ASGITransport(site(database).app())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            odd = {"x-forwarded-host": "evil.example", "x-original-url": "/evil", "accept-language": "evil", "dnt": "1"}
            first = await client.get("/memo", headers={**odd, "user-agent": "evil", "referer": "http://evil.example"})
            return [first.text, first.headers["etag"], (await client.get("/memo")).headers["etag"]]

    text, first, second = asyncio.run(run())
    assert "evil" not in text.replace("devil", "")
    assert first == second


def test_a_csv_holds_what_the_database_holds_and_the_page_says_so(database: Path, tmp_path: Path) -> None:
    made = hostile.make(database, tmp_path / "signals.db")
    found = ask(made, ["/signals/themes.csv?_size=max", "/downloads"])
    cells = {cell for row in csv.reader(io.StringIO(found["/signals/themes.csv?_size=max"].text)) for cell in row}
    assert '=HYPERLINK("http://example.org";"x")' in cells
    assert "load the columns as text" in found["/downloads"].text


# SQL of one's own -------------------------------------------------------------


def run(database: Path, sql: str, rows: int | None = 100, milliseconds: int = 1000) -> own_sql.Answer:
    return own_sql.run(str(database), True, sql, {}, milliseconds, rows, None)


@pytest.mark.parametrize(
    "sql",
    [
        *("attach 'x.db' as x", "detach main", "vacuum into 'x.db'", "begin", "reindex", "analyze"),
        *(
            "create table x (a)",
            "drop table signals",
            "insert into build_info values ('a', 'b')",
            "delete from signals",
        ),
        *(
            "update signals set gist = ''",
            "create temp table x (a)",
            "pragma writable_schema = on",
            "pragma query_only=0",
        ),
        *("pragma journal_mode = wal", "pragma hard_heap_limit = 1", "select * from pragma_database_list"),
        *("select load_extension('x')", "select fts3_tokenizer('simple')", "select readfile('/etc/passwd')"),
        *("select writefile('x', 'y')", "insert into signals_fts(signals_fts) values ('rebuild')"),
    ],
)
def test_own_sql_can_only_read(database: Path, sql: str) -> None:
    before = database.read_bytes()
    with pytest.raises(sqlite3.Error):
        run(database, sql)
    assert database.read_bytes() == before
    assert run(database, "select count(*) from signals").rows[0][0] > 1000


@pytest.mark.parametrize("sql", ["attach 'x' as y", "select 1; delete from signals", "pragma table_info(signals)"])
def test_the_site_takes_one_reading_statement(database: Path, sql: str) -> None:
    path = f"/signals.json?{urlencode({'sql': sql})}"
    assert ask(database, [path])[path].status_code == 400


def test_every_connection_of_the_server_is_read_only_and_limited(database: Path) -> None:
    async def read() -> tuple[int, int, int]:
        signals = site(database).databases["signals"]

        def limits(connection: sqlite3.Connection) -> tuple[int, int, int]:
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("delete from signals")
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("attach ':memory:' as other")
            return (
                connection.execute("pragma query_only").fetchone()[0],
                connection.execute("pragma temp_store").fetchone()[0],
                connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH),
            )

        found: tuple[int, int, int] = await signals.execute_fn(limits)
        return found

    assert asyncio.run(read()) == (1, 2, serve.SQLITE_LIMITS[sqlite3.SQLITE_LIMIT_LENGTH])


BIG = "replace(hex(zeroblob(49000)), '0', 'a')"
BOMBS = {
    "recursion": "with recursive c(i) as (select 1 union all select i + 1 from c) select count(*) from c",
    "join": "select count(*) from signals a, signals b, signals c",
    "zeroblob": "select zeroblob(1000000000)",
    "printf": "select printf('%.*c', 1000000000, 'x')",
    "blobs": "select randomblob(190000) from signals a, signals b",
    "sorted blobs": "select randomblob(190000) as x from signals a, signals b order by x",
    "group_concat": "select group_concat(hex(randomblob(1000))) from signals a, signals b",
    "instr": f"select sum(instr({BIG}, substr({BIG}, 1, 48000) || 'b' || id)) from signals",
    "replace": "select replace(hex(zeroblob(90000)), '0', hex(zeroblob(90000)))",
    "like": f"select {BIG} like '{'%a' * 90}b'",
    "full text": "select count(*) from signals_fts where signals_fts match"
    " replace(hex(zeroblob(8000)), '00', 'a* OR e* OR ') || 't*'",
    "json": "select count(*) from json_tree('[' || replace(hex(zeroblob(40000)), '0', '1,') || '1]') a, signals",
    "nesting": f"select {'(' * 500}1{')' * 500}",
    "union": " union all ".join(["select 1"] * 200),
    "columns": "select " + ", ".join(["1"] * 1500),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_seconds_and_little_memory(database: Path, bomb: str) -> None:
    path = f"/signals.json?{urlencode({'sql': BOMBS[bomb]})}"
    started = time.monotonic()
    answer = ask(database, [path])[path]
    # Two seconds alone; the processes have the lowest priority, so beside other work it takes longer.
    assert time.monotonic() - started < 30
    assert answer.status_code in (200, 400)
    for process in multiprocessing.active_children():
        status = Path(f"/proc/{process.pid}/status")
        if status.exists() and (peak := re.search(r"VmHWM:\s*(\d+)", status.read_text())):
            assert int(peak[1]) * 1024 < serve.OWN_SQL_MEMORY + 150_000_000


def test_own_sql_runs_elsewhere_at_the_lowest_priority(database: Path) -> None:
    if not Path("/proc").exists():
        pytest.skip("only Linux tells the priority of a process in /proc")
    ask(database, ["/signals.json?sql=select+1"])
    nice = [Path(f"/proc/{p.pid}/stat").read_text().split()[18] for p in multiprocessing.active_children()]
    assert nice.count("19") >= serve.OWN_SQL_PROCESSES


def test_a_large_answer_is_cut_as_a_page_and_refused_as_data(database: Path) -> None:
    sql = urlencode({"sql": "select a.*, b.* from signals a, signals b"})
    found = ask(database, [f"/signals?{sql}", f"/signals.json?{sql}", f"/signals.csv?{sql}"])
    page, data, table = found.values()
    assert page.status_code == 200, page.text
    assert "More than" in page.text
    assert page.text.count("<td") <= serve.OWN_SQL_CELLS_OF_A_PAGE
    assert data.status_code == table.status_code == 400
    assert "ask for fewer rows or columns" in data.json()["error"]


def test_own_sql_gives_what_datasette_would_give(database: Path) -> None:
    """Names said twice, no rows, blobs, nulls, parameters, an error: as in the server itself."""
    statements = [
        *('select 1 as a, 2 as a, null as b, x\'ff00\' as c, 1.5 as d, \'"\' as "q"""', "select 1 where 0"),
        *("select :x as x", "select nonsense", "explain select 1", "with a as (select 1) select * from a"),
    ]
    paths = [f"/signals.json?{urlencode({'sql': sql, 'x': 'y'})}" for sql in statements]
    apart = ask(database, paths)

    async def here() -> list[dict[str, Any]]:
        datasette = site(database)
        await datasette.invoke_startup()
        signals = datasette.databases["signals"]
        signals.execute = type(signals).execute.__get__(signals)
        return [(await datasette.client.get(path)).json() for path in paths]

    def told(answer: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in answer.items() if key != "query_ms"}

    assert [told(answer.json()) for answer in apart.values()] == [told(answer) for answer in asyncio.run(here())]


@pytest.fixture
def impatient(database: Path) -> Iterator[Any]:
    """The answers of one running site to (path, client address) in turn."""

    def get(*requests: tuple[str, str]) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            app = site(database).app()
            found = []
            for path, client in requests:
                transport = httpx.ASGITransport(app, client=(client, 1))
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
                    found.append(await session.get(path))
            return found

        return asyncio.run(run())

    yield get


def test_a_script_that_sends_too_much_sql_is_told_when_to_go_on(impatient: Any) -> None:
    one = ("/signals.json?sql=select+1&_shape=array", "203.0.113.5")
    found = impatient(
        *[one] * (serve.OWN_SQL_BURST + 20), ("/signals.json?sql=select+2", "203.0.113.6"), ("/memo", one[1])
    )
    statuses = [answer.status_code for answer in found]
    assert statuses[: serve.OWN_SQL_BURST] == [200] * serve.OWN_SQL_BURST
    assert 429 in statuses[serve.OWN_SQL_BURST : -2]
    assert statuses[-2:] == [200, 200]
    refused = next(answer for answer in found if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1


def test_pages_and_named_queries_are_never_counted(impatient: Any) -> None:
    paths = ["/signals/lead.json", "/signals/places", "/search?q=merge", "/signals"]
    found = impatient(*[(path, "203.0.113.7") for path in paths * 12])
    assert {answer.status_code for answer in found} == {200}


def test_one_client_has_one_statement_under_way(database: Path) -> None:
    slow = f"/signals.json?{urlencode({'sql': BOMBS['join']})}"

    async def run() -> list[int]:
        transport = httpx.ASGITransport(site(database).app(), client=("203.0.113.8", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            return [answer.status_code for answer in await asyncio.gather(*(client.get(slow) for _ in range(9)))]

    statuses = asyncio.run(run())
    assert statuses.count(400) == serve.OWN_SQL_WAITING + 1
    assert statuses.count(429) == 9 - serve.OWN_SQL_WAITING - 1


def test_the_bucket_fills_with_time_and_forgets_whom_it_has_not_seen(database: Path) -> None:
    site(database)
    now = 0.0
    clients = plugin("own_sql").Clients(per_minute=60, burst=2, most=1000, clock=lambda: now)
    assert [clients.take("a")[1] for _ in range(3)] == [0, 0, 1]
    now = 1.0
    assert [clients.take("a")[1] for _ in range(2)] == [0, 1]
    now = 3600.0
    assert [clients.take("a")[1] for _ in range(3)] == [0, 0, 1]
    for number in range(5_000):
        clients.take(str(number))
    assert len(clients.known) == 1000


def test_a_client_is_an_address_or_a_network_of_one_subscriber(database: Path) -> None:
    site(database)
    client_of = plugin("own_sql").client_of
    assert client_of({"client": ("203.0.113.5", 1)}) == client_of({"client": ("::ffff:203.0.113.5", 9)})
    assert client_of({"client": ("2001:db8::1", 1)}) == client_of({"client": ("2001:db8::2:3", 2)})
    assert client_of({"client": ("2001:db8::1", 1)}) != client_of({"client": ("2001:db8:0:1::1", 1)})
    assert client_of({"client": None}) == client_of({}) == ""


@pytest.mark.parametrize("given", ["0", "-1", "many", ""])
def test_a_wrong_limit_is_no_limit_that_starts(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("FLYWHEEL_SQL_PER_MINUTE", given)
    with pytest.raises(ValueError, match="FLYWHEEL_SQL_PER_MINUTE"):
        serve.sql_per_minute()


# The list itself --------------------------------------------------------------


def test_every_line_of_the_list_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "|--"))]
    assert len(rows) >= 25
    for row in rows:
        cited = re.findall(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", row)
        assert cited, f"no test: {row}"
        for name, test in cited:
            defined = ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8")).body
            assert test in {node.name for node in defined if isinstance(node, ast.FunctionDef)}, f"{name}::{test}"


def test_a_kept_page_keeps_its_policy(database: Path) -> None:
    """A 304's headers take the place of the kept page's, so it must not bring a policy of its own."""

    async def run() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(site(database).app())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first = await client.get("/memo")
            return first, await client.get("/memo", headers={"if-none-match": first.headers["etag"]})

    first, again = asyncio.run(run())
    assert "script-src 'self'" in first.headers["content-security-policy"]
    assert again.status_code == 304
    assert "content-security-policy" not in again.headers
