"""Hostile rows on every page, and the policy that would stop a script if one got through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from datasette.utils import tilde_encode
from playwright.sync_api import Browser, Page

from flywheel.schema import TABLES
from tests import hostile
from tests.browser.conftest import serving_the_project
from tests.browser.test_site import EVERY_PAGE, MISSING, opened

ROWS = [f"/signals/signals/{tilde_encode(string)}" for string in hostile.STRINGS if len(string) < 1_000]
BOTH_ENDS = [
    f"/signals/{table}?_sort{'_desc' * (order == 'desc')}={next(iter(spec.columns))}"
    for table, spec in TABLES.items()
    for order in ("asc", "desc")
]
PAGES = [path for path in [*EVERY_PAGE, *BOTH_ENDS, *ROWS] if path != MISSING]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    made = hostile.make(database, tmp_path_factory.mktemp("hostile") / "signals.db")
    with serving_the_project(made) as address:
        yield address


def faults(page: Page, wrong: list[str]) -> list[str]:
    """Scripts that ran, what the console complains of, and a page wider than the screen."""
    ran = ["a script ran"] * (page.evaluate("window.ran") is not None)
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [*ran, *wrong, *([f"{wide} pixels wide"] if wide > 390 else [])]


def walked(chromium: Browser, address: str, paths: list[str]) -> dict[str, list[str]]:
    found = {}
    for path in paths:
        page, wrong = opened(chromium, address + path, 390)
        scripts = page.locator("main a[href^='javascript:' i]").count()
        if faults_here := [*faults(page, wrong), *(["a link that is a script"] * scripts)]:
            found[path] = faults_here
        page.context.close()
    return found


def test_hostile_rows_are_shown_as_text(chromium: Browser, address: str) -> None:
    paths = ["/memo", "/themes", "/search?q=script", "/signals/signals?_sort_desc=id", "/signals/themes", ROWS[1]]
    assert walked(chromium, address, paths) == {}


@pytest.mark.slow
def test_hostile_rows_on_every_page(chromium: Browser, address: str) -> None:
    assert walked(chromium, address, PAGES) == {}


@pytest.mark.parametrize("path", ["/memo", "/signals/signals", "/signals/lead"])
def test_a_script_that_got_into_a_page_does_not_run(chromium: Browser, address: str, path: str) -> None:
    page, wrong = opened(chromium, address + path)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = 1";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>");
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in wrong)


def test_data_in_a_page_are_no_script(chromium: Browser, address: str) -> None:
    """JSON-LD, which search engines read, is not held back by the policy and logs nothing."""
    page, wrong = opened(chromium, f"{address}/memo")
    page.evaluate(
        """() => {
          const data = document.createElement("script");
          data.type = "application/ld+json";
          data.textContent = '{"@context": "https://schema.org", "@type": "Dataset"}';
          document.head.append(data);
        }"""
    )
    page.wait_for_timeout(200)
    assert wrong == []
