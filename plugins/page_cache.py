"""Keeps the rendered pages of the site in memory, and answers 304 to whoever has them already.

A page depends on the database, its address and the files it is made with, and on nothing else; so its ETag is
a hash of these, known before anything is rendered. Tables, rows and canned queries are kept too, as pages and as JSON.
A reader's own SQL, CSV and the files of the export are not kept, but carry such an ETag, and whoever has them already
gets a 304 without a query. A reader with a
cookie or credentials is passed through, since Datasette may show them something of their own. Off under
``datasette --reload`` and with FLYWHEEL_PAGE_CACHE=off, for those who work on templates.
"""

import asyncio
import gzip
import hashlib
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hupper
from datasette import hookimpl
from datasette.version import __version__

import flywheel
from flywheel.queries import DATABASE

ROOT = Path(__file__).resolve().parent.parent
MADE_WITH = (
    *(ROOT / name for name in ("templates", "static", "canned_queries", "plugins", "docs", "metadata.yml")),
    Path(flywheel.__file__).parent,
)
PAGES = {
    *("/", "/memo", "/iterate", "/recount", "/method", "/themes", "/search"),
    *("/downloads", "/api", "/datasheet", "/takedown", "/changes"),
}
# Static files too: Datasette 0.65 sends them without a validator, so browsers would fetch them at each page.
FOLDERS_OF_PAGES = ("/themes/", "/posts/", "/figures/", "/static/", "/history/")
TABLES = f"/{DATABASE}"
STREAMS = (".csv", ".db", ".blob")
# Some 60 pages and figures of up to 150 KB; the rest is room for query strings. A page of thousands of rows as JSON
# would push all others out.
MAX_ENTRIES, MAX_BYTES, MAX_PAGE = 500, 32_000_000, 1_000_000
PRIVATE = {b"cookie", b"authorization"}

