"""Keeps what Datasette counted in memory: how many rows pass a filter, and how many have each value of a facet.

The file never changes while it is served, so a count holds until the server stops. Of a million signals a table page
counts its rows and five facets, which takes a second; the second reader, and the second page, take what the first one
waited for. Those who ask for the same count at once wait for one query. Nothing else is kept: rows come from the file.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from typing import Any

from datasette import hookimpl

from flywheel.queries import DATABASE

# What the table page asks: all rows that pass, or the rows with each value of one column.
_COUNT = re.compile(r"\s*select (?:count\(\*\) from |\[?\w+\]? as value, count\(\*\) as count from \()", re.IGNORECASE)
# A facet has up to 1,000 values, most have 31: some 20 MB at the very most.
MAX_ENTRIES, MAX_ROWS = 2_000, 200


class KeptCounts:
    """Runs queries by `execute`, and keeps the results of those that only count."""

    def __init__(self, execute: Any, max_entries: int = MAX_ENTRIES) -> None:
        self.run, self.max_entries = execute, max_entries
        self.results: OrderedDict[str, Any] = OrderedDict()
        self.pending: dict[str, asyncio.Task[Any]] = {}

    async def execute(self, sql: str, params: Any = None, *arguments: Any, **options: Any) -> Any:
        if not _COUNT.match(sql):
            return await self.run(sql, params, *arguments, **options)
        key = json.dumps([sql, params, options.get("truncate")], sort_keys=True, default=repr)
        if (found := self.results.get(key)) is not None:
            self.results.move_to_end(key)
            return found
        if key not in self.pending:
            self.pending[key] = asyncio.ensure_future(self._count(key, sql, params, *arguments, **options))
        # One who leaves must not end it for the others.
        return await asyncio.shield(self.pending[key])

    async def _count(self, key: str, sql: str, params: Any, *arguments: Any, **options: Any) -> Any:
        try:
            found = await self.run(sql, params, *arguments, **options)
        finally:
            del self.pending[key]
        if len(found.rows) <= MAX_ROWS:
            self.results[key] = found
            while len(self.results) > self.max_entries:
                self.results.popitem(last=False)
        return found


@hookimpl
def startup(datasette: Any) -> Any:
    async def inner() -> None:
        if DATABASE not in datasette.databases:
            return
        database = datasette.databases[DATABASE]
        if not database.is_mutable:
            database.execute = KeptCounts(database.execute).execute

    return inner
