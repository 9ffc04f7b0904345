"""query() and query_url() as templates see them."""

import asyncio
from collections.abc import Callable

import pytest

from tests.conftest import Site


def render(site: Site, template: str) -> str:
    async def run() -> str:
        datasette = site.datasette()
        await datasette.invoke_startup()
        text: str = await datasette.render_template(datasette.jinja_env.from_string(template))
        return text

    return asyncio.run(run())


def test_rows_come_as_dicts_and_missing_parameters_as_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site()
    template = "{% for row in query('signals_by_phase', place=None) %}{{ row.phase }} {{ row.n }};{% endfor %}"
    assert render(site, template) == "evaluate 80;iterate 80;train 80;"
    assert render(site, template.replace("None", "'hub'")) == "evaluate 40;iterate 40;train 40;"


def test_all_rows_come_beyond_what_the_api_returns(make_site: Callable[..., Site]) -> None:
    assert render(make_site(), "{{ query('many_rows') | length }}") == "2500"


def test_macros_have_it_too(make_site: Callable[..., Site]) -> None:
    site = make_site(templates={"_m.html": "{% macro n() %}{{ query('site_facts')[0].n_signals }}{% endmacro %}"})
    assert render(site, "{% import '_m.html' as m %}{{ m.n() }}") == "240"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("query('nowhere')", "no canned query nowhere"),
        ("query('signals_by_phase', plaice=1)", "signals_by_phase has no parameter plaice"),
        ("query_url('nowhere')", "no canned query nowhere"),
        ("query_url('signals_by_phase', plaice=1)", "has no parameter plaice"),
        ("query_url('signals_by_phase', format='xls')", "format is csv or json"),
    ],
)
def test_mistakes_are_named(make_site: Callable[..., Site], call: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(make_site(), "{{ " + call + " }}")


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("query_url('signals_by_phase')", "/signals/signals_by_phase"),
        ("query_url('signals_by_phase', place='a&b c')", "/signals/signals_by_phase?place=a%26b+c"),
        ("query_url('signals_by_phase', format='csv', place='')", "/signals/signals_by_phase.csv"),
        (
            "query_url('signals_by_phase', format='json', place='hub')",
            "/signals/signals_by_phase.json?place=hub&_shape=objects",
        ),
    ],
)
def test_urls(make_site: Callable[..., Site], call: str, path: str) -> None:
    site = make_site()
    assert render(site, "{% autoescape false %}{{ " + call + " }}{% endautoescape %}") == path
    assert asyncio.run(site.datasette().client.get(path)).status_code == 200