App = Callable[[Any, Any, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Page:
    """One answer of the application; ``packed``, its body in gzip, is there if the page is worth keeping."""

    status: int
    headers: Headers
    body: bytes
    packed: bytes = b""


class PageStore:
    """Pages by key, the least recently read dropped first once there are too many or they weigh too much."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self.pages: OrderedDict[str, Page] = OrderedDict()
        self.bytes = 0

    def get(self, key: str) -> Page | None:
        if page := self.pages.get(key):
            self.pages.move_to_end(key)
        return page

    def put(self, key: str, page: Page) -> None:
        self.pages[key] = page
        self.bytes += len(page.body) + len(page.packed)
        while len(self.pages) > self.max_entries or self.bytes > self.max_bytes:
            _, dropped = self.pages.popitem(last=False)
            self.bytes -= len(dropped.body) + len(dropped.packed)


def hash_of_files(names: Iterable[Path]) -> str:
    """Of files, and of all files of folders, with the version of Datasette, whose own templates are part of pages."""
    found = (path for name in names for path in ([name] if name.is_file() else name.rglob("*.*")))
    files = sorted(path for path in found if path.suffix != ".pyc")
    hashes = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files if path.is_file()]
    return hashlib.sha256(repr([__version__, *hashes]).encode()).hexdigest()


def worth_keeping(page: Page) -> bool:
    """A page that sets its own Cache-Control, as templates can, is left alone; Datasette's own says max-age alone."""
    known = {name.lower(): value for name, value in page.headers}
    lasts = known.get(b"cache-control", b"max-age").startswith(b"max-age")
    return (
        page.status == 200
        and len(page.body) <= MAX_PAGE
        and lasts
        and not known.keys() & {b"set-cookie", b"content-encoding"}
    )


async def render(app: App, scope: dict[str, Any]) -> Page:
    """Asks the application on behalf of all who wait for this page; no one's leaving cuts it short."""
    status, headers, body = 500, [], bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    page = Page(status, [header for header in headers if header[0].lower() != b"content-length"], bytes(body))
    return replace(page, packed=gzip.compress(page.body, 9, mtime=0)) if worth_keeping(page) else page


def tagged(send: Any, etag: bytes) -> Any:
    """Passes an answer on as it comes, a stream too, with the ETag where it is whole and has none of its own."""

    async def passed(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = list(message.get("headers", []))
            known = {name.lower(): value for name, value in headers}
            if not known.keys() & {b"etag", b"set-cookie"} and b"no-store" not in known.get(b"cache-control", b""):
                headers.append((b"etag", etag))
                if b"cache-control" not in known:
                    headers.append((b"cache-control", b"public, no-cache"))
                message = {**message, "headers": headers}
        await send(message)

    return passed


async def answer(send: Any, page: Page, etag: bytes, accepts: bytes = b"") -> None:
    headers, body = list(page.headers), page.body
    if page.packed or page.status == 304:
        headers += [(b"etag", etag), (b"vary", b"Accept-Encoding")]
        if b"cache-control" not in {name.lower() for name, _ in headers}:
            headers.append((b"cache-control", b"public, no-cache"))
    if page.packed and b"gzip" in accepts:
        # datasette-gzip, which wraps this plugin, leaves alone what is encoded already.
        headers.append((b"content-encoding", b"gzip"))
        body = page.packed
    if page.status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    if os.environ.get("FLYWHEEL_PAGE_CACHE") == "off" or hupper.is_active():
        return lambda app: app
    store = PageStore(MAX_ENTRIES, MAX_BYTES)
    pending: dict[str, asyncio.Task[Page]] = {}
    made_with = hash_of_files(MADE_WITH)
    content_hashes: dict[int, str] = {}

    async def content_hash() -> str:
        database = datasette.get_database(DATABASE)
        if (known := content_hashes.get(id(database))) is None:
            results = await database.execute("select value from build_info where key = 'content_hash'")
            known = str(results.rows[0]["value"])
            if not database.is_mutable:
                content_hashes[id(database)] = known
        return known

    def concerns(scope: dict[str, Any]) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET" or DATABASE not in datasette.databases:
            return False
        return not PRIVATE & {name for name, _ in scope["headers"]}

    def kept(scope: dict[str, Any]) -> bool:
        path = "/" + scope["path"].removeprefix(datasette.setting("base_url"))
        if path == TABLES or path.startswith((f"{TABLES}/", f"{TABLES}.")):
            # What streams is never held whole; and SQL may ask for the time or for a random number.
            query = scope["query_string"]
            return not path.endswith(STREAMS) and b"sql=" not in query and b"_stream" not in query
        return path in PAGES or path.startswith(FOLDERS_OF_PAGES)

    def has_validator(scope: dict[str, Any]) -> bool:
        """Whether the answer follows from the database: not so for Datasette's pages about itself (/-/…)."""
        path: str = scope["path"].removeprefix(datasette.setting("base_url"))
        return path.split("/")[0] != "-"

    async def render_and_keep(app: App, scope: dict[str, Any], key: str) -> Page:
        try:
            page = await render(app, scope)
        finally:
            del pending[key]
        if page.packed:
            store.put(key, page)
        return page

    def wrap(app: App) -> App:
        async def cached(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if not concerns(scope) or not has_validator(scope):
                await app(scope, receive, send)
                return
            request = dict(scope["headers"])
            # The host belongs to the key because pages may print absolute links.
            parts = [
                await content_hash(),
                made_with,
                scope.get("scheme"),
                request.get(b"host"),
                scope["path"],
            ]
            key = hashlib.sha256(repr([*parts, scope["query_string"]]).encode()).hexdigest()
            # Weak, as the same tag stands for the page and for its gzip.
            etag = f'W/"{key[:32]}"'.encode()
            if etag in [tag.strip() for tag in request.get(b"if-none-match", b"").split(b",")]:
                await answer(send, Page(304, [], b""), etag)
                return
            if not kept(scope):
                await app(scope, receive, tagged(send, etag))
                return
            page = store.get(key)
            if page is None:
                if key not in pending:
                    pending[key] = asyncio.ensure_future(render_and_keep(app, scope, key))
                page = await asyncio.shield(pending[key])
            await answer(send, page, etag, request.get(b"accept-encoding", b""))

        return cached

    return wrap
