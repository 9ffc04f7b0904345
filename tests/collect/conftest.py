"""A local server that stands in for every source, a clock that does not wait, and plans that point at them."""

import email.utils
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer
from pytest_socket import socket_allow_hosts
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler

from flywheel.collect.client import SystemClock
from flywheel.collect.plan import Plan, read_plan
from flywheel.collect.runner import Options, Runner, RunReport
from flywheel.collect.store import Store

NOW = 1_795_000_000.0  # 2026-11-18T10:26:40Z
KEY = b"a key of the tests, longer than thirty-two bytes"


@pytest.fixture(autouse=True)
def only_loopback() -> None:
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    return "127.0.0.1", 0


@dataclass
class FakeClock:
    """Time that passes only when someone sleeps."""

    wall: float = NOW
    ticks: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.wall += seconds
        self.ticks += seconds


@dataclass
class Seen:
    """One request as the server saw it."""

    at: float  # ticks of the clock
    method: str
    path: str
    args: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    url: str


Handler = Callable[[Request], Response | Any]


@dataclass
class Replay:
    """Answers by path; keeps what was asked and when."""

    url: str
    clock: FakeClock
    routes: dict[str, Handler] = field(default_factory=dict)
    asked: list[Seen] = field(default_factory=list)
    server_ahead: float = 0.0  # seconds by which the server's clock differs from ours
    fault: "Callable[[int, Request], Response | None] | None" = None  # asked first, with the number of the request

    def on(self, path: str, handler: Handler | Any) -> None:
        """`handler` takes a request and gives JSON or a Response; a list is given answer by answer, the last for
        ever; anything else is the JSON itself. A path that ends in * stands for all that begin so."""
        if isinstance(handler, Turns):
            turns = list(handler.answers)
            self.routes[path] = lambda request: _give(turns.pop(0) if len(turns) > 1 else turns[0], request)
        else:
            self.routes[path] = lambda request: _give(handler, request)

    def serve(self, request: Request) -> Response:
        self.asked.append(
            Seen(
                self.clock.ticks,
                request.method,
                request.path,
                request.args.to_dict(),
                dict(request.headers.items()),
                request.get_data(),
                request.url,
            )
        )
        if self.fault and (broken := self.fault(len(self.asked), request)) is not None:
            return broken
        handler = self.routes.get(request.path)
        if handler is None:
            starts = [p for p in self.routes if p.endswith("*") and request.path.startswith(p[:-1])]
            handler = self.routes[max(starts, key=len)] if starts else lambda _: answer({"message": "Not Found"}, 404)
        return _give(handler, request)

    def date(self) -> str:
        """The `Date` of an answer: the server's clock is ours, unless a test says otherwise."""
        return email.utils.formatdate(self.clock.wall + self.server_ahead, usegmt=True)

    def times(self, path: str = "") -> list[float]:
        return [seen.at for seen in self.asked if seen.path.startswith(path)]

    def paths(self) -> list[str]:
        return [seen.path for seen in self.asked]


@dataclass
class Turns:
    """Answers given one after the other, the last for ever."""

    answers: list[Any]


def turns(*answers: Any) -> Turns:
    return Turns(list(answers))


def _give(value: Any, request: Request) -> Response:
    if callable(value) and not isinstance(value, Response):
        value = value(request)
    return value if isinstance(value, Response) else answer(value)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response: bytes and str as they are, anything else as JSON."""
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return Response(data, status=status, headers=dict(headers or {}), content_type="application/json")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def replay(httpserver: HTTPServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Replay:
    server = Replay(httpserver.url_for("").rstrip("/"), clock)
    monkeypatch.setattr(WSGIRequestHandler, "date_time_string", lambda self, timestamp=None: server.date())
    httpserver.expect_request(re.compile(".*")).respond_with_handler(server.serve)
    return server


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to run in, without any credentials."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("praw_", "GITHUB", "GH_", "STACKEX", "DISCOURSE", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLYWHEEL_AUTHOR_KEY", KEY.decode())
    (tmp_path / "data").mkdir()
    return tmp_path


ASKED = {"frame": "population", "corpus": "public", "why": "a query of the tests"}


def github_entry(url: str, **more: Any) -> dict[str, Any]:
    repository = {"name": "o/r", "parts": ["issues"], **ASKED}
    return {"github": {"base_url": url, "repositories": [repository], **more}}


def hackernews_entry(url: str, **more: Any) -> dict[str, Any]:
    search = {"q": "fine-tuning", "match": r"fine-?tun", **ASKED}
    return {"hackernews": {"base_url": url, "items_url": url, "searches": [search], **more}}


def stackexchange_entry(url: str, **more: Any) -> dict[str, Any]:
    site = {"site": "stackoverflow", "tagged": "fine-tuning", **ASKED}
    return {"stackexchange": {"base_url": url, "sites": [site], **more}}


def discourse_entry(url: str, **more: Any) -> dict[str, Any]:
    forum = {"base_url": url, "site": "https://forum.example.org", **ASKED}
    return {"discourse": {"forums": [forum], **more}}


Entry = Callable[..., dict[str, Any]]
ENTRIES: dict[str, Entry] = {
    "github": github_entry,
    "hackernews": hackernews_entry,
    "stackexchange": stackexchange_entry,
    "discourse": discourse_entry,
}


def write_plan(directory: Path, entries: Mapping[str, Any], since: str = "2026-11-10") -> Path:
    path = directory / "collect.yml"
    path.write_text(yaml.safe_dump({"since": since, "sources": dict(entries)}), encoding="utf-8")
    return path


@dataclass
class Desk:
    """Runs collectors against the replay server, with one store."""

    replay: Replay
    clock: FakeClock
    directory: Path
    store_path: Path
    environ: dict[str, str] = field(default_factory=dict)

    def plan(self, entries: Mapping[str, Any], since: str = "2026-11-10") -> Plan:
        return read_plan(write_plan(self.directory, entries, since))

    def run(self, entries: Mapping[str, Any], options: Options | None = None, since: str = "2026-11-10") -> RunReport:
        with self.store() as store:
            runner = Runner(store, self.plan(entries, since), self.environ, self.clock, jitter=lambda: 0.0)
            return runner.run(options or Options())

    def store(self) -> Store:
        return Store(self.store_path, KEY)

    def items(self) -> dict[str, dict[str, Any]]:
        with self.store() as store:
            return {row["native_id"]: dict(row) for row in store.db.execute("SELECT * FROM items")}

    def table(self, name: str) -> list[dict[str, Any]]:
        with self.store() as store:
            return [dict(row) for row in store.db.execute(f"SELECT * FROM {name}")]


@pytest.fixture
def desk(replay: Replay, clock: FakeClock, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # The commands take the system's clock: in a test that is this one, whatever day it is.
    for name in ("now", "monotonic", "sleep"):
        monkeypatch.setattr(SystemClock, name, lambda self, *a, name=name: getattr(clock, name)(*a))
    return Desk(replay, clock, workdir, workdir / "store.db")


FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "apifixtures"


def recording(name: str) -> Any:
    """A recorded answer, read in place; the test is skipped where there is none."""
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"no recorded answer {name}: ../shared/apifixtures is not at hand")
    return json.loads(path.read_text(encoding="utf-8"))
