"""The same on a cluster, or on this machine: python docs/scale/on_spark.py POSTS.parquet OUT.parquet [MASTER]

MASTER is Spark's, `local[2]` where none is named. Workers need this project and its packages installed. What comes
back to the driver is what was kept, a hundredth of an archive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

HERE = str(Path(__file__).resolve().parent)
TYPES = {"string": "string", "double": "double", "bool": "boolean", "int64": "bigint"}


def kept(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    # Sent to the workers as code, so it says itself where its module is.
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    import work

    for batch in batches:
        yield work.kept(batch)


def run(source: Path, out: Path, master: str = "local[2]") -> pa.Table:
    import work

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    columns = ", ".join(f"`{field.name}` {TYPES[str(field.type)]}" for field in work.KEPT)
    spark = (
        SparkSession.builder.master(master)
        .appName("flywheel")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "8")
        .getOrCreate()
    )
    try:
        posts = spark.read.parquet(str(source))
        posts.select(work.POSTS.names).mapInArrow(kept, columns).createOrReplaceTempView("kept")
        distinct = spark.sql(work.DISTINCT.replace("exclude", "except"))
        found = work.fold(distinct.toArrow().cast(work.KEPT))
    finally:
        spark.stop()
    beside = out.with_suffix(".new")
    pq.write_table(found, beside)
    beside.replace(out)
    print(work.counted(found))
    return found


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    run(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
