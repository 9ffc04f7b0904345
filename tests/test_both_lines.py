"""Addresses on whichever Datasette is installed: `make test` walks them on 0.65, `make test-all` on 1.0."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from datasette.version import __version__

from tests.served import site

ADDRESSES = {
    "/": "What developers who fine‑tune language models struggle with",
    "/memo": "are about getting a run done",
    "/themes/output-defects": "Why does it say that?",
    "/method": "How this was counted",
    "/search?q=checkpoint": "<mark>checkpoint",
    "/changes": "What changed",
    "/changes.atom": "<title>Tinker Flywheel: what changed</title>",
    "/downloads": "application/ld+json",
    "/api": "Ask by program",
    "/datasheet": "Composition",
    "/takedown": "Have a post taken out",
    "/robots.txt": "Disallow: /*?",
    "/sitemap.xml": "/themes/overfitting</loc>",
    "/llms.txt": "## Named queries",
    "/export/csv/phases.csv": "slug,title",
    "/export/datapackage.json": '"name":"tinker-flywheel"',
    "/export/SHA256SUMS": "  parquet/signals.parquet",
    "/search?q=checkpoint&phase=iterate&place=none": "Filters that are set",
    "/posts/rd.1mh3s7q.n6zmnt2": "Every reading",
    "/posts/gh.Blaizzy.mlx-vlm.2181": "Read it differently?",
    "/signals": "Signals of trouble",
    "/signals/signals?theme=output-defects": "output-defects",
    "/signals/headline": "After a run: evaluate against iterate",
    "/signals/theme_shares.json?_shape=array&phase=iterate": '"theme":',
    "/signals/signals/gh~2EBlaizzy~2Emlx-vlm~2E2181": "gh.Blaizzy.mlx-vlm.2181",
    "/signals?sql=select+count(*)+from+signals": "count(*)",
    "/signals/signals.csv?_stream=1&_sort_desc=month": "id,gist",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_answers(database: Path, address: str) -> None:
    async def get() -> tuple[int, str]:
        datasette = site(database)
        answer = await datasette.client.get(address, follow_redirects=True)
        return answer.status_code, answer.text

    status, text = asyncio.run(get())
    assert status == 200, __version__
    assert ADDRESSES[address] in text.replace('": ', '":'), __version__


def test_a_sorted_table_streams_each_row_once(database: Path) -> None:
    async def get() -> str:
        return str((await site(database).client.get("/signals/signals.csv?_stream=1&_sort_desc=month")).text)

    ids = [line.split(",")[0] for line in asyncio.run(get()).splitlines()[1:] if line.startswith(("gh.", "rd.", "hf."))]
    assert len(ids) == len(set(ids)) > 2000
