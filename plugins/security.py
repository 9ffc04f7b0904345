"""What every request must be, and what every answer carries.

Requests that no page of ours needs are turned away before anything looks at them. Answers get their headers here, in
the outermost layer, so that kept pages, errors and refusals have them too. docs/security.md says what each stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl

from flywheel import serve
from flywheel.queries import DATABASE

METHODS = {"GET", "HEAD", "OPTIONS"}
# Of Datasette's own pages under /-/ those that tell about the data or that pages load. The others are for people who
# run or write plugins, show paths of the machine, or need inline script.
# /-/query is where own SQL is asked on Datasette 1.0.
META = re.compile(r"/-/(static|static-plugins)/.+|/-/(versions|settings|plugins|metadata)(\.json)?|/-/query(\.json)?")
_HOST = re.compile(r"(?P<name>[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)
_HERE = {"localhost", "127.0.0.1", "[::1]"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FACETS = {"_facet", "_facet_array", "_facet_date"}
_SEARCH, _WORD = re.compile(r"q|_search.*"), re.compile(r"\w+")

# No inline script or style, no frame, nothing from elsewhere.
POLICY: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# datasette-vega, on pages of tables and queries, compiles its charts and writes styles into the page.
POLICY_WITH_VEGA: Mapping[str, str] = {
    **POLICY,
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
}
POLICY_OF_DATA: Mapping[str, str] = {"default-src": "'none'", "frame-ancestors": "'none'"}
# Features of a browser that no page of ours uses, nor may anything that gets into one.
_FEATURES = (
    *("accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer"),
    *("microphone", "midi", "payment", "publickey-credentials-get", "serial", "usb"),
)
HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
}


def policy(path: str, query: bytes, content_type: str) -> str:
    """The Content-Security-Policy of an answer."""
    if not content_type.startswith("text/html"):
        chosen = POLICY_OF_DATA
    else:
        parts = [part for part in path.split("/") if part]
        table_or_query = len(parts) == 2 or b"sql=" in query or parts[1:] == ["-", "query"]
        chosen = POLICY_WITH_VEGA if parts[:1] == [DATABASE] and table_or_query else POLICY
    return "; ".join(f"{name} {value}" for name, value in chosen.items())


def fault(scope: Mapping[str, Any], names: frozenset[str] = frozenset()) -> tuple[int, str] | None:
    """Why a request is turned away: status and a sentence, or None. `names` are the site's, if it has any."""
    if scope["method"] not in METHODS:
        return 405, "This site is read only: GET and HEAD."
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None or (names and host["name"].lower() not in names | _HERE):
        return 400, "No site of this name is here."
    path = scope["path"]
    if len(path) + len(scope["query_string"]) > serve.ADDRESS_LENGTH:
        return 414, f"Addresses have at most {serve.ADDRESS_LENGTH:,} characters here."
    if _CONTROL.search(path) or path.startswith("//") or "\\" in path:
        return 400, "No page of ours has such an address."
    if path.startswith("/-/") and not META.fullmatch(path):
        return 404, "There is no such page."
    given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if sum(name in _FACETS for name, _ in given) > serve.FACETS:
        return 400, f"Count by at most {serve.FACETS} columns at once."
    for name, value in given:
        if name == "_trace":
            return 400, "Nothing is traced here."
        if _SEARCH.fullmatch(name) and len(_WORD.findall(value)) > serve.SEARCH_WORDS:
            return 400, f"Search for at most {serve.SEARCH_WORDS} words at once."
        if name == "_searchmode" and value == "raw":
            return 400, "Ask with the syntax of FTS5 in SQL of your own: there it can be stopped when it takes long."
    return None


def with_fewer_rows(scope: Mapping[str, Any]) -> bytes:
    """The query string of a page of a table, with _size at most ROWS_OF_A_PAGE. Data come as they were asked for."""
    given = scope["query_string"]
    if b"_size=" not in given or scope["path"].endswith((".json", ".csv")) or b"_format=" in given:
        return bytes(given)
    values = parse_qsl(given.decode("latin-1"), keep_blank_values=True)
    fewer = [
        (name, str(serve.ROWS_OF_A_PAGE) if name == "_size" and _too_many(value) else value) for name, value in values
    ]
    return given if fewer == values else urlencode(fewer).encode()


def _too_many(size: str) -> bool:
    return size == "max" or (size.isdecimal() and int(size[:9]) > serve.ROWS_OF_A_PAGE)


@hookimpl(trylast=True)
def asgi_wrapper(datasette: Any) -> Callable[[Any], Any]:
    names = serve.hosts()

    def wrap(app: Any) -> Any:
        async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def dressed(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    headers = _headers(scope, message["status"], message.get("headers", []))
                    message = {**message, "headers": headers}
                await send(message)

            if (found := fault(scope, names)) is not None:
                await _turn_away(dressed, *found)
                return
            await app({**scope, "query_string": with_fewer_rows(scope)}, receive, dressed)

        return guarded

    return wrap


def _headers(scope: dict[str, Any], status: int, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kind = next((value.decode("latin-1") for name, value in given if name.lower() == b"content-type"), "")
    ours = {**HEADERS, "content-security-policy": policy(scope["path"], scope["query_string"], kind)}
    # A 304 has no type of its own, and its headers take the place of those of the page that a browser has kept.
    if status == 304:
        del ours["content-security-policy"]
    kept = [(name, value) for name, value in given if name.lower().decode("latin-1") not in ours]
    return [*kept, *((name.encode(), value.encode()) for name, value in ours.items())]


async def _turn_away(send: Any, status: int, sentence: str) -> None:
    body = sentence.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *([(b"allow", b"GET, HEAD, OPTIONS")] if status == 405 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@hookimpl
def prepare_connection(conn: Any, database: str) -> None:
    """Every connection of the server, that is, of pages, tables and named queries."""
    # Datasette itself writes to its list of tables, _internal, which nobody can ask.
    if database == DATABASE:
        conn.execute("pragma query_only = 1")
    # Nothing is spilled to disk, so that the file system may be read only.
    conn.execute("pragma temp_store = memory")
    for limit, value in serve.SQLITE_LIMITS.items():
        conn.setlimit(limit, value)
