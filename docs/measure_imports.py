"""Measures an import: seconds and peak memory per 100,000 rows, and that memory does not grow with the file.

    PYTHONPATH=build python docs/measure_imports.py FILE SOURCE [TIMES]

TIMES (1 by default) repeats the lines of FILE, so that the same rows are read as a file so many times as long; the
later rounds find their posts in the store already. docs/benchmarks.md has what this printed.
"""

import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flywheel.collect.imports.run import import_path
from flywheel.collect.store import Store


def measured(path: Path, source: str) -> str:
    """One line of a table, from a process that does nothing else."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store.db", b"k" * 32) as store:
        started, used = time.perf_counter(), time.process_time()
        report = import_path(store, path, source, "2026-01-01")
        wall, cpu = time.perf_counter() - started, time.process_time() - used
        size = (Path(folder) / "store.db").stat().st_size
    peak, counts = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, report.counts
    each = 100_000 / counts.got
    return (
        f"| {path.name} | {report.rows:,} | {counts.got:,} | {counts.new:,} | {counts.gone:,} | {counts.quarantined:,} "
        f"| {wall:.1f} s | {cpu * each:.0f} s | {peak / 1024:.0f} MB ({(peak - before) / 1024:.0f}) "
        f"| {size / 2**20:.0f} MB |"
    )


def repeated(path: Path, times: int, folder: Path) -> Path:
    longer = folder / f"{times} x {path.name}"
    with gzip.open(longer, "wb", compresslevel=1) as out:
        for _ in range(times):
            with gzip.open(path) as lines:
                while block := lines.read(2**20):
                    out.write(block)
    return longer


if __name__ == "__main__":
    path, source, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1
    if times == 1:
        print(measured(path, source))
    else:
        with tempfile.TemporaryDirectory() as name:
            longer = repeated(path, times, Path(name))
            # The peak is that of a process, so the longer file is read by one of its own.
            command = [sys.executable, __file__, str(longer), source]
            print(subprocess.run(command, check=True, text=True, capture_output=True, env=os.environ).stdout, end="")  # noqa: S603
