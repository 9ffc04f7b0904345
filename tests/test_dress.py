"""What every page says, without a browser: facts at the foot, errors that help, hostile text as text."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from markupsafe import escape

from tests.conftest import HOSTILE, Site

BROKEN = {
    "pages/broken.html": "{{ query('no_such_query') }}",
    "pages/memo.html": '{% extends "base.html" %}{% block content %}<h1>Memo</h1>{% endblock %}',
}


def get(site: Site, path: str) -> httpx.Response:
    # The answers of datasette.client are those of another HTTP library, with the same attributes.
    answer: httpx.Response = asyncio.run(site.datasette().client.get(path))
    return answer


@pytest.mark.parametrize("path", ["/memo", "/signals", "/signals/signals", "/signals/signals_by_phase", "/nowhere/x"])
def test_every_page_says_what_data_it_stands_on(make_site: Callable[..., Site], path: str) -> None:
    page = get(make_site(templates=BROKEN), path).text
    assert '<html lang="en">' in page and page.count("<main") == page.count("<h1") == 1
    for fact in (
        "2026.11.0",
        "c0ffeec0",
        "2025-12",
        "240 of 3,210 posts read",
        "Independent of Thinking Machines Lab",
    ):
        assert fact in page


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/memo", "Memo"),
        ("/signals/signals_by_phase", "Data"),
        ("/signals?sql=select+1", "SQL"),
        ("/nowhere/x", None),
    ],
)
def test_the_navigation_says_where_one_is(make_site: Callable[..., Site], path: str, current: str | None) -> None:
    page = get(make_site(templates=BROKEN), path).text
    assert page.count('aria-current="page"') == (current is not None)
    assert current is None or f'aria-current="page">{current}</a>' in page


def test_a_missing_page_offers_ways_on(make_site: Callable[..., Site]) -> None:
    answer = get(make_site(), "/nowhere/at/all")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text and 'href="/memo"' in answer.text


def test_a_failure_is_told_without_asking_the_database(make_site: Callable[..., Site]) -> None:
    answer = get(make_site(templates=BROKEN), "/broken")
    assert answer.status_code == 500
    assert "no canned query no_such_query" in answer.text and "posts read" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/signals/signals/gh~2Ehiyouga~2ELlamaFactory~2E0",
        "/signals/signals?_size=max",
        "/signals/signals?_facet=title&_size=max",
        "/signals/signals?_search=%3Cscript%3Ealert('x')%3C/script%3E+%22%26amp;+]]%3E+c%2B%2B",
        "/signals/signals_by_phase?place=%3Cscript%3Ealert('x')%3C/script%3E+%22%26amp;+]]%3E+c%2B%2B",
        "/signals?sql=select+title+from+signals+where+id+like+'%25.0'",
    ],
)
def test_hostile_text_stays_text(make_site: Callable[..., Site], path: str) -> None:
    page = get(make_site(), path).text
    assert "<script>alert" not in page
    assert str(escape(HOSTILE)) in page
