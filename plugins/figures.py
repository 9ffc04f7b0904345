"""Serves each figure as a file: /figures/NAME.svg or .png, with the parameters of the figure's query.

The file is cut from templates/figures/NAME.html, the very template that the pages include, so the two cannot
differ. A page that shows a figure for one theme includes it ``with parameters={"theme": ...}``; here the same
mapping is filled from the query string. Share cards are figures that no page shows (`card_*.html`).
"""

import asyncio
import re
from typing import Any
from urllib.parse import urlencode

from datasette import Response, hookimpl
from datasette.utils.asgi import BadRequest, NotFound
from jinja2 import TemplateNotFound

from flywheel.queries import UnknownParameterError
from flywheel.raster import png
from flywheel.svg import standalone

_CHART = re.compile(r'<svg [^>]*class="chart".*</svg>', re.DOTALL)


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    def figure_url(name: str, /, *, suffix: str = "svg", **parameters: Any) -> str:
        given = urlencode([(key, value) for key, value in parameters.items() if value not in (None, "")])
        return f"{datasette.urls.path(f'/figures/{name}.{suffix}')}{'?' if given else ''}{given}"

    env.globals["figure_url"] = figure_url


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"/figures/(?P<name>[a-z0-9_-]+)\.(?P<suffix>svg|png)$", figure)]


async def figure(datasette: Any, request: Any) -> Any:
    name = request.url_vars["name"]
    parameters = {key: request.args[key] for key in request.args}
    try:
        page = await datasette.render_template(f"figures/{name}.html", {"parameters": parameters}, request=request)
    except TemplateNotFound:
        raise NotFound(f"There is no figure {name}") from None
    except UnknownParameterError as error:
        raise BadRequest(str(error)) from None
    # A figure says in words, without a chart, what its data cannot show.
    if (chart := _CHART.search(page)) is None:
        raise NotFound(f"Figure {name} has no chart for these parameters")
    if request.url_vars["suffix"] == "png":
        return Response(await asyncio.to_thread(png, chart[0]), content_type="image/png")
    return Response(standalone(chart[0]), content_type="image/svg+xml; charset=utf-8")
