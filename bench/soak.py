"""`python -m bench.soak [MINUTES]`: 64 clients ask for the site's pages and data without pause.

Every answer must be the very one that a single client got before; the memory of the server is read every second.
Writes what came of it into docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

import httpx

from bench.__main__ import ROOT, write_section
from bench.site import build, server
from flywheel import queries, vocabulary

CLIENTS = 64
WARM_UP = 60.0
ADDRESSES = [
    *("/", "/memo", "/themes", "/method", "/downloads", "/static/site.css", "/robots.txt", "/figures/of_100.svg"),
    *(f"/themes/{theme}" for theme in vocabulary.read(ROOT / "data").themes),
    *(f"/signals/{name}.json?_shape=array" for name in queries.load(ROOT / "canned_queries")),
    *("/search?q=loss+checkpoint", "/search?q=merge", "/themes/output-defects?page=2", "/themes/vibes", "/nowhere"),
    *("/signals", "/signals/signals?_sort=month", "/signals/signals?theme=output-defects&_facet=place"),
    *("/signals/estimates.json?_size=100", "/signals/signals.csv?theme=output-defects&_stream=1"),
]
# What differs from one answer to the next.
_CLOCK = re.compile(rb'queries took [\d.]+ ms|"query_ms": ?[\d.]+')


def digest(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, hashlib.sha256(_CLOCK.sub(b"", answer.content)).hexdigest()


def megabytes(pid: int) -> float:
    """Resident memory of a process, as Linux tells it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s*(\d+)", status)[0]) / 1024


async def soak(base: str, pid: int, seconds: float) -> tuple[Counter[str], list[tuple[float, float]]]:
    """Counts of answers by what was wrong with them ("" for nothing), and memory as (second, megabytes)."""
    expected: dict[str, tuple[int, str]] = {}
    async with httpx.AsyncClient(base_url=base, timeout=120) as first:
        for address in ADDRESSES:
            expected[address] = digest(await first.get(address))
            if expected[address] != digest(await first.get(address)):
                raise RuntimeError(f"{address} differs from one answer to the next")
    found: Counter[str] = Counter()
    memory: list[tuple[float, float]] = []
    started = time.monotonic()

    async def client(number: int) -> None:
        draw = random.Random(number)  # noqa: S311 - which page comes next
        async with httpx.AsyncClient(base_url=base, timeout=120) as session:
            while time.monotonic() - started < seconds:
                address = draw.choice(ADDRESSES)
                try:
                    answer = await session.get(address)
                except httpx.HTTPError as error:
                    found[f"{address}: {type(error).__name__}"] += 1
                else:
                    # Datasette leaves out a facet that takes too long, and says so.
                    late = ", a facet left out" * (b"took too long" in answer.content)
                    wrong = f"{address}: {answer.status_code}{late}"
                    found["" if digest(answer) == expected[address] else wrong] += 1

    async def watch() -> None:
        while time.monotonic() - started < seconds:
            memory.append((time.monotonic() - started, megabytes(pid)))
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(client(number) for number in range(CLIENTS)))
    return found, memory


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "signals.db"
        build(ROOT / "data", database)
        with server(database) as (base, pid):
            found, memory = asyncio.run(soak(base, pid, 60 * minutes))
    warm_up = min(WARM_UP, 60 * minutes / 3)
    settled = [value for second, value in memory if second > warm_up]
    tenth = max(1, len(settled) // 10)
    before, after = statistics.median(settled[:tenth]), statistics.median(settled[-tenth:])
    wrong = {what: count for what, count in found.items() if what}
    for what, count in itertools.islice(wrong.items(), 20):
        print(what, count)
    answers = sum(found.values())
    body = "\n".join(
        [
            textwrap.fill(
                f"`python -m bench.soak {minutes:g}`, on {os.cpu_count()} cores that client, server and other work "
                f"share: {CLIENTS} clients ask for {len(ADDRESSES)} addresses in an order drawn by chance; each answer "
                f"is compared with the one that a single client got before. Memory is that of the server, first and "
                f"last tenth of the time after {warm_up:.0f} seconds.",
                width=118,
            ),
            "",
            "| answers | a second | wrong or dropped | memory before | after | growth |",
            "|---|---|---|---|---|---|",
            f"| {answers:,} | {answers / 60 / minutes:.0f} | {sum(wrong.values())} | {before:.0f} MB | {after:.0f} MB "
            f"| {after / before - 1:+.1%} |",
        ]
    )
    print(body)
    write_section("Soak", body)


if __name__ == "__main__":
    main()
