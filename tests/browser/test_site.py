"""The real site in a real browser: our pages, accessible, as wide as the screen, by keyboard, without script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from flywheel import queries, vocabulary
from flywheel.schema import TABLES
from tests.browser.conftest import serving_the_project
from tests.browser.test_browser import AXE
from tests.conftest import ROOT

OUR_PAGES = [
    "/",
    "/memo",
    "/iterate",
    "/recount?place=reddit&place=hub&place=openai-forum&export-load=evaluate",
    "/themes",
    "/themes/continual-updates",
    "/method",
    "/downloads",
    "/changes",
    "/api",
    "/datasheet",
    "/takedown",
    "/search?q=resume+checkpoint",
    "/search?q=zzzz+model&place=reddit",
    "/posts/rd.1mh3s7q.n6zmnt2",
    "/posts/gh.Blaizzy.mlx-vlm.2181?as=overfitting&reason=It+does+not+hold.",
]
MISSING = "/themes/vibes"
EVERY_PAGE = [
    *OUR_PAGES,
    *(f"/themes/{theme}" for theme in vocabulary.read(ROOT / "data").themes),
    *(f"/signals/{table}" for table in TABLES),
    *(f"/signals/{query}" for query in queries.load(ROOT / "canned_queries")),
    "/signals/signals/gh~2EBlaizzy~2Emlx-vlm~2E2181",
    "/signals?sql=select+*+from+estimates+limit+20",
    MISSING,
]

# What the run saw, for whoever wants to look; not committed.
PICTURES = ROOT / "test-results" / "pages"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(database: Path) -> Iterator[str]:
    with serving_the_project(database) as address:
        yield address


def opened(chromium: Browser, url: str, width: int = 1280, **options: Any) -> tuple[Page, list[str]]:
    """A page, and what went wrong in it: errors on the console, requests to another host."""
    page = chromium.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    home = "/".join(url.split("/")[:3])
    page.on("request", lambda request: None if request.url.startswith((home, "data:")) else wrong.append(request.url))
    page.goto(url)
    return page, wrong


def holds_together(page: Page, wrong: list[str]) -> None:
    expected = ["404 (Not Found)"] if page.url.endswith(MISSING) else []
    assert [text for text in wrong if not any(known in text for known in expected)] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    assert page.locator("h1").count() == page.locator("main").count() == 1


def violations(page: Page, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in impacts]


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
@pytest.mark.parametrize("path", OUR_PAGES)
def test_our_pages_hold_together(
    chromium: Browser, address: str, path: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page, wrong = opened(chromium, address + path, width, color_scheme=scheme)
    holds_together(page, wrong)
    assert violations(page, ("minor", "moderate", "serious", "critical")) == []


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_in_every_dress(
    chromium: Browser, address: str, width: int, scheme: Literal["light", "dark"], script: bool
) -> None:
    for path in EVERY_PAGE:
        page, wrong = opened(chromium, address + path, width, color_scheme=scheme, java_script_enabled=script)
        if script:
            holds_together(page, wrong)
            assert violations(page) == [], path
            name = re.sub(r"\W+", "-", path).strip("-") or "home"
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
        else:
            assert page.locator("main").inner_text().strip(), path
        page.context.close()


def test_a_keyboard_leads_from_the_memo_to_a_post_and_to_its_query(chromium: Browser, address: str) -> None:
    page, _ = opened(chromium, f"{address}/memo")

    def press_until(selector: str) -> None:
        for _ in range(300):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"no Tab reaches {selector}")

    press_until('#figure-theme_shares a[href="/themes/output-defects"]')
    page.keyboard.press("Enter")
    page.wait_for_url("**/themes/output-defects")
    press_until('.posts a[href^="/posts/"]')
    press_until('.posts a[href^="https://"]')
    assert page.evaluate("document.activeElement.href").startswith("https://")
    page.goto(f"{address}/memo")
    press_until(".query-link")
    page.keyboard.press("Enter")
    page.wait_for_url("**/signals/lead**")
    assert "select" in page.locator("pre").first.inner_text()


def count_changes(page: Page, was: str) -> None:
    page.wait_for_function(
        "was => document.querySelector('.count') && document.querySelector('.count').innerText !== was", arg=was
    )


def test_a_drill_filters_pages_and_goes_back(chromium: Browser, address: str) -> None:
    page, wrong = opened(chromium, f"{address}/themes/continual-updates")
    page.evaluate("window.untouched = true")
    everything = page.locator(".count").inner_text()
    page.click('.facets a:has-text("OpenAI forum")')
    count_changes(page, everything)
    assert "place=openai-forum" in page.url
    assert page.evaluate("document.activeElement.className") == "count", "the reader goes on from the count"
    assert all("OpenAI forum" in text for text in page.locator(".posts > li > p:nth-of-type(2)").all_inner_texts())
    narrowed = page.locator(".count").inner_text()
    page.fill("input#words", "again")
    count_changes(page, narrowed)
    assert {"place=openai-forum", "q=again"} == set(page.url.partition("?")[2].split("#")[0].split("&"))
    assert "post" in page.locator("#said").inner_text()
    both = page.locator(".count").inner_text()
    page.fill("input#words", "again and")
    count_changes(page, both)
    both = page.locator(".count").inner_text()
    page.go_back()
    count_changes(page, both)
    assert page.locator("input#words").input_value() == ""
    page.click('.chips a:has-text("OpenAI forum")')
    count_changes(page, narrowed)
    assert page.locator(".count").inner_text() == everything
    page.click(".pages a[rel=next]")
    count_changes(page, everything)
    assert "page=2" in page.url
    assert page.evaluate("window.untouched"), "no page was loaded anew"
    assert wrong == []


def test_a_drill_works_without_script(chromium: Browser, address: str) -> None:
    page, _ = opened(chromium, f"{address}/themes/continual-updates", java_script_enabled=False)
    page.click('.facets a:has-text("OpenAI forum")')
    page.fill("input#words", "again")
    page.click("form.drill button")
    assert "place=openai-forum" in page.url
    assert "q=again" in page.url
    assert page.locator(".posts li").count() > 3
    assert page.locator("button[data-copy]:visible").count() == 0
    page.click('.chips a:has-text("again")')
    first = page.locator(".posts li").first.inner_text()
    page.click("a[rel=next]")
    assert page.locator(".posts li").first.inner_text() != first
    assert "place=openai-forum" in page.url
    page.click(".posts > li > p > a")
    assert "/posts/" in page.url
    page.select_option("select[name=as]", "overfitting")
    page.fill("input[name=reason]", "It does not hold.")
    page.click("form.correct button")
    assert '"theme": "overfitting"' in page.locator("#line").inner_text()


def test_single_keys_search_and_step_and_can_be_turned_off(chromium: Browser, address: str) -> None:
    page, wrong = opened(chromium, f"{address}/search?phase=iterate")

    def at() -> str:
        return str(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))

    links = [str(link.get_attribute("href")) for link in page.locator(".posts > li > p > a[href^='/posts/']").all()]
    ours = links[::2]  # each post has a second link, to its correction
    page.keyboard.press("j")
    assert at() == ours[0]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert at() == ours[1]
    page.keyboard.press("/")
    assert at() == "words"
    page.keyboard.type("j/k")
    assert page.locator("input#words").input_value() == "j/k"
    page.goto(f"{address}/memo")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.goto(f"{address}/search?phase=iterate")
    page.click("text=Turn them off")
    page.locator("h1").click()
    page.keyboard.press("/")
    assert at() != "words"
    page.reload()
    page.keyboard.press("j")
    assert at() not in ours
    assert wrong == []


def test_a_link_can_be_copied(chromium: Browser, address: str) -> None:
    page, _ = opened(
        chromium, f"{address}/search?q=adapter&phase=iterate", permissions=["clipboard-read", "clipboard-write"]
    )
    page.click("text=Copy link")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{address}/search?q=adapter&phase=iterate#posts"


def test_a_reader_counts_anew_with_script_and_without(chromium: Browser, address: str) -> None:
    said = []
    for script in (True, False):
        page, wrong = opened(chromium, f"{address}/recount", java_script_enabled=script)
        before = page.locator("#results .lead").inner_text()
        page.click("summary:has-text('Where each theme belongs')")
        page.select_option("select[name=export-load]", "evaluate")
        page.click("button:has-text('Count again')")
        page.wait_for_url("**export-load=evaluate**")
        page.locator("#results :text('With export and load counts in evaluate')").wait_for()
        said.append(page.locator("#results .lead").inner_text())
        assert said[-1] != before
        assert page.locator("select[name=export-load]").input_value() == "evaluate"
        assert wrong == []
    assert said[0] == said[1]


def test_the_memo_prints_on_four_pages(chromium: Browser, address: str) -> None:
    page, _ = opened(chromium, f"{address}/memo")
    paper = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 4


def test_the_first_view_of_the_memo_is_light(chromium: Browser, address: str) -> None:
    """Under 150 KB over the wire for page, style, script and images; no page of ours loads datasette-vega."""
    page = chromium.new_context().new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{address}/memo", wait_until="networkidle")
    assert 5_000 < sum(sizes) < 150_000
    assert page.locator("script[src*=vega]").count() == 0


def test_a_chart_is_opened_by_link(chromium: Browser, address: str) -> None:
    fragment = queries.load(ROOT / "canned_queries")["shares_by_place"].fragment
    page, wrong = opened(chromium, f"{address}/signals/shares_by_place#{fragment}")
    drawn = page.wait_for_selector(".vega-embed canvas", state="attached", timeout=20_000)
    assert drawn is not None
    assert drawn.evaluate("canvas => canvas.width * canvas.height") > 10_000
    assert wrong == []
