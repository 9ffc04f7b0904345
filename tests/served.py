"""The site as `flywheel serve` would serve it, asked without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from datasette.app import Datasette

from flywheel import serve
from tests.conftest import ROOT, forget_site_plugins

if TYPE_CHECKING:
    import httpx


def site(database: Path) -> Datasette:
    """Our plugins, templates, metadata and settings over one immutable file."""
    forget_site_plugins()
    return Datasette(
        files=[],
        immutables=[str(database)],
        metadata=yaml.safe_load((ROOT / "metadata.yml").read_text(encoding="utf-8")),
        plugins_dir=str(ROOT / "plugins"),
        template_dir=str(ROOT / "templates"),
        static_mounts=[("static", str(ROOT / "static"))],
        settings=typed_settings(),
        cors=True,
    )


def typed_settings() -> dict[str, Any]:
    """The settings of the command line, with `off` as the Python value that Datasette makes of it."""
    return {name: False if value == "off" else value for name, value in serve.SETTINGS.items()}


def ask(database: Path, paths: Iterable[str]) -> dict[str, httpx.Response]:
    """The answers to some paths, in one process, redirects not followed."""

    async def run() -> dict[str, httpx.Response]:
        datasette = site(database)
        return {path: await datasette.client.get(path) for path in paths}

    return asyncio.run(run())
