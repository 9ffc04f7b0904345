"""Builds and pages: time and memory of a build, and what readers wait for, at several sizes, beside a stock Datasette.

Stock is Datasette without our plugins, templates and metadata over the same file without our indexes. Its time limits
are lifted, so that it answers in full; ours are as they are served.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from bench import rows
from flywheel import serve

ROOT = Path(__file__).resolve().parent.parent
SIZES, MILLION = (10_000, 100_000), 1_000_000
CLIENTS, CLIENTS_OF_STOCK = (1, 8, 64), (1, 8)
REQUESTS, SECONDS = 400, 5.0
OURS, ANEW, STOCK = "as served", "nothing kept", "stock"
TABLE = "/signals/signals?_facet=theme&_facet=place&_facet=month"


class Page(NamedTuple):
    """What is asked of whom. `{}` in a path takes another word, theme or number at each request."""

    name: str
    path: str
    servers: tuple[str, ...]
    filled: Callable[[Path], Sequence[str]] = lambda database: ()
    stands_beside: str = ""
    """The page of stock that does the same."""


def _themes(database: Path) -> list[str]:
    return _column(database, "select slug from themes order by position")


def _months(database: Path) -> list[str]:
    return _column(database, "select month || '&source=' || source from signals where month is not null group by 1")


def _words(database: Path) -> list[str]:
    """Pairs of words that stand in our gists, so that each search is another one."""
    text = " ".join(_column(database, "select gist from signals where gist is not null limit 200"))
    words = sorted({word.strip(".,;:()").lower() for word in text.split() if word.strip(".,;:()").isalpha()})
    return [f"{one}+{other}" for one, other in zip(words, reversed(words), strict=True) if one != other]


def _column(database: Path, sql: str) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute(sql)]


PAGES = (
    Page("memo", "/memo", (OURS, ANEW)),
    Page("theme", "/themes/output-defects", (OURS,)),
    Page("a theme, another each time", "/themes/{}", (ANEW,), _themes),
    Page("search", "/search?q=loss+checkpoint", (OURS,), stands_beside="table search"),
    Page("search, other words each time", "/search?q={}", (OURS,), _words, "table search, other words each time"),
    Page("search for a frequent word", "/search?q=model", (ANEW,)),
    Page("table search", "/signals/signals?_search=loss+checkpoint", (OURS, STOCK), stands_beside="table search"),
    Page("table search, other words each time", "/signals/signals?_search={}", (STOCK,), _words),
    Page("table with facets", TABLE, (OURS, ANEW, STOCK), stands_beside="table with facets"),
    Page(
        "table with facets, another month each time",
        TABLE + "&month={}",
        (OURS, STOCK),
        _months,
        "table with facets, another month each time",
    ),
)


class Waited(NamedTuple):
    """Milliseconds: the middle one, and the 99th of a hundred."""

    median: float
    p99: float


class Cost(NamedTuple):
    """Seconds, seconds of processors, and peak megabytes."""

    seconds: float
    cpu: float
    megabytes: float


def build(data: Path, out: Path, store: Path | None = None) -> Cost:
    """What one build costs, in a process of its own."""
    command = [sys.executable, "-m", "flywheel.cli", "--root", ROOT, "build", "--data", data, "--out", out]
    command += ["--store", store] if store else []
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the build of {data.name} failed")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def without_indexes(database: Path, out: Path) -> Path:
    """The same tables and the same search index, and no index of ours."""
    out.parent.mkdir(parents=True)
    shutil.copyfile(database, out)
    ours = _column(database, "select name from sqlite_master where type = 'index' and sql is not null")
    with closing(sqlite3.connect(out)) as connection:
        for name in ours:
            connection.execute(f"drop index [{name}]")
        connection.commit()
    return out


def stock(database: Path, port: int) -> list[str]:
    limits = {"sql_time_limit_ms": 100_000, "facet_time_limit_ms": 100_000, "suggest_facets": "off"}
    settings = [str(text) for name, value in limits.items() for text in ("--setting", name, value)]
    return [sys.executable, "-m", "datasette", "serve", "--immutable", str(database), "--port", str(port), *settings]


class Server(NamedTuple):
    """A running site: its address and its process."""

    base: str
    pid: int


@contextmanager
def server(database: Path, how: str = OURS, **environment: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = stock(database, port) if how == STOCK else serve.command(ROOT, database, "127.0.0.1", port)
    anew = {"FLYWHEEL_PAGE_CACHE": "off"} if how == ANEW else {}
    with running(command, port, {"PYTHONPATH": str(ROOT / "build"), **anew, **environment}) as found:
        yield found


@contextmanager
def running(command: Sequence[str | Path], port: int, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server of any command line, from when it answers until the block ends."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{base}/-/versions.json", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Server(base, process.pid)
    finally:
        process.terminate()
        process.wait()


async def waits(base: str, paths: Iterator[str], clients: int) -> Waited:
    """What `clients` wait for who each ask again when answered, until there are REQUESTS or SECONDS are over. Every
    answer must be whole."""
    took: list[float] = []
    end = time.perf_counter() + SECONDS
    limits = httpx.Timeout(300)

    async def client() -> None:
        async with httpx.AsyncClient(base_url=base, timeout=limits) as session:
            # Opens the connection, which is no part of what a page costs.
            await session.get("/-/versions.json")
            for _ in range(max(1, REQUESTS // clients)):
                if (started := time.perf_counter()) > end:
                    break
                path = next(paths)
                answer = await session.get(path)
                took.append(1000 * (time.perf_counter() - started))
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code}")

    await asyncio.gather(*(client() for _ in range(clients)))
    took.sort()
    return Waited(statistics.median(took), took[max(0, -(-99 * len(took) // 100) - 1)])


def measured(database: Path, how: str) -> Iterator[tuple[str, int, Waited]]:
    with server(database, how) as (base, _):
        for page in PAGES:
            if how not in page.servers:
                continue
            filled = page.filled(database)
            # A list that is at its end begins again; those of words and months hold several hundred.
            paths = itertools.cycle([page.path.format(text) for text in filled] or [page.path])
            if not filled:
                httpx.get(base + page.path, timeout=300)
            for clients in CLIENTS_OF_STOCK if how == STOCK else CLIENTS:
                yield page.name, clients, asyncio.run(waits(base, paths, clients))


Found = Mapping[tuple[int, str, str, int], Waited]
"""What was waited for, by signals, way of serving, page and clients."""


def aims(costs: Mapping[int, Cost], found: Found) -> Iterator[str]:
    """What a site of a million signals should reach, and whether it did; the clients are eight."""

    def waited(signals: int, how: str, page: str) -> float:
        return found[signals, how, page, 8].p99

    def line(aim: str, reached: str, met: bool) -> str:
        return f"| {aim} | {reached} | {'met' if met else '**missed**'} |"

    small, middle = SIZES
    cost, before = costs[MILLION], costs[middle]
    yield line("build under 3 minutes", f"{cost.seconds:.0f} s, {cost.cpu:.0f} s of processors", cost.seconds < 180)
    yield line("build under 3 GB", f"{cost.megabytes / 1000:.2f} GB", cost.megabytes < 3000)
    growth = (cost.cpu / MILLION) / (before.cpu / middle)
    yield line(f"time a signal as at {middle:,}", f"{growth:.2f} times", growth < 1.1)
    for how, name in ((OURS, "memo"), (OURS, "theme"), (ANEW, "memo"), (ANEW, "a theme, another each time")):
        now = waited(MILLION, how, name)
        if how == OURS:
            yield line(f"{name}: 99th under 50 ms", f"{now:.0f} ms", now < 50)
        times = now / waited(small, how, name)
        yield line(f"{name}, {how}: at most 1.2 times that of {small:,}", f"{times:.2f} times", times <= 1.2)
    for page in PAGES:
        if OURS in page.servers and page.stands_beside:
            now = waited(MILLION, OURS, page.name)
            times = waited(MILLION, STOCK, page.stands_beside) / now
            yield line(f"{page.name}: 99th under 300 ms", f"{now:.0f} ms", now < 300)
            yield line(f"{page.name}: 10 times as fast as stock", f"{times:.1f} times", times >= 10)


def section(million: bool, say: Callable[[str], None]) -> tuple[str, list[str]]:
    """What the tables say of themselves, and their lines; each line is said as soon as it is measured."""
    load = os.getloadavg()[0]
    built, pages = [], []
    costs: dict[int, Cost] = {}
    found: dict[tuple[int, str, str, int], Waited] = {}
    sizes = (*SIZES, MILLION) if million else SIZES
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name)
        for signals in (0, *sizes):
            here = folder / str(signals)
            data, store = ROOT / "data", None
            if signals:
                data = here / "data"
                here.mkdir()
                store = rows.make(ROOT / "data", data, signals)
            out = here / "signals.db"
            costs[signals] = build(data, out, store)
            seconds, cpu, megabytes = costs[signals]
            title = f"{signals:,} signals" if signals else "the shipped data"
            each = f"{1e6 * cpu / signals:.0f} µs" if signals else ""
            size = out.stat().st_size / 1e6
            built.append(f"| {title} | {seconds:.1f} s | {cpu:.1f} s | {each} | {megabytes:.0f} MB | {size:.0f} MB |")
            say(built[-1])
            if not signals:
                continue
            shutil.rmtree(data)
            for how in (STOCK, ANEW, OURS):
                database = without_indexes(out, here / "stock" / "signals.db") if how == STOCK else out
                for asked, clients, waited in measured(database, how):
                    found[signals, how, asked, clients] = waited
            for page in PAGES:
                for how in (server for server in (OURS, ANEW) if server in page.servers):
                    for clients in CLIENTS:
                        ours = found[signals, how, page.name, clients]
                        other = found.get((signals, STOCK, page.stands_beside, clients))
                        own = f"{clients} | {ours.median:.1f} | {ours.p99:.1f}"
                        beside = (
                            f"{other.median:.0f} | {other.p99:.0f} | {other.p99 / ours.p99:.1f}" if other else "| |"
                        )
                        pages.append(f"| {signals:,} | {page.name} | {how} | {own} | {beside} |")
                        say(pages[-1])
            shutil.rmtree(here)
    about = (
        f"`make bench` (with 1,000,000 signals: `make bench-million`), on {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; load of the machine {load:.1f} when it began, {os.getloadavg()[0]:.1f} when it "
        "ended. Signals are the shipped ones and copies of those that only a machine has read, with titles and texts "
        f"where their source allows it. Client and server share the cores. Each row is {REQUESTS} requests, or what "
        f"{SECONDS:.0f} seconds allow. “As served” keeps pages and counts; “nothing kept” renders every page anew "
        "(FLYWHEEL_PAGE_CACHE=off; counts are kept). Stock is Datasette without our plugins and templates over the "
        "same file without our indexes, its time limits lifted; “times” is its 99th of a hundred over ours."
    )
    head = ["", f"| aim at {MILLION:,} signals, 8 clients | reached | |", "|---|---|---|"]
    lines = [
        "| built from | time | of processors | of them a signal | peak memory | file |",
        "|---|---|---|---|---|---|",
        *built,
        "",
        "| signals | page | how | clients | median, ms | 99th of 100, ms | stock's median | stock's 99th | times |",
        "|---|---|---|---|---|---|---|---|---|",
        *pages,
        *((*head, *aims(costs, found)) if million else ()),
    ]
    return about, lines
