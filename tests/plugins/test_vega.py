"""datasette-vega comes where there are rows to draw, and nowhere else."""

import asyncio
import re
from collections.abc import Callable

import pytest

from tests.conftest import Site


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/signals/signals", True),
        ("/signals/signals_by_phase", True),
        ("/signals?sql=select+1", True),
        ("/signals/signals/gh~2Ehiyouga~2ELlamaFactory~2E1", False),
        ("/signals", False),
        ("/memo", False),
        ("/nowhere/at/all", False),
    ],
)
def test_script_and_style_come_only_with_rows(make_site: Callable[..., Site], path: str, wanted: bool) -> None:
    site = make_site(templates={"pages/memo.html": '{% extends "base.html" %}'})

    async def run() -> None:
        client = site.datasette().client
        page = (await client.get(path)).text
        assert "</html>" in page
        found = re.findall(r"/-/static-plugins/datasette_vega/[^\"]+\.(?:js|css)", page)
        assert bool(found) == wanted
        for url in found:
            assert (await client.get(url)).status_code == 200

    asyncio.run(run())
