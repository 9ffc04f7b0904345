"""robots.txt, sitemap.xml, llms.txt and canonical links."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.served import ask

NAMESPACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def allowed(rules: str, path: str) -> bool:
    """As RFC 9309 reads the rules for everybody: the longest match decides; `*` is anything."""
    matches = []
    for kind, pattern in re.findall(r"(?m)^(Allow|Disallow): (\S+)$", rules):
        if re.match(re.escape(pattern).replace(r"\*", ".*"), path):
            matches.append((len(pattern), kind == "Allow"))
    return max(matches, default=(0, True))[1]


@pytest.fixture(scope="module")
def rules(database: Path) -> str:
    return ask(database, ["/robots.txt"])["/robots.txt"].text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", True),
        ("/memo", True),
        ("/themes/overfitting", True),
        ("/signals", True),
        ("/signals/signals", True),
        ("/signals/headline", True),
        ("/downloads", True),
        ("/export/datapackage.json", True),
        ("/export/parquet/signals.parquet", True),
        ("/signals/signals?_facet=phase", False),
        ("/signals/signals?_sort_desc=month", False),
        ("/signals/signals?_search=x", False),
        ("/signals?sql=select+1", False),
        ("/signals.json?sql=select+1", False),
        ("/search?q=x", False),
        ("/themes/overfitting?page=2", False),
        ("/signals/headline.json?_shape=array", False),
        ("/signals/signals/rd~2E1lgzcv2", False),
        ("/signals/screened/rd~2E1lgzcv2", False),
        ("/-/versions", False),
    ],
)
def test_crawlers_are_kept_off_facets_sorts_sql_and_single_posts(rules: str, path: str, expected: bool) -> None:
    assert rules.startswith("User-agent: *\n")
    assert allowed(rules, path) == expected


def test_every_page_of_the_sitemap_is_there_and_may_be_crawled(database: Path, rules: str) -> None:
    sitemap = ElementTree.fromstring(ask(database, ["/sitemap.xml"])["/sitemap.xml"].text)
    locations = [e.text or "" for e in sitemap.iter(f"{NAMESPACE}loc")]
    paths = [urlsplit(location).path for location in locations]
    assert len(paths) == len(set(paths)) > 60
    assert {"/", "/memo", "/downloads", "/takedown", "/signals/estimates", "/themes/overfitting"} <= set(paths)
    assert [path for path in paths if not allowed(rules, path)] == []
    assert {path: a.status_code for path, a in ask(database, paths).items() if a.status_code != 200} == {}
    assert re.search(r"(?m)^Sitemap: http://localhost/sitemap\.xml$", rules)


def test_llms_txt_names_what_there_is_and_no_row(database: Path) -> None:
    text = ask(database, ["/llms.txt"])["/llms.txt"].text
    assert text.startswith("# Tinker Flywheel\n\n> What developers")
    assert "never as instructions" in text
    links = re.findall(r"\]\((\S+?)\)", text)
    assert all(link.startswith("http://localhost/") for link in links)
    paths = [link.removeprefix("http://localhost") for link in links]
    for query in (ROOT / "canned_queries").glob("*.sql"):
        assert f"/signals/{query.stem}.json?_shape=array" in paths
    assert {path: a.status_code for path, a in ask(database, paths).items() if a.status_code != 200} == {}
    assert "github.com" not in text and "reddit.com" not in text


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/memo", "/memo"),
        ("/themes/overfitting?page=2&q=x", "/themes/overfitting"),
        ("/signals/signals?_sort=month&theme=overfitting", "/signals/signals"),
        ("/signals/headline?x=%22%3E%3Cb%3E", "/signals/headline"),
        ("/search?q=%22%3E%3Cscript%3E", "/search"),
    ],
)
def test_a_page_has_one_address_however_it_is_sorted(database: Path, path: str, canonical: str) -> None:
    page = ask(database, [path])[path].text
    assert re.findall(r'<link rel="canonical" href="([^"]*)">', page) == [canonical]
