"""A posting archive of any size: DuckDB and Spark do the same work by the same functions, and give the same rows.

The packages are those of the extra `scale`, which `make test-all` installs beside; Spark also needs Java.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
pa = pytest.importorskip("pyarrow", reason="the extra `scale` is not installed")
pytest.importorskip("duckdb", reason="the extra `scale` is not installed")
pq = pytest.importorskip("pyarrow.parquet")

SCRIPTS = ROOT / "docs" / "scale"
ARCHIVE = ROOT.parent / "shared" / "archives" / "finetuning-posts.jsonl.gz"


def asked_and_other(count: int) -> Iterator[dict[str, Any]]:
    """Made-up posts: complaints about tuning, some twice, among posts about something else."""
    for n in range(count):
        if n % 10 == 0:
            n = n % 40
            body = f"My LoRA fine-tune of model {n} runs out of memory at step {n * 7}, loss NaN. How do I go on?"
            yield {"title": f"Fine-tuning {n} fails with CUDA out of memory", "body": body}
        else:
            yield {
                "title": f"Recipe {n}",
                "body": f"Bread number {n} with flour, water and salt, baked for {n} minutes.",
            }


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(SCRIPTS))
    import on_duckdb  # type: ignore[import-not-found]
    import to_parquet  # type: ignore[import-not-found]
    import work  # type: ignore[import-not-found]

    yield {"on_duckdb": on_duckdb, "to_parquet": to_parquet, "work": work}
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def archive(scripts: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slice of a real archive where the archives are at hand, made-up posts elsewhere, and some rows with gaps."""
    folder = tmp_path_factory.mktemp("archive")
    lines = folder / "posts.jsonl"
    rows = [
        {"id": f"a{n}", "created": f"2025-01-{n % 28 + 1:02}", **row} for n, row in enumerate(asked_and_other(1200))
    ]
    rows += [{"id": "none"}, {"id": "gap", "title": None, "body": "我想微调一个模型 \ud83d\ude00", "created": None}]
    if ARCHIVE.is_file():
        rows += list(scripts["to_parquet"].posts(ARCHIVE))[:1500]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = folder / "posts.parquet"
    setattr(scripts["to_parquet"], "ROWS", 700)  # noqa: B010
    assert scripts["to_parquet"].write(lines, out) == len(rows)
    return out


def test_cuts_into_batches_change_nothing(scripts: dict[str, ModuleType], archive: Path, tmp_path: Path) -> None:
    one = scripts["on_duckdb"].run(archive, tmp_path / "one.parquet", processes=1)
    two = scripts["on_duckdb"].run(archive, tmp_path / "two.parquet", processes=2)
    whole = pq.read_table(archive).combine_chunks()
    kept = pa.concat_tables([pa.Table.from_batches([scripts["work"].kept(batch)]) for batch in whole.to_batches()])
    assert one.equals(two)
    assert 4 <= len(one) <= len(kept) < len(whole)
    assert set(one["id"].to_pylist()) <= set(kept["id"].to_pylist())
    assert one["id"].to_pylist() == sorted(set(one["id"].to_pylist()))


def test_a_run_that_was_cut_short_goes_on(scripts: dict[str, ModuleType], archive: Path, tmp_path: Path) -> None:
    whole = scripts["on_duckdb"].run(archive, tmp_path / "whole.parquet", processes=1)
    parts = tmp_path / "again.parts"
    parts.mkdir()
    scripts["on_duckdb"].part(archive, parts, 0)
    assert not list(parts.glob("*.new"))
    written = (parts / "000000.parquet").stat().st_mtime_ns
    (parts / "000001.new").write_bytes(b"half")
    scripts["on_duckdb"].part(archive, parts, 0)
    assert (parts / "000000.parquet").stat().st_mtime_ns == written
    assert scripts["on_duckdb"].run(archive, tmp_path / "again.parquet", processes=1).equals(whole)
    assert not parts.exists()


def test_spark_gives_the_same_rows(scripts: dict[str, ModuleType], archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="the extra `scale` is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and none is found")
    out = tmp_path / "spark.parquet"
    subprocess.run(
        [sys.executable, SCRIPTS / "on_spark.py", archive, out],
        env={**os.environ, "PYTHONPATH": str(ROOT / "build"), "SPARK_LOCAL_IP": "127.0.0.1"},
        check=True,
        timeout=400,
    )
    assert pq.read_table(out).equals(scripts["on_duckdb"].run(archive, tmp_path / "duckdb.parquet", processes=1))
