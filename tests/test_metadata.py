"""metadata.yml describes the database that a build makes: all of it, and nothing else."""

import asyncio
import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasette.app import Datasette

from flywheel.schema import TABLES, VIEWS
from flywheel.serve import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
METADATA: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yml").read_text(encoding="utf-8"))
DATABASE: dict[str, Any] = METADATA["databases"]["signals"]
DESCRIBED: dict[str, dict[str, Any]] = DATABASE["tables"]
SITE: dict[str, str] = yaml.safe_load((ROOT / "data" / "site.yml").read_text(encoding="utf-8"))

# Columns whose description lists their values, by table.
LISTED = {
    "sources": "text_policy",
    "places": "frame enters clustered_by",
    "signals": "phase ask kind state date_of run labelled_by sure seen frame corpus tracker",
    "signal_themes": "role",
    "screened": "verdict kind date_of seen sure frame corpus",
    "codings": "reading reader pain ask run sure",
    "windows": "role",
    "cells": "frame corpus seen sure",
    "estimates": "measure by method frame enough",
    "reader_agreement": "by coefficient enough",
    "flow": "stage corpus",
    "external": "unit",
}

LEVELS = {"root": METADATA, "database": DATABASE, **DESCRIBED}
ABOUT = {"title", "description", "license", "license_url", "source", "source_url", "about", "about_url"}
# Ours: read by flywheel.catalogue, passed by on both Datasette lines.
OWN = {"column_licences"}
# Datasette 1.0 moves exactly these from a table's metadata into its configuration; 0.65 reads them where they stand.
SETTINGS_OF_A_TABLE = {"facets", "sort", "sort_desc", "size", "label_column"}


def columns_of(table: str) -> list[str]:
    return ["key", "value"] if table == "build_info" else list((TABLES | VIEWS)[table].columns)


def named(table: str) -> Iterator[tuple[str, str]]:
    """Every column that a table's settings name, with the setting that names it."""
    described = DESCRIBED[table]
    for facet in described.get("facets", ()):
        yield "facets", facet if isinstance(facet, str) else facet["array"]
    for setting in ("sort", "sort_desc", "label_column"):
        if setting in described:
            yield setting, described[setting]


def test_every_table_is_described() -> None:
    assert list(DESCRIBED) == [*TABLES, "build_info", *VIEWS]


@pytest.mark.parametrize("table", DESCRIBED)
def test_every_column_is_described_in_its_order(table: str) -> None:
    columns = DESCRIBED[table]["columns"]
    assert list(columns) == columns_of(table)
    assert [name for name, text in columns.items() if not isinstance(text, str) or not text.strip()] == []


@pytest.mark.parametrize("table", DESCRIBED)
def test_settings_name_real_columns(table: str) -> None:
    assert [(setting, name) for setting, name in named(table) if name not in columns_of(table)] == []


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_says_what_it_is_and_on_what_terms(level: str) -> None:
    found = LEVELS[level]
    assert {key for key in ABOUT if not str(found.get(key) or "").strip()} == set()
    assert (found["license"], found["license_url"]) == (SITE["licence_data"], SITE["licence_data_url"])


@pytest.mark.parametrize("level", LEVELS)
def test_only_keys_that_both_datasette_lines_know(level: str) -> None:
    of_a_table = SETTINGS_OF_A_TABLE | OWN | {"columns"}
    inner = {"root": {"databases", "plugins"}, "database": {"tables"}}.get(level, of_a_table)
    assert set(LEVELS[level]) <= ABOUT | inner
    assert not {"sort", "sort_desc"} <= set(LEVELS[level]), "a table has one order"


@pytest.mark.parametrize("table", DESCRIBED)
def test_a_description_says_what_a_row_is(table: str) -> None:
    assert DESCRIBED[table]["description"].startswith("A row is ")


def test_the_licence_does_not_claim_the_posts() -> None:
    assert "The posts themselves are not in the data" in METADATA["description"]
    for column in ("title", "excerpt"):
        assert "Not under our licence" in DESCRIBED["signals"]["columns"][column]


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == SITE["version"]
    assert citation["license"] == SITE["licence_data"].replace(" ", "-")
    assert citation["title"].startswith(SITE["title"])


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in LISTED.items() for c in columns.split()])
def test_a_description_lists_the_values_that_occur(database: Path, table: str, column: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"select distinct [{column}] from [{table}] where [{column}] <> ''").fetchall()
    description = DESCRIBED[table]["columns"][column]
    values = {word.strip() for (value,) in found for word in str(value).split(",")}
    assert values
    assert {value for value in values if not re.search(rf"\b{re.escape(value)}\b", description)} == set()


@dataclass(frozen=True)
class Site:
    """Every table as Datasette serves it: page, one row as JSON with the facets, and the list of tables."""

    pages: dict[str, tuple[int, str]]
    facets: dict[str, dict[str, Any]]
    timed_out: dict[str, list[str]]
    shown: set[str]


@pytest.fixture(scope="module")
def site(database: Path) -> Site:
    # On the command line "off" is read as False; here it would be a text, and so True.
    settings = {**SETTINGS, "suggest_facets": False}
    datasette = Datasette(immutables=[str(database)], metadata=METADATA, settings=settings)

    async def get(path: str) -> Any:
        return await datasette.client.get(path)

    async def fetch() -> Site:
        await datasette.invoke_startup()
        found = Site({}, {}, {}, set())
        listed = (await get("/signals.json")).json()
        found.shown.update(t["name"] for t in listed["tables"] if not t["hidden"])
        found.shown.update(view["name"] for view in listed["views"])
        for table in DESCRIBED:
            page = await get(f"/signals/{table}")
            found.pages[table] = page.status_code, page.text
            # 0.65 gives facets by name; 1.0 gives them when asked, one level deeper.
            answer = (await get(f"/signals/{table}.json?_size=1&_extra=facet_results,facets_timed_out")).json()
            facets = answer["facet_results"]
            found.facets[table] = facets["results"] if "timed_out" in facets else facets
            found.timed_out[table] = answer.get("facets_timed_out", [])
        return found

    return asyncio.run(fetch())


def test_datasette_shows_what_is_described_and_hides_the_search_index(site: Site) -> None:
    assert site.shown == set(DESCRIBED)


@pytest.mark.parametrize("table", DESCRIBED)
def test_a_page_shows_title_description_and_licence(site: Site, table: str) -> None:
    status, page = site.pages[table]
    assert status == 200
    text = html.unescape(page)
    for key in ("title", "description", "license", "source", "about"):
        assert DESCRIBED[table][key] in text
    assert all(description in text for description in DESCRIBED[table]["columns"].values())


@pytest.mark.parametrize("table", DESCRIBED)
def test_every_facet_is_computed_in_time(site: Site, database: Path, table: str) -> None:
    wanted = {name for setting, name in named(table) if setting == "facets"}
    assert site.timed_out[table] == []
    assert {facet["name"] for facet in site.facets[table].values()} == wanted
    with closing(sqlite3.connect(database)) as connection:
        empty = connection.execute(f"select count(*) = 0 from [{table}]").fetchone()[0]
    assert empty or [name for name, facet in site.facets[table].items() if not facet["results"]] == []


def test_references_show_titles(site: Site) -> None:
    """A reader of the cells sees the short name of a place and the title of a theme, linked, not the slug alone."""
    page = site.pages["cells"][1]
    assert '<a href="/signals/places/github-engines">GitHub, engines and libraries</a>' in page
    assert '<a href="/signals/phases/train">Train</a>' in page
