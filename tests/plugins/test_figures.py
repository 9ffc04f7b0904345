"""A figure's SVG file is the chart of the page, and nothing else."""

import asyncio
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest

from tests.conftest import HOSTILE, Site

FIGURE = """{% from "_macros.html" import figure %}
{% set place = (parameters or {}).place %}
{% set rows = query("signals_by_phase", place=place) %}
{% set drawn = [] %}
{% for row in rows %}
{% set _ = drawn.append({"label": row.phase, "share": row.n / 240, "href": "/themes/x"}) %}
{% endfor %}
{% set svg = charts.bars(drawn, key="by-phase", title=place or "all") if drawn else "" %}
{% set columns = [("phase", "Phase", "text"), ("n", "Signals", "count")] %}
{{ figure("by_phase", 1, "Title <i>", "Unit", svg, rows, columns, "Source", "signals_by_phase",
  {"place": place}) }}"""
PAGE = """{% extends "base.html" %}{% block content %}<h1>Memo</h1>
{% with parameters = {"place": "hub"} %}{% include "figures/by_phase.html" %}{% endwith %}{% endblock %}"""


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(templates={"figures/by_phase.html": FIGURE, "pages/memo.html": PAGE})


def test_a_figure_links_to_its_table_query_rows_and_chart(site: Site) -> None:
    async def run() -> None:
        client = site.datasette().client
        page = (await client.get("/memo")).text
        assert "Title &lt;i&gt;" in page and "<summary>Table</summary>" in page
        for path in (
            "/signals/signals_by_phase?place=hub",
            "/signals/signals_by_phase.csv?place=hub",
            "/figures/by_phase.svg?place=hub",
        ):
            assert f'href="{path}"' in page
            answer = await client.get(path)
            assert answer.status_code == 200
            assert "evaluate" in answer.text
        bars = re.findall(r"<rect[^>]*>", page[page.index("<svg ") : page.rindex("</svg>")])
        file = (await client.get("/figures/by_phase.svg?place=hub")).text
        assert bars and bars == re.findall(r"<rect[^>]*>", file)[1:]
        assert ElementTree.fromstring(file).tag.endswith("svg")

    asyncio.run(run())


def test_hostile_parameters_stay_text(site: Site) -> None:
    async def run() -> None:
        client = site.datasette().client
        answer = await client.get("/figures/by_phase.svg", params={"place": HOSTILE, "charts": "x", "query": "y"})
        # No row has such a place, so there is nothing to draw.
        assert answer.status_code == 404 and "<script>alert" not in answer.text

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/figures/nowhere.svg", "/figures/By_phase.svg", "/figures/by_phase"])
def test_an_unknown_figure_is_404(site: Site, path: str) -> None:
    assert asyncio.run(site.datasette().client.get(path)).status_code == 404


def test_a_figure_as_png_is_its_chart_in_pixels(site: Site) -> None:
    async def run() -> tuple[bytes, bytes, int]:
        client = site.datasette().client
        first = await client.get("/figures/by_phase.png?place=hub")
        again = await client.get("/figures/by_phase.png?place=hub")
        svg = (await client.get("/figures/by_phase.svg?place=hub")).text
        assert first.headers["content-type"] == "image/png"
        return first.content, again.content, int(str(ElementTree.fromstring(svg).get("width")))

    first, again, width = asyncio.run(run())
    assert first == again
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">I", first[16:20]) == (2 * width,)
