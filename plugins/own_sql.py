"""SQL that a reader wrote: who may send how much of it, and where it runs.

A request with ``sql=`` or ``_where=`` is one. Its client may have one under way at a time and so many a minute
(429 with Retry-After beyond that), and what it asks of the database is asked in flywheel/own_sql.py's processes.
Pages, tables and named queries are never counted.

Of any SQL that fails, own or named, Datasette makes an empty CSV file and says that all is well. Here it is an error.
"""

import asyncio
import ipaddress
import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from datasette import hookimpl
from datasette.database import QueryInterrupted, Results
from datasette.views.base import DatasetteError
from pebble import ProcessExpired

from flywheel import own_sql, serve
from flywheel.queries import DATABASE

PARAMETERS = {"sql", "_where"}


@dataclass(frozen=True)
class Given:
    """What a request brought: SQL and conditions as they stand in it, and whether a page is to show the answer."""

    texts: tuple[str, ...]
    for_a_page: bool
    as_csv: bool

    def is_in(self, sql: str) -> bool:
        """Whether a statement is made of it, and not one of Datasette's own questions about the database."""
        return not sql.lstrip()[:6].lower().startswith("pragma") and any(text in sql for text in self.texts)


_given: ContextVar[Given | None] = ContextVar("given", default=None)
_as_csv: ContextVar[bool] = ContextVar("as_csv", default=False)


@dataclass
class Client:
    """What is left of one client's minute, and its query under way."""

    tokens: float
    seen: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Clients:
    """Token buckets by client, the one longest unseen forgotten first."""

    def __init__(self, per_minute: float, burst: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.most, self.clock = per_minute / 60, burst, most, clock
        self.known: OrderedDict[str, Client] = OrderedDict()

    def take(self, name: str) -> tuple[Client, float]:
        """The client, and for how many seconds it has to wait: 0 if it may go on now, which costs it a token."""
        now = self.clock()
        client = self.known.setdefault(name, Client(self.burst, now))
        self.known.move_to_end(name)
        client.tokens = min(self.burst, client.tokens + (now - client.seen) * self.rate)
        client.seen = now
        while len(self.known) > self.most:
            self.known.popitem(last=False)
        if client.tokens < 1:
            return client, (1 - client.tokens) / self.rate
        client.tokens -= 1
        return client, 0


def client_of(scope: dict[str, Any]) -> str:
    """An IPv4 address, or the /64 of an IPv6 one, as one subscriber has all of that. Who sent X-Forwarded-For is
    believed only if FLYWHEEL_TRUSTED_PROXIES names them; by then the server has put the address into the scope."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_csv(scope: dict[str, Any]) -> bool:
    """Whether a request asks for CSV."""
    values = parse_qs(scope["query_string"].decode("latin-1"))
    return scope["path"].endswith(".csv") or "csv" in values.get("_format", ())


def given_by(scope: dict[str, Any]) -> Given | None:
    """The SQL in a request, None if there is none."""
    values = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    texts = [text.strip().rstrip(";").strip() for name in PARAMETERS & values.keys() for text in values[name]]
    if not any(texts):
        return None
    as_csv = is_csv(scope)
    is_data = as_csv or scope["path"].endswith((".json", ".blob")) or "_format" in values
    return Given(tuple(text for text in texts if text), "sql" in values and not is_data, as_csv)


async def refuse(send: Any, seconds: float) -> None:
    body = b"Too much SQL from this address at once. Retry-After says in how many seconds to go on.\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"retry-after", str(max(1, math.ceil(seconds))).encode()),
        (b"cache-control", b"no-store"),
        (b"access-control-allow-origin", b"*"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[Any], Any]:
    per_minute = serve.sql_per_minute()
    clients = Clients(per_minute or math.inf, serve.OWN_SQL_BURST, serve.CLIENTS)

    def wrap(app: Any) -> Any:
        async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
            given = given_by(scope) if scope["type"] == "http" else None
            if given is None:
                _as_csv.set(scope["type"] == "http" and is_csv(scope))
                await app(scope, receive, send)
                return
            client, seconds = clients.take(client_of(scope))
            if per_minute and (seconds or client.waiting > serve.OWN_SQL_WAITING):
                await refuse(send, seconds)
                return
            client.waiting += 1
            try:
                async with client.turn:
                    token = _given.set(given)
                    try:
                        await app(scope, receive, send)
                    finally:
                        _given.reset(token)
            finally:
                client.waiting -= 1

        return guarded

    return wrap


# First, so that the order of rows that stable_order.py sets is set for own SQL too.
@hookimpl(tryfirst=True)
def startup(datasette: Any) -> Any:
    async def inner() -> None:
        database = datasette.databases.get(DATABASE)
        if database is not None and database.path:
            database.execute = partial(_execute, database, database.execute)

    return inner


async def _execute(
    database: Any,
    execute: Callable[..., Awaitable[Any]],
    sql: str,
    params: Any = None,
    truncate: bool = False,
    custom_time_limit: int | None = None,
    page_size: int | None = None,
    log_sql_errors: bool = True,
) -> Any:
    given = _given.get()
    if given is None or not given.is_in(sql):
        try:
            return await execute(sql, params, truncate, custom_time_limit, page_size, log_sql_errors)
        except sqlite3.Error as error:
            raise _told(error, _as_csv.get()) from None
    milliseconds = min(custom_time_limit or serve.OWN_SQL_MILLISECONDS, serve.OWN_SQL_MILLISECONDS)
    given_values = dict(params) if isinstance(params, dict) else list(params or ())
    # Datasette asks for one row more than a page has, to know whether there is another page.
    most = max(database.ds.max_returned_rows, (page_size or 0) + 1) if truncate else None
    cut_cells = serve.OWN_SQL_CELLS_OF_A_PAGE if truncate and given.for_a_page else None
    try:
        answer = await asyncio.wrap_future(
            own_sql.submit(
                *(str(database.path), not database.is_mutable, sql, given_values, milliseconds, most, cut_cells),
                milliseconds=milliseconds,
            )
        )
    except TimeoutError as error:
        raise _told(QueryInterrupted(error, sql, params), given.as_csv) from None
    except (ProcessExpired, MemoryError):
        raise _told(own_sql.TooLargeError("the query needs more memory than one may use"), given.as_csv) from None
    except sqlite3.Error as error:
        interrupted = error.args == ("interrupted",)
        raise _told(QueryInterrupted(error, sql, params) if interrupted else error, given.as_csv) from None
    return _results(answer)


def _told(error: Exception, as_csv: bool) -> Any:
    """The error as Datasette expects it, and where it would not tell it, as one that it tells."""
    if not as_csv:
        return error
    if isinstance(error, QueryInterrupted):
        return DatasetteError("This SQL took longer than it may: ask for less.", "SQL Interrupted", status=400)
    return DatasetteError(str(error), "Invalid SQL", status=400)


def _results(answer: own_sql.Answer) -> Results:
    """As Datasette expects them: real sqlite3.Row, whose names come from a cursor."""
    names = ", ".join('null as "{}"'.format(name.replace('"', '""')) for name in answer.columns)
    cursor = sqlite3.connect(":memory:").execute(f"select {names or 'null'}")
    description = cursor.description if answer.columns else ()
    return Results([sqlite3.Row(cursor, row) for row in answer.rows], answer.truncated, description)
