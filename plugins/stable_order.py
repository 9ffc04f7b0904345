"""Gives every sorted table page the order that the next page starts from.

Datasette orders the first page of a sorted table by the sort column alone, and every later page by that column and
the primary key. Where many rows share a value the first page may then end anywhere among them, and the second starts
elsewhere: rows are lost and doubled without a word, in pages and in streamed CSV alike. Measured on our 4,003 signals
sorted by month: 4,022 rows came, 3,998 different ones. Here the primary key is added to the first page's order too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from datasette import hookimpl

from flywheel.queries import DATABASE

# What a sorted first page asks, and nothing that joins, groups or combines.
_PAGE = re.compile(
    r"select (?P<columns>.+?) from \[?(?P<table>\w+)\]? (?P<where>where .+? )?"
    r"order by (?P<column>\[?\w+\]?)(?P<desc> desc)? limit (?P<limit>\d+)",
    re.DOTALL,
)
_OTHER = re.compile(r"\b(union|intersect|except|group|join)\b", re.IGNORECASE)


def with_primary_key(sql: str, primary_keys: Mapping[str, list[str]]) -> str:
    """The same question, its ties in order of the primary key. Any other SQL comes back as it is."""
    page = _PAGE.fullmatch(sql.strip())
    if page is None or _OTHER.search(sql) or page["table"] not in primary_keys:
        return sql
    keys = ", ".join(f"[{key}]" for key in primary_keys[page["table"]])
    return re.sub(r" limit \d+\s*\Z", lambda limit: f", {keys}{limit[0]}", sql)


@hookimpl
def startup(datasette: Any) -> Any:
    async def inner() -> None:
        if DATABASE not in datasette.databases:
            return
        database = datasette.databases[DATABASE]
        keys = {name: await database.primary_keys(name) for name in await database.table_names()}
        database.execute = partial(_execute, database.execute, {name: found for name, found in keys.items() if found})

    return inner


async def _execute(execute: Any, keys: Mapping[str, list[str]], sql: str, *arguments: Any, **options: Any) -> Any:
    return await execute(with_primary_key(sql, keys), *arguments, **options)
