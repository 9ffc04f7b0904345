"""A served site and a real Chromium for the browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from flywheel import serve
from tests.conftest import ROOT, Site

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
# Everything that would make Chromium call home is off: the tests look for requests to other hosts.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the session: playwright keeps an event loop running, in which no other test could use asyncio.run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: run `apt-get install -y --no-install-recommends chromium fonts-dejavu-core`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def running(command: Sequence[str | Path], port: int, log: Path) -> Iterator[str]:
    """Runs a server until the block ends, and gives its address once it answers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "build")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/-/versions.json", timeout=5).close()  # noqa: S310
                break
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            process.terminate()
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start:\n{log.read_text()}")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serves a made-up site with the `datasette` command and gives its address."""
    port = free_port()
    command: list[str | Path] = [
        *(sys.executable, "-m", "datasette", "serve", "-i", site.database, "-p", str(port)),
        *("--plugins-dir", site.root / "plugins", "--template-dir", site.root / "templates"),
        *("--static", f"static:{site.root / 'static'}"),
    ]
    with running(command, port, site.root / "log") as address:
        yield address


@contextmanager
def serving_the_project(database: Path) -> Iterator[str]:
    """Serves the project itself, by the very command line of `flywheel serve`."""
    port = free_port()
    with running(serve.command(ROOT, database, "127.0.0.1", port), port, database.with_suffix(".log")) as address:
        yield address
