"""Every kind of page in a real browser: accessible, as wide as the screen, nothing fetched from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import serving
from tests.conftest import lay_out
from tests.test_charts import ROWS

AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
MEMO = """{% extends "base.html" %}{% from "_macros.html" import figure %}{% block title %}Memo{% endblock %}
{% block content %}<h1>Memo</h1><p class="lead">Of 100 posts. <a href="/method">How</a>.</p>
<p>__LONG__</p><h2>Figures</h2>
{% for name, rows in figures.items() %}
{% set columns = [("label", "Place", "text"), ("n", "Signals", "count"), ("share", "Share", "share")] %}
{% set svg = charts[name](rows, key=name, title="What it finds") %}
{{ figure(name, loop.index, "What it finds", "Unit, n and dates", svg, rows, columns,
  "Source: signals.db", "signals_by_phase") }}{% endfor %}{% endblock %}""".replace(
    "__LONG__", "Evaluate against iterate, read by a language model under our codebook. " * 12
)
# Figures are rendered from the rows of the chart tests, which come in as a global of the templates.
FIGURES_PLUGIN = f"""from datasette import hookimpl
from flywheel import charts as engine
@hookimpl
def prepare_jinja2_environment(env):
    env.globals["figures"] = {{
        name: [dict(share=None, n=None) | row for row in rows] for name, rows in {ROWS!r}.items()
    }}
    env.globals["charts"] = {{name: getattr(engine, name) for name in {list(ROWS)!r}}}
"""
PATHS = {
    "memo": "/memo",
    "database": "/signals",
    "table": "/signals/signals?_facet=theme&phase=train&_sort_desc=month&_size=20",
    "query": "/signals/signals_by_phase?place=hub",
    "sql": "/signals?sql=select+*+from+signals+limit+3",
    "sql error": "/signals?sql=select+nonsense",
    "row": "/signals/signals/gh~2Ehiyouga~2ELlamaFactory~2E0",
    "not found": "/nowhere/at/all",
}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = lay_out(tmp_path_factory.mktemp("site"), templates={"pages/memo.html": MEMO})
    (site.root / "plugins" / "zz_figures.py").write_text(FIGURES_PLUGIN, encoding="utf-8")
    with serving(site) as address:
        yield address


def open_page(chromium: Browser, url: str, width: int = 1280, **options: Any) -> Page:
    page = chromium.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    page.goto(url)
    return page


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_page_is_accessible_fits_and_stays_at_home(
    chromium: Browser, address: str, path: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + path)
    assert [url for url in asked if not url.startswith(address)] == []
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(AXE)
    assert [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for violation in page.evaluate("axe.run()")["violations"]
        if violation["impact"] in ("serious", "critical")
    ] == []
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_text_keeps_its_size_and_its_column(chromium: Browser, address: str, width: int) -> None:
    page = open_page(chromium, f"{address}/memo", width)
    sizes = page.evaluate(
        """[...document.querySelectorAll('.chart text')].map(text => {
             const scale = text.getScreenCTM().a;
             return scale * parseFloat(getComputedStyle(text).fontSize) })"""
    )
    assert sizes and min(sizes) >= 12
    outside = page.evaluate(
        """[...document.querySelectorAll('.chart text')].filter(text => {
             const box = text.getBoundingClientRect(), all = text.closest('.chart').getBoundingClientRect();
             return box.left < all.left - 2 || box.right > all.right + 2 }).map(text => text.textContent)"""
    )
    assert outside == []
    if width == 1280:
        letters = page.evaluate(
            """(() => {
                 const p = [...document.querySelectorAll('main p')].find(p => p.textContent.length > 500);
                 const lines = p.getBoundingClientRect().height / parseFloat(getComputedStyle(p).lineHeight);
                 return p.textContent.trim().length / Math.round(lines) })()"""
        )
        assert 60 <= letters <= 72


def test_targets_are_large_enough(chromium: Browser, address: str) -> None:
    page = open_page(chromium, f"{address}/memo", width=390)
    small = page.evaluate(
        """[...document.querySelectorAll('header a, .figure-links a, .figure-links summary')]
             .map(a => [a.textContent.trim(), a.getBoundingClientRect()])
             .filter(([, box]) => box.height < 44).map(([text, box]) => `${text}: ${box.height}`)"""
    )
    assert small == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(chromium: Browser, address: str) -> None:
    page = open_page(chromium, f"{address}/memo")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.closest('svg') ? 'chart link' : document.activeElement.tagName")
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if "chart link" in reached and "SUMMARY" in reached:
            return
    raise AssertionError(f"the keyboard reached only {reached}")


def test_it_works_without_script(chromium: Browser, address: str) -> None:
    page = open_page(chromium, f"{address}/memo", java_script_enabled=False)
    assert page.locator("figure svg.chart").count() == len(ROWS)
    page.locator("summary").first.click()
    assert page.locator("figure table").first.is_visible()


def test_colours_follow_the_scheme(chromium: Browser, address: str) -> None:
    seen = set()
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page = open_page(chromium, f"{address}/memo", color_scheme=scheme)
        seen.add(page.evaluate("getComputedStyle(document.querySelector('.chart text.ink')).fill"))
    assert seen == {"rgb(29, 33, 37)", "rgb(230, 232, 234)"}


def test_a_chart_can_be_drawn_from_the_rows_of_a_query(chromium: Browser, address: str) -> None:
    fragment = "g.mark=bar&g.x_column=phase&g.x_type=nominal&g.y_column=n&g.y_type=quantitative"
    page = open_page(chromium, f"{address}/signals/signals_by_phase#{fragment}")
    page.wait_for_selector("canvas, .vega-embed svg")
    assert page.locator("canvas, .vega-embed svg").first.bounding_box() is not None
