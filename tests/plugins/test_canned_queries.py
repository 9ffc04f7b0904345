"""Canned queries as Datasette serves them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from datasette.utils import StartupError

from tests.conftest import Site


def get_json(site: Site, path: str) -> Any:
    response = asyncio.run(site.datasette().client.get(path))
    assert response.status_code == 200, response.text
    return response.json()


def test_each_file_is_a_query_with_title_and_parameters(make_site: Callable[..., Site]) -> None:
    queries = {query["name"]: query for query in get_json(make_site(), "/signals.json")["queries"]}
    assert set(queries) == {"site_facts", "signals_by_phase", "many_rows"}
    assert queries["signals_by_phase"]["title"] == "Signals by phase"
    assert queries["signals_by_phase"]["fragment"].startswith("g.mark=bar")


def test_a_parameter_left_out_is_every_row_and_one_given_filters(make_site: Callable[..., Site]) -> None:
    site = make_site()
    everything = get_json(site, "/signals/signals_by_phase.json?_shape=objects")["rows"]
    reddit = get_json(site, "/signals/signals_by_phase.json?_shape=objects&place=reddit")["rows"]
    assert sum(row["n"] for row in everything) == 240
    assert sum(row["n"] for row in reddit) == 120


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"signals": "-- title: t\n-- description: d\n\nselect 1"},
            r"signals\.sql has the name of a table or view",
        ),
        ({"broken": "-- title: t\n\nselect 1"}, r"broken\.sql:1: no description"),
    ],
)
def test_start_up_is_refused(make_site: Callable[..., Site], files: dict[str, str], message: str) -> None:
    site = make_site(queries=files)
    with pytest.raises((StartupError, ValueError), match=message):
        asyncio.run(site.datasette().invoke_startup())
