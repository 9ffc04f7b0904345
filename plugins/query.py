"""What templates are given: `query`, `query_url` and `charts`. Every number on a page comes through `query`.

They are globals of the template environment, so that macros have them too, and the error pages, which
Datasette renders without the context of a request.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl

from flywheel import charts
from flywheel.queries import DATABASE, Query, UnknownParameterError, load

FOLDER = Path(__file__).resolve().parent.parent / "canned_queries"


def arguments(query: Query, given: dict[str, Any]) -> dict[str, str]:
    """Every parameter of ``query`` as a string: empty where left out or None. An unknown one is an error.

    Without NUL characters, at which SQLite's search index ends a text and calls it broken.
    """
    known = [parameter.name for parameter in query.parameters]
    if unknown := sorted(given.keys() - set(known)):
        raise UnknownParameterError(f"canned query {query.name} has no parameter {unknown[0]}")
    return {name: "" if given.get(name) is None else str(given[name]).replace("\0", "") for name in known}


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    queries = load(FOLDER)

    def find(name: str) -> Query:
        try:
            return queries[name]
        except KeyError:
            raise ValueError(f"no canned query {name} in canned_queries/") from None

    async def query(name: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a canned query, all of them: ``max_returned_rows`` cuts only what the API returns."""
        found = find(name)
        results = await datasette.get_database(DATABASE).execute(found.sql, arguments(found, parameters))
        return [dict(row) for row in results.rows]

    def query_url(name: str, /, *, format: str | None = None, **parameters: Any) -> str:
        """The path of a canned query with its parameters: its page, or its rows as ``csv`` or ``json``."""
        found = find(name)
        if format not in (None, "csv", "json"):
            raise ValueError(f"query_url: format is csv or json, not {format}")
        values = [(key, value) for key, value in arguments(found, parameters).items() if value]
        # 0.65 answers with arrays and 1.0 with objects unless asked.
        values += [("_shape", "objects")] if format == "json" else []
        path = str(datasette.urls.query(DATABASE, name, format=format))
        return f"{path}?{urlencode(values)}" if values else path

    env.globals.update(query=query, query_url=query_url, charts=charts)
