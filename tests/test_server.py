"""The server as a process: how it ends, whom it waits for, whom it believes, what it logs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import pytest

from flywheel import serve
from tests.conftest import ROOT

SLOW = "/signals.json?sql=with+recursive+c(i)+as+(select+1+union+all+select+i%2B1+from+c)+select+count(*)+from+c"


class Server(NamedTuple):
    """A running site: its port, its process and its log."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running(database: Path, log: Path, **environment: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            serve.command(ROOT, database, "127.0.0.1", port),
            env={**os.environ, "PYTHONPATH": str(ROOT / "build"), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        for _ in range(300):
            with suppress(OSError):
                get(port, "/-/versions.json")
                break
            time.sleep(0.1)
        yield Server(port, process, log)
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def raw(port: int, data: bytes) -> bytes:
    """What comes back for some bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def still_there(pids: list[int]) -> list[int]:
    """Those that are still there after ten seconds."""
    for _ in range(100):
        if not (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]):
            break
        time.sleep(0.1)
    return left


@pytest.fixture(scope="module")
def server(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(database, tmp_path_factory.mktemp("server") / "log") as found:
        yield found


def test_sigterm_ends_it_in_seconds_and_open_answers_come_whole(database: Path, tmp_path: Path) -> None:
    with running(database, tmp_path / "log") as server, ThreadPoolExecutor() as threads:
        get(server.port, "/signals.json?sql=select+1")
        helpers = children(server.process.pid) if Path("/proc").exists() else []
        # One that waits for the database, one that takes its time to read, one that never sends.
        asked = threads.submit(get, server.port, SLOW)
        idle = socket.create_connection(("127.0.0.1", server.port))
        idle.sendall(b"GET /memo HT")
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.process.wait(30) == 0
        assert time.monotonic() - started < serve.GOODBYE_SECONDS + 7
        status, text = asked.result()
        assert status == 400
        assert "took longer" in text
        idle.close()
        assert still_there(helpers) == []


def test_its_helpers_end_with_it_however_it_ends(database: Path, tmp_path: Path) -> None:
    if not Path("/proc").exists():
        pytest.skip("only Linux tells the children of a process in /proc")
    with running(database, tmp_path / "log") as server:
        get(server.port, "/signals.json?sql=select+1")
        helpers = children(server.process.pid)
        assert len(helpers) >= serve.OWN_SQL_PROCESSES
        server.process.kill()
        assert still_there(helpers) == []


def test_a_client_that_drips_its_request_is_let_go(server: Server) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /memo HTTP/1.1\r\nHost: a\r\n")
        with pytest.raises(OSError):
            while time.monotonic() - started < 6 * serve.REQUEST_SECONDS:
                connection.sendall(b"X-Drip: 1\r\n")
                time.sleep(0.5)
    assert time.monotonic() - started < 5 * serve.REQUEST_SECONDS


@pytest.mark.slow
def test_a_body_that_drips_is_answered_and_let_go(server: Server) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /memo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError):
            while time.monotonic() - started < 6 * serve.REQUEST_SECONDS:
                connection.sendall(b"x")
                time.sleep(0.5)
    assert time.monotonic() - started < 5 * serve.REQUEST_SECONDS


@pytest.mark.parametrize(
    "lines",
    [
        b"GET /memo HTTP/1.1\r\n",
        b"GET /memo HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"GET /me\xffmo HTTP/1.1\r\nHost: a\r\n",
        b"GET /memo HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n",
        b"POST /signals HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"\x00\r\n",
    ],
)
def test_what_is_no_request_is_refused(server: Server, lines: bytes) -> None:
    with suppress(ConnectionResetError):
        assert re.match(rb"HTTP/1\.1 (400|405|431)", raw(server.port, lines + b"Connection: close\r\n\r\n"))


def test_a_line_of_the_log_is_one_request(server: Server) -> None:
    get(server.port, "/memo%0d%0aINFO:%20%20%20forged?x=%0a")
    raw(server.port, b"GET /x%1b[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: a\x1b[31m\r\n\r\n")
    lines = server.log.read_text().splitlines()
    assert not any(line.startswith("INFO:   forged") for line in lines)
    assert "\x1b" not in re.sub(r"\x1b\[\d+m(?=INFO|WARNING|ERROR|\d|:)", "", server.log.read_text())


def test_an_address_that_a_stranger_claims_is_not_believed(database: Path, tmp_path: Path) -> None:
    def statuses(server: Server) -> list[int]:
        tries = serve.OWN_SQL_BURST + 10
        return [
            get(server.port, "/signals.json?sql=select+1", **{"X-Forwarded-For": f"203.0.113.{number}"})[0]
            for number in range(tries)
        ]

    with running(database, tmp_path / "one") as stranger:
        assert 429 in statuses(stranger)
    with running(database, tmp_path / "two", FLYWHEEL_TRUSTED_PROXIES="127.0.0.0/8") as proxied:
        assert set(statuses(proxied)) == {200}
        # Only what the proxy itself added counts: the last one.
        claimed = [
            get(proxied.port, "/signals.json?sql=select+1", **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.99"})[0]
            for n in range(serve.OWN_SQL_BURST + 10)
        ]
        assert 429 in claimed


def test_a_name_that_is_not_ours_is_turned_away(database: Path, tmp_path: Path) -> None:
    with running(database, tmp_path / "log", FLYWHEEL_HOSTS="flywheel.example.org") as server:
        assert get(server.port, "/memo")[0] == 200
        assert get(server.port, "/memo", Host="flywheel.example.org")[0] == 200
        assert get(server.port, "/memo", Host="evil.example")[0] == 400


def test_it_writes_nothing(database: Path, tmp_path: Path) -> None:
    """Neither beside the database nor in the folder for temporary files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = sorted(database.parent.iterdir()), database.stat().st_mtime_ns
    with running(database, tmp_path / "log", TMPDIR=str(scratch), SQLITE_TMPDIR=str(scratch)) as server:
        for path in ("/memo", "/signals/signals?_sort=month", "/signals.json?sql=select+*+from+signals+order+by+gist"):
            get(server.port, path)
        assert list(scratch.iterdir()) == []
    assert (sorted(database.parent.iterdir()), database.stat().st_mtime_ns) == before


def test_the_command_is_python_itself(database: Path) -> None:
    assert serve.command(ROOT, database, "127.0.0.1", 8001)[:3] == [sys.executable, "-m", "flywheel.server"]
