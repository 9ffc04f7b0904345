"""`python -m bench.archive ARCHIVE.jsonl [TIMES …]`: what a million posts of an archive cost, in DuckDB and in Spark.

Run it with the packages of the extra `scale` (docs/scale). The archive is written so many times over under other ids.
Writes a section of docs/benchmarks.md, with the cost of 100 million posts worked out from the two largest sizes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from bench.__main__ import ROOT, write_section

SCRIPTS = ROOT / "docs" / "scale"
FAR = 100_000_000


class Cost(NamedTuple):
    """Seconds, seconds of processors of this process and its children, and peak megabytes of the largest of them."""

    seconds: float
    cpu: float
    megabytes: float


def cost(script: str, source: Path, out: Path) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, SCRIPTS / script, source, out], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{script} failed")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    archive, *times = sys.argv[1:]
    found: list[tuple[str, int, int, Cost]] = []
    load = os.getloadavg()[0]
    engines = {"DuckDB": "on_duckdb.py"} | ({"Spark, local[2]": "on_spark.py"} if shutil.which("java") else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for many in map(int, times or ("1", "4")):
            source = folder / f"{many}.parquet"
            subprocess.run([sys.executable, SCRIPTS / "to_parquet.py", archive, source, str(many)], check=True)
            posts = pq.ParquetFile(source).metadata.num_rows
            tables = []
            for engine, script in engines.items():
                out = folder / f"{many}-{script}.parquet"
                spent = cost(script, source, out)
                tables.append(pq.read_table(out))
                found.append((engine, posts, len(tables[-1]), spent))
                print(found[-1], flush=True)
            if not all(table.equals(tables[0]) for table in tables):
                raise RuntimeError("the engines give different rows")
    lines = ["| engine | posts | signals | time | of processors | peak of one process |", "|---|---|---|---|---|---|"]
    for engine, posts, signals, c in found:
        lines.append(
            f"| {engine} | {posts:,} | {signals:,} | {c.seconds:.0f} s | {c.cpu:.1f} s | {c.megabytes:.0f} MB |"
        )
    for engine in engines:
        sizes = [(posts, c.cpu) for name, posts, _, c in found if name == engine and c.cpu]
        if engine == "DuckDB" and len(sizes) > 1:
            (small, less), (large, more) = sizes[-2:]
            slope = (more - less) / (large - small)
            lines += [
                "",
                f"{engine}: {1e6 * slope:.0f} s of processors per million posts, {less - slope * small:.1f} s to start."
                f" Extrapolated, not run: {FAR:,} posts take {FAR * slope / 3600:.1f} hours of one processor.",
            ]
    about = (
        f"`python -m bench.archive`, with the packages of `requirements-scale.txt`, on {os.cpu_count()} cores; load "
        f"{load:.1f} when it began. Processors' time does not hold that of Spark's Python workers, which are not its "
        "children. Signals are those of different text; both engines gave the same rows."
    )
    write_section("An archive of posts", "\n".join([textwrap.fill(about, width=118), "", *lines]))


if __name__ == "__main__":
    main()
