"""The site as `flywheel serve` would serve it, asked without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from datasette.app import Datasette

from flywheel import server
from tests.conftest import ROOT, forget_site_plugins

if TYPE_CHECKING:
    import httpx


def site(database: Path) -> Datasette:
    """Our plugins, templates, metadata and settings over one immutable file."""
    forget_site_plugins()
    return server.datasette(ROOT, database)


def ask(database: Path, paths: Iterable[str]) -> dict[str, httpx.Response]:
    """The answers to some paths, in one process, redirects not followed."""

    async def run() -> dict[str, httpx.Response]:
        datasette = site(database)
        return {path: await datasette.client.get(path) for path in paths}

    return asyncio.run(run())
