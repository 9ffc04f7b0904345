"""Lays an archive of JSON lines (plain or .gz) out as Parquet: python docs/scale/to_parquet.py ARCHIVE OUT [TIMES]

Row groups of 20,000 posts are the units of work, and 60 MB of memory at a time. TIMES writes the archive so many times
over under other ids, to measure with.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 20_000
POSTS = pa.schema([(name, pa.string()) for name in ("id", "created", "community", "author", "title", "body")])
# What archives call their fields, first come first served.
NAMES = {
    "id": ("id", "permalink", "url", "number"),
    "created": ("created", "created_utc", "date", "created_at", "published"),
    "community": ("community", "subreddit", "repo", "source", "set"),
    "author": ("author", "user"),
    "title": ("title",),
    "body": ("body", "selftext", "text", "content"),
}


def posts(path: Path) -> Iterator[dict[str, str | None]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row: dict[str, Any] = json.loads(line)
            post = {name: next((row[n] for n in names if row.get(n)), None) for name, names in NAMES.items()}
            post["id"] = post["id"] or str(number)
            yield {name: None if value is None else str(value) for name, value in post.items()}


def write(source: Path, out: Path, times: int = 1) -> int:
    """Gives the number of posts written."""
    total = 0
    with pq.ParquetWriter(out, POSTS, compression="zstd") as writer:
        for copy in range(times):
            many: list[dict[str, str | None]] = []
            for post in posts(source):
                many.append(post if not copy else {**post, "id": f"{post['id']}.{copy}"})
                if len(many) == ROWS:
                    writer.write_table(pa.Table.from_pylist(many, POSTS))
                    total, many = total + ROWS, []
            writer.write_table(pa.Table.from_pylist(many, POSTS))
            total += len(many)
    return total


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1):,} posts")
