"""What is done to the posts of an archive, whatever engine carries it out: keep, tag, sign, and fold copies.

Posts come as Arrow batches with the columns of `POSTS`; `kept` gives those that the rule of `relevance` lets through
and the tagger takes for signals, with what it says of them. Pure, and the same for every cut into batches. `fold` then
finds copies among all that were kept, once, in one process: they are a hundredth of an archive.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flywheel import dedupe, relevance, tag
from flywheel.features import Text

ROOT = Path(__file__).resolve().parent.parent.parent
POSTS = pa.schema([(name, pa.string()) for name in ("id", "created", "community", "author", "title", "body")])
SAID = pa.schema(
    [
        ("relevance", pa.float64()),
        ("theme", pa.string()),
        ("phase", pa.string()),
        ("ask", pa.string()),
        ("unsure", pa.bool_()),
        ("exact", pa.int64()),
    ]
)
KEPT = pa.schema([*POSTS, *SAID])
"""A kept post with its text, which stays in the working folder, and what is said of it."""


@cache
def model() -> tag.Model:
    return tag.load(ROOT / "data" / "tagger")


def kept(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The signals of one batch. `exact` is a hash of the whole text without case, markup and blanks."""
    columns = [[value or "" for value in batch.column(name).to_pylist()] for name in ("title", "body", "community")]
    texts = [Text(*row) for row in zip(*columns, strict=True)]
    batch = batch.select(POSTS.names).filter(pa.array(relevance.may_be(texts)))
    columns = [[value or "" for value in batch.column(name).to_pylist()] for name in ("title", "body", "community")]
    texts = [Text(*row) for row in zip(*columns, strict=True)]
    said = tag.rows(model(), batch.column("id").to_pylist(), texts)
    exact = dedupe.read([(text.title, text.body) for text in texts]).exact.view("int64") if texts else []
    found = [pa.array([row[name] for row in said], SAID.field(name).type) for name in SAID.names[:-1]]
    whole = pa.RecordBatch.from_arrays([*batch.columns, *found, pa.array(exact, pa.int64())], schema=KEPT)
    return whole.filter(pa.array([row["signal"] for row in said], pa.bool_()))


# The earliest of those whose whole text is the same; one statement for both engines.
DISTINCT = """
select * exclude (nth) from (select *, row_number() over (partition by exact order by created, id) as nth from kept)
where nth = 1
"""


def fold(found: pa.Table) -> pa.Table:
    """Kept posts in order of time, with the post that each copies (null: none), and without their text."""
    found = found.sort_by([("created", "ascending"), ("id", "ascending")])
    names = ("id", "title", "body", "community", "author")
    items = [dedupe.Item(*(v or "" for v in row)) for row in zip(*(found[n].to_pylist() for n in names), strict=True)]
    copies = {pair.drop: pair.keep for pair in dedupe.find_pairs(items) if pair.method != dedupe.ME_TOO}
    found = found.append_column("copy_of", pa.array([copies.get(item.id) for item in items], pa.string()))
    return found.drop_columns(["title", "body", "author", "exact"]).sort_by("id")


def counted(found: pa.Table) -> str:
    folded = len(found) - pc.sum(pc.is_null(found["copy_of"])).as_py() if len(found) else 0
    return f"{len(found):,} signals of different text, {folded:,} of them copies of another"
