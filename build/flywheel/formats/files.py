"""One table as CSV or Parquet, whole, in order of its key: the same rows give the same bytes."""

from __future__ import annotations

import csv
import io
import sqlite3

from flywheel.catalogue import ALL_TABLES


def _select(connection: sqlite3.Connection, name: str) -> sqlite3.Cursor:
    table = ALL_TABLES[name]
    columns, key = (", ".join(f"[{column}]" for column in names) for names in (table.columns, table.pk))
    return connection.execute(f"select {columns} from [{name}] order by {key}")  # noqa: S608 - our own names


def as_csv(connection: sqlite3.Connection, name: str) -> bytes:
    """UTF-8, a header line, lines that end in \\n. An empty field is null; `catalogue.Column.blank` names the columns
    in which it is an empty text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ALL_TABLES[name].columns)
    writer.writerows(tuple(row) for row in _select(connection, name))
    return text.getvalue().encode()


def as_parquet(connection: sqlite3.Connection, name: str) -> bytes:
    """Int64, Float64 and Utf8 columns, zstd. Null stays null."""
    # arro3 (the Rust parquet crate) unpacks to 35 MB; DuckDB would be 69, pyarrow 171, polars 183. Loaded here, since
    # most commands never need it.
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    kinds = {int: DataType.int64(), float: DataType.float64(), str: DataType.utf8()}
    types = ALL_TABLES[name].types()
    rows = [tuple(row) for row in _select(connection, name)]
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [Array(list(column), kinds[kind]) for column, kind in zip(columns, types.values(), strict=True)]
    out = io.BytesIO()
    write_parquet(Table.from_arrays(arrays, names=list(types)), out, compression="zstd(9)", skip_arrow_metadata=True)
    return out.getvalue()
