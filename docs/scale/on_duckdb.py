"""An archive on one machine: python docs/scale/on_duckdb.py POSTS.parquet OUT.parquet

A pool of processes, one a core, takes the row groups; DuckDB, held to 1 GB and free to spill, drops what has the same
text. A row group that is done lies in OUT.parts, so a run that was cut short goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import work

from flywheel import dedupe


def part(source: Path, folder: Path, group: int) -> int:
    """Keeps the signals of one row group; gives how many posts it has."""
    out = folder / f"{group:06}.parquet"
    file = pq.ParquetFile(source)
    if not out.exists():
        posts = file.read_row_group(group, columns=work.POSTS.names)
        batches = [work.kept(batch) for batch in posts.to_batches(max_chunksize=2_000)]
        beside = out.with_suffix(".new")
        pq.write_table(pa.Table.from_batches(batches, work.KEPT), beside)
        beside.replace(out)
    return int(file.metadata.row_group(group).num_rows)


def run(source: Path, out: Path, processes: int = os.cpu_count() or 1) -> pa.Table:
    folder = out.with_suffix(".parts")
    folder.mkdir(exist_ok=True)
    groups = range(pq.ParquetFile(source).num_row_groups)
    work.model()
    with dedupe.workers(processes) as each:
        total = sum(each(partial(part, source, folder), groups))
    with duckdb.connect() as db:
        db.execute("set memory_limit = '1GB'")
        db.execute(f"set temp_directory = '{folder}/spilled'")
        db.read_parquet(f"{folder}/*.parquet").create_view("kept")
        found = work.fold(db.sql(work.DISTINCT).to_arrow_table().cast(work.KEPT))
    beside = out.with_suffix(".new")
    pq.write_table(found, beside)
    beside.replace(out)
    shutil.rmtree(folder)
    print(f"{total:,} posts; {work.counted(found)}")
    return found


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
