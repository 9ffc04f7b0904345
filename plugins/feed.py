"""/changes.atom: the address of the feed that stays, whatever makes it.

datasette-atom turns the canned query changes_feed into the feed, under a title that only the address can give.
"""

from typing import Any
from urllib.parse import urlencode

from datasette import Response, hookimpl

from flywheel.queries import DATABASE

QUERY = "changes_feed"
TITLE = "Tinker Flywheel: what changed"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"/changes\.atom$", feed)]


async def feed(datasette: Any) -> Any:
    path = datasette.urls.query(DATABASE, QUERY, format="atom")
    return Response.redirect(f"{path}?{urlencode({'_feed_title': TITLE})}")
