"""The page cache, seen from outside: who gets a fresh page, who a kept one, who a 304."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlite_utils

from tests.conftest import Site

# A page that says how often it was rendered, if the text changes from one rendering to the next.
COUNTER = "-- title: t\n-- description: d\n\nselect hex(randomblob(8)) as token"
MEMO = "{{ query('token')[0].token }} {{ request.args.get('q') }} {{ request.headers.host }}" + " padding" * 200
PAGES = {
    "pages/memo.html": MEMO,
    "pages/other.html": MEMO,
    "pages/themes/{theme}.html": MEMO,
    "pages/method.html": "{{ custom_status(418) }}" + MEMO,
    "pages/downloads.html": "{{ custom_header('cache-control', 'no-store') }}" + MEMO,
}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(queries={"token": COUNTER}, templates=PAGES)


def ask(site: Site, *requests: tuple[str, dict[str, str]], **options: Any) -> list[httpx.Response]:
    """Answers of one running application to requests (path, headers), in turn."""

    async def run() -> list[httpx.Response]:
        app = site.datasette(**options).app()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return [await client.get(path, headers=headers) for path, headers in requests]

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/memo", "/memo?q=1", "/themes/output-defects", "/static/site.css"])
def test_a_page_is_rendered_once(site: Site, path: str) -> None:
    first, second = ask(site, (path, {}), (path, {}))
    assert first.status_code == second.status_code == 200
    assert first.text == second.text
    assert first.headers["etag"] == second.headers["etag"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/method", {}),
        ("/downloads", {}),
        ("/memo", {"cookie": "ds_actor=x"}),
        ("/memo", {"authorization": "Bearer x"}),
    ],
)
def test_what_is_not_kept(site: Site, path: str, headers: dict[str, str]) -> None:
    first, second = ask(site, (path, headers), (path, headers))
    assert first.text != second.text
    assert "etag" not in first.headers


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/signals/token.json?_shape=array", True),
        ("/signals/token", True),
        ("/signals/token.csv", False),
        ("/signals.json?_shape=array&sql=select+hex(randomblob(8))", False),
    ],
)
def test_canned_queries_are_kept_but_no_sql_of_a_reader_and_no_stream(site: Site, path: str, kept: bool) -> None:
    first, second = ask(site, (path, {}), (path, {}))
    assert first.status_code == second.status_code == 200
    assert (first.text == second.text) is kept


def test_other_pages_are_rendered_each_time_and_carry_a_validator(site: Site) -> None:
    first, second = ask(site, ("/other", {}), ("/other", {}))
    assert first.text != second.text
    etag = first.headers["etag"]
    assert ask(site, ("/other", {"if-none-match": etag}))[0].status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/signals",
        "/signals/signals?_sort=month",
        "/signals/signals.csv?_stream=1",
        "/signals/signals.json?_shape=array",
        "/signals/signals_by_phase.json?_shape=array&place=hub",
        "/signals.json?_shape=array&sql=select+1",
        "/signals.db",
    ],
)
def test_tables_queries_and_files_answer_304_until_the_data_change(site: Site, path: str) -> None:
    def fresh(headers: dict[str, str]) -> httpx.Response:
        return ask(site, (path, headers), files=[], immutables=[str(site.database)])[0]

    answer = fresh({})
    assert answer.status_code == 200
    again = fresh({"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with sqlite_utils.Database(site.database).conn as connection:
        connection.execute("update build_info set value = 'other' where key = 'content_hash'")
    assert fresh({"if-none-match": answer.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/signals/nothing", "/signals.json?sql=select+nonsense", "/-/versions.json", "/nothing"]
)
def test_faults_and_what_is_not_data_carry_no_validator(site: Site, path: str) -> None:
    assert "etag" not in ask(site, (path, {}))[0].headers


def test_a_query_with_a_cookie_is_passed_through(site: Site) -> None:
    path = "/signals.json?_shape=array&sql=select+1"
    etag = ask(site, (path, {}))[0].headers["etag"]
    answer = ask(site, (path, {"cookie": "ds_actor=x", "if-none-match": etag}))[0]
    assert answer.status_code == 200 and "etag" not in answer.headers


def test_address_and_host_make_different_pages(site: Site) -> None:
    pages = ask(site, ("/memo", {}), ("/memo?q=1", {}), ("/memo", {"host": "evil.example"}))
    assert len({page.text for page in pages}) == len({page.headers["etag"] for page in pages}) == 3
    assert "evil.example" not in pages[0].text


def test_a_reader_who_has_the_page_gets_304_even_after_a_restart(site: Site) -> None:
    etag = ask(site, ("/memo", {}))[0].headers["etag"]
    answer = ask(site, ("/memo", {"if-none-match": f'"else", {etag}'}))[0]
    assert answer.status_code == 304 and answer.content == b"" and answer.headers["etag"] == etag
    assert ask(site, ("/memo?q=2", {"if-none-match": etag}))[0].status_code == 200


def test_a_new_database_or_template_makes_a_new_page(site: Site) -> None:
    etags = [ask(site, ("/memo", {}))[0].headers["etag"]]
    (site.root / "templates" / "pages" / "memo.html").write_text("changed")
    etags.append(ask(site, ("/memo", {}))[0].headers["etag"])
    with sqlite_utils.Database(site.database).conn as connection:
        connection.execute("update build_info set value = 'other' where key = 'content_hash'")
    etags.append(ask(site, ("/memo", {}))[0].headers["etag"])
    assert len(set(etags)) == 3


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_encoding_is_what_the_header_says(site: Site, encoding: str) -> None:
    async def run() -> None:
        app = site.datasette().app()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for _ in range(2):
                async with client.stream("GET", "/memo", headers={"accept-encoding": encoding}) as answer:
                    raw = b"".join([part async for part in answer.aiter_raw()])
                assert answer.headers.get("content-encoding", "identity") == encoding
                assert int(answer.headers["content-length"]) == len(raw)
                body = gzip.decompress(raw) if encoding == "gzip" else raw
                assert body.endswith(b"padding") and answer.headers.get_list("content-encoding") in (
                    [],
                    ["gzip"],
                )

    asyncio.run(run())


def test_readers_at_the_same_time_share_one_rendering(site: Site) -> None:
    async def run() -> set[str]:
        app = site.datasette().app()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return {answer.text for answer in await asyncio.gather(*(client.get("/memo") for _ in range(20)))}

    assert len(asyncio.run(run())) == 1


def test_the_least_recently_read_page_goes_first(site: Site) -> None:
    store = site.plugin("page_cache").PageStore(max_entries=2, max_bytes=100)
    page = site.plugin("page_cache").Page(200, [], b"x" * 30)
    for key in ("a", "b"):
        store.put(key, page)
    store.get("a")
    store.put("c", page)
    assert list(store.pages) == ["a", "c"] and store.bytes == 60
    store.put("big", site.plugin("page_cache").Page(200, [], b"x" * 80))
    assert list(store.pages) == ["big"] and store.bytes == 80


def test_it_can_be_switched_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_PAGE_CACHE", "off")
    first, second = ask(site, ("/memo", {}), ("/memo", {}))
    assert first.text != second.text and "etag" not in first.headers


def test_an_immutable_database_is_asked_once(site: Site) -> None:
    answers = ask(site, ("/memo", {}), ("/memo", {}), files=[], immutables=[str(site.database)])
    assert answers[0].text == answers[1].text
