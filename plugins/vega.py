"""Sends datasette-vega only where it has something to draw: its script weighs 944 KB and comes on every page.

The plugin stays registered, so its static files are still served.
"""

from collections.abc import Generator
from typing import Any

from datasette import hookimpl

# The template tells these apart from other pages on both Datasette lines. The name of the view does not: 0.65
# calls the view of a query page "database" or "table".
PAGES = ("table", "query")


def _without_vega(urls_by_plugin: list[list[Any]], template: str | None) -> list[list[Any]]:
    if (template or "").removesuffix(".html").split("-")[0] in PAGES:
        return urls_by_plugin
    return [[url for url in urls if "/datasette_vega/" not in str(url)] for urls in urls_by_plugin]


@hookimpl(wrapper=True)
def extra_js_urls(template: str | None) -> Generator[None, list[list[Any]], list[list[Any]]]:
    return _without_vega((yield), template)


@hookimpl(wrapper=True)
def extra_css_urls(template: str | None) -> Generator[None, list[list[Any]], list[list[Any]]]:
    return _without_vega((yield), template)
