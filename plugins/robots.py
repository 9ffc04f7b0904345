"""Tells crawlers to read the pages and to leave alone what is made of them anew for every address.

A table has as many addresses as it has combinations of filters, orders and facets, and each costs a query.
"""

from typing import Any

from datasette import Response, hookimpl

TEXT = """User-agent: *
Disallow: /*?
Disallow: /-/
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"/robots\.txt$", lambda: Response.text(TEXT))]
