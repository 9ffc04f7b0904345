"""`python -m bench.adversary`: how much slower pages come while somebody sends the worst SQL that is allowed.

The same readers with and without the adversary, in turns in one run; on this site and on a Datasette without our
plugins over the same file. Writes the ratios into docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import httpx

from bench.__main__ import ROOT, write_section
from bench.site import build, running, server
from flywheel import serve

READERS = 8
ROUNDS = 4
SECONDS = 8.0
# Eight addresses, each as fast as it may be: the proxy that tells them apart is this script.
ADDRESSES_OF_THE_ADVERSARY = 8
PAGES = [
    *("/signals/signals?_size=20", "/signals/places", "/signals/estimates.json?_size=20"),
    *("/signals/signals.json?theme=output-defects&_size=20", "/signals/signals/gh~2EBlaizzy~2Emlx-vlm~2E2181"),
]
WORST = [
    "with recursive c(i) as (select 1 union all select i + 1 from c) select count(*) from c",
    "select count(*) from signals a, signals b, signals c where a.gist like '%' || b.tool || '%'",
    "select a.id, b.id, randomblob(1000) as x from signals a, signals b order by x",
    "select * from signals a, signals b limit 10000",
    "select group_concat(a.url || b.url) from signals a, signals b",
]


def stock(database: Path, port: int) -> list[str]:
    """The command line of a Datasette as it comes, with the same time limit, over the same file."""
    limit = ("--setting", "sql_time_limit_ms", str(serve.SETTINGS["sql_time_limit_ms"]))
    return [sys.executable, "-m", "datasette", "serve", "--immutable", str(database), "--port", str(port), *limit]


async def round_of(base: str, adversaries: int) -> tuple[list[float], int]:
    """Milliseconds of every page that the readers got, and how many statements of the adversary were answered."""
    took: list[float] = []
    answered = 0
    end = time.perf_counter() + SECONDS

    async def reader(number: int) -> None:
        async with httpx.AsyncClient(base_url=base, timeout=120) as session:
            for path in itertools.cycle(PAGES[number % len(PAGES) :] + PAGES[: number % len(PAGES)]):
                if (started := time.perf_counter()) > end:
                    return
                answer = await session.get(path)
                took.append(1000 * (time.perf_counter() - started))
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code}")
                await asyncio.sleep(0.05)

    async def adversary(number: int) -> None:
        nonlocal answered
        headers = {"x-forwarded-for": f"203.0.113.{number}"}
        async with httpx.AsyncClient(base_url=base, timeout=120, headers=headers) as session:
            for turn in itertools.count(number):
                if time.perf_counter() > end:
                    return
                form = ("/signals", "/signals.json")[turn % 2]
                answer = await session.get(form, params={"sql": WORST[turn % len(WORST)]})
                answered += answer.status_code != 429
                if answer.status_code not in (200, 400, 429):
                    raise RuntimeError(f"{answer.status_code} for {WORST[turn % len(WORST)]}")
                # 429 costs the server next to nothing, but asking in a tight loop would cost this script a core.
                await asyncio.sleep(0.2 if answer.status_code == 429 else 0)

    await asyncio.gather(*map(reader, range(READERS)), *map(adversary, range(adversaries)))
    return took, answered


def p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def measured(base: str) -> tuple[float, float, float, float, int]:
    """Median and 99th of 100 without the adversary, then with, and how much of its SQL was answered."""
    asyncio.run(round_of(base, 0))
    alone: list[float] = []
    beside: list[float] = []
    answered = 0
    for _ in range(ROUNDS):
        alone += asyncio.run(round_of(base, 0))[0]
        took, count = asyncio.run(round_of(base, ADDRESSES_OF_THE_ADVERSARY))
        beside += took
        answered += count
    return statistics.median(alone), p99(alone), statistics.median(beside), p99(beside), answered


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "signals.db"
        build(ROOT / "data", database)
        with server(database, FLYWHEEL_TRUSTED_PROXIES="127.0.0.1", FLYWHEEL_PAGE_CACHE="off") as (base, _):
            rows.append(("this site", measured(base)))
        port = int(base.rsplit(":", 1)[1])
        with running(stock(database, port), port, {}) as (base, _):
            rows.append(("stock Datasette", measured(base)))
    body = "\n".join(
        [
            textwrap.fill(
                f"`python -m bench.adversary`, on {os.cpu_count()} cores that client, server and other work share: "
                f"{READERS} readers of tables, rows and JSON, none of it kept, in turns of {SECONDS:g} seconds without "
                f"and with {ADDRESSES_OF_THE_ADVERSARY} addresses that send {len(WORST)} statements made to hurt, "
                "each again as soon as it is answered.",
                width=118,
            ),
            "",
            "| server | median alone, ms | beside | 99th of 100 alone, ms | beside | ratio | its statements answered |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {a:.0f} | {b:.0f} | {p:.0f} | {q:.0f} | {q / p:.1f} | {n} |"
                for name, (a, p, b, q, n) in rows
            ),
        ]
    )
    print(body)
    write_section("Beside an adversary", body)


if __name__ == "__main__":
    main()
