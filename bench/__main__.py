"""`make bench`: builds and pages (time, memory, answers at 1 and at 8 clients), then tagging and copies.

Prints tables and writes them, with the command, into docs/benchmarks.md. One part: `python -m bench tagging`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx

from bench import rows, tagging
from flywheel import serve

ROOT = Path(__file__).resolve().parent.parent
MANY = 100_000
PAGES = {
    "memo": "/memo",
    "theme": "/themes/output-defects",
    # {n} differs with every request, so that the page is not one that was kept.
    "search": "/search?q=loss+checkpoint&n={n}",
    "search, a word of half the posts": "/search?q=model&n={n}",
    "a post": "/posts/gh.Blaizzy.mlx-vlm.2181?n={n}",
    "table with facets": "/signals/signals?_facet=theme&_facet=place&_facet=month",
}
NUMBERS = itertools.count()
REQUESTS = 400
SECONDS = 10.0


def build(data: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one build in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "flywheel.cli",
        "--root",
        str(ROOT),
        "build",
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the build of {data.name} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


class Server(NamedTuple):
    """A running site: its address and its process."""

    base: str
    pid: int


@contextmanager
def server(database: Path, **environment: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        serve.command(ROOT, database, "127.0.0.1", port),
        env={**os.environ, "PYTHONPATH": str(ROOT / "build"), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{base}/-/versions.json", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Server(base, process.pid)
    finally:
        process.terminate()
        process.wait()


async def latencies(base: str, path: str, clients: int) -> list[float]:
    """Milliseconds of each request of `clients` that each ask again when answered, until there are REQUESTS or SECONDS
    are over. Every answer must be whole."""
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    async def client() -> None:
        async with httpx.AsyncClient(base_url=base, timeout=60) as session:
            for _ in range(REQUESTS // clients):
                if (started := time.perf_counter()) > end:
                    break
                answer = await session.get(path.format(n=next(NUMBERS)))
                took.append(1000 * (time.perf_counter() - started))
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code}")

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


def measured(database: Path) -> Iterator[tuple[str, int, float, float]]:
    with server(database) as (base, _):
        for name, path in PAGES.items():
            httpx.get(base + path.format(n=next(NUMBERS)), timeout=60)
            for clients in (1, 8):
                took = sorted(asyncio.run(latencies(base, path, clients)))
                yield name, clients, statistics.median(took), took[max(0, int(0.99 * len(took)) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all where none is named")
    parser.add_argument("--million", action="store_true", help="also find copies among 1,000,000 posts (10 minutes)")
    chosen = parser.parse_args()
    if unknown := set(chosen.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name, part in PARTS.items():
        if name in (chosen.part or PARTS):
            part(chosen.million)


def site(_: bool) -> None:
    built, pages = [], []
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "data"
        rows.make(ROOT / "data", many, MANY)
        for name, data in (("the shipped data", ROOT / "data"), (f"{MANY:,} posts made from it", many)):
            out = Path(folder) / name.replace(" ", "-") / "signals.db"
            seconds, megabytes = build(data, out)
            built.append(f"| {name} | {seconds:.1f} s | {megabytes:.0f} MB | {out.stat().st_size / 1e6:.0f} MB |")
            print(built[-1], flush=True)
            for page, clients, median, p99 in measured(out):
                pages.append(f"| {name} | {page} | {clients} | {median:.1f} | {p99:.1f} |")
                print(pages[-1], flush=True)
    about = (
        f"`make bench`, on {os.cpu_count()} cores, Python {platform.python_version()}; client and server share them. "
        f"Each row is {REQUESTS} requests, or what {SECONDS:.0f} seconds allow. Our own pages are kept once rendered, "
        "so memo and theme show the kept page; search, a post and Datasette's table are made anew."
    )
    tables = [
        "| built from | time | peak memory | file |",
        "|---|---|---|---|",
        *built,
        "",
        "| served from | page | clients | median, ms | 99th of 100, ms |",
        "|---|---|---|---|---|",
        *pages,
    ]
    write("Builds and pages", about, tables)


def tagging_and_copies(million: bool) -> None:
    about = (
        f"`make bench`, on {os.cpu_count()} cores; with 1,000,000 posts: `python -m bench tagging --million`. How good "
        "relevance, themes and phases are stands in `data/tagger_report.jsonl`, which `flywheel train` measures on "
        "posts left out (docs/tagging.md). All else is measured when this is run, beside whatever else is running."
    )
    print(about)
    write("Tagging and copies", about, tagging.section(ROOT, million, partial(print, flush=True)))


PARTS: Mapping[str, Callable[[bool], None]] = {"site": site, "tagging": tagging_and_copies}


def write(title: str, about: str, lines: Sequence[str]) -> None:
    """A section of docs/benchmarks.md: what was measured and how, then a table."""
    write_section(title, "\n".join([textwrap.fill(about, width=118), "", *lines]))


def write_section(title: str, body: str) -> None:
    """Puts a section of docs/benchmarks.md in the place of the one of the same title, or at the end."""
    path = ROOT / "docs" / "benchmarks.md"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Measured\n"
    section = f"## {title}\n\n{body.strip()}\n"
    old = re.compile(rf"## {title}\n.*?(?=\n## |\Z)", re.DOTALL)
    found = old.sub(lambda _: section, text) if old.search(text) else f"{text.rstrip()}\n\n{section}"
    path.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
