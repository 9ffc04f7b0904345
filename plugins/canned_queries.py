"""Serves every file of canned_queries/ as a canned query, on Datasette 0.65 and on the 1.0 alphas.

0.65 asks the hook ``canned_queries`` at each request; 1.0 dropped that hook and keeps stored queries, added
once at start-up. ``startup`` is the one place that knows the difference.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from datasette import hookimpl
from datasette.utils import StartupError

from flywheel.queries import DATABASE, Query, QueryError, load

FOLDER = Path(__file__).resolve().parent.parent / "canned_queries"


@cache
def _queries() -> dict[str, Query]:
    return load(FOLDER)


# 1.0 has no such hook; optionalhook keeps it from refusing the plugin.
@hookimpl(optionalhook=True)
def canned_queries(database: str) -> dict[str, dict[str, Any]]:
    if database != DATABASE:
        return {}
    return {
        query.name: {
            "sql": query.sql,
            "title": query.title,
            "description": query.description,
            "params": [parameter.name for parameter in query.parameters],
            # Shown by the query page; plain dicts, since /signals.json writes them out.
            "parameters": [asdict(parameter) for parameter in query.parameters],
            "fragment": query.fragment,
        }
        for query in _queries().values()
    }


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def check_and_register() -> None:
        try:
            queries = _queries()
        except QueryError as error:
            raise StartupError(str(error)) from None
        if DATABASE not in datasette.databases:
            return
        database = datasette.get_database(DATABASE)
        # 0.65 would serve the query and 1.0 the table.
        taken = {*await database.table_names(), *await database.view_names()} & queries.keys()
        if taken:
            raise StartupError(f"canned_queries/{min(taken)}.sql has the name of a table or view")
        if not hasattr(datasette, "add_query"):
            return
        for query in queries.values():
            await datasette.add_query(
                DATABASE,
                query.name,
                query.sql,
                title=query.title,
                description=query.description,
                parameters=[parameter.name for parameter in query.parameters],
                fragment=query.fragment or None,
                is_trusted=True,
                source="files",
            )

    return check_and_register
