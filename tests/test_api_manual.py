"""docs/api.md: every example is asked, and does what the text says."""

from __future__ import annotations

import csv
import io
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn
from httpx import Response

from flywheel.catalogue import ALL_TABLES
from tests.conftest import ROOT
from tests.served import ask, site

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?s)```\n(.*?)```", TEXT)
EXAMPLES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("curl ") and " -s " not in line]


def path_of(example: str) -> str:
    """The path and query that one `curl` line asks for."""
    words = shlex.split(example)
    (address,) = (word for word in words if word.startswith("$SITE"))
    data = [words[i + 1].partition("=")[::2] for i, word in enumerate(words) if word == "--data-urlencode"]
    return address.removeprefix("$SITE") + (f"?{urlencode(data)}" if data else "")


def test_there_are_examples_of_everything() -> None:
    assert len(EXAMPLES) > 14
    paths = " ".join(map(path_of, EXAMPLES))
    for needed in (".json?", ".csv?", "sql=", "_search=", "/export/parquet/", "/export/signals.db", "page=2"):
        assert needed in paths, needed


@pytest.fixture(scope="module")
def answers(database: Path) -> dict[str, Response]:
    return ask(database, map(path_of, EXAMPLES))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_answers_with_rows(answers: dict[str, Response], example: str) -> None:
    path = path_of(example)
    answer = answers[path]
    if "nonsense" in path:
        assert answer.status_code == 400 and "no such column" in answer.json()["error"]
        return
    assert answer.status_code == 200, path
    if ".csv" in path:
        assert len(list(csv.DictReader(io.StringIO(answer.text)))) > 1
    elif path.startswith("/export/"):
        assert len(answer.content) > 1000
    else:
        found = answer.json()
        assert found["rows"] if "_shape=objects" in path else found
        row = (found["rows"] if "_shape=objects" in path else found)[0]
        assert isinstance(row, dict)


def test_what_the_manual_says_of_the_answers(database: Path) -> None:
    paths = {
        "drill": "/signals/theme_drill.json?_shape=array&theme=continual-updates&page=2",
        "unknown": "/signals/headline.json?_shape=array&nothing=1",
        "plain": "/signals/headline.json?_shape=array",
        "page": "/signals/signals.json?_shape=objects&_size=max&_col=id",
        "stream": "/signals/signals.csv?_stream=1&_col=id",
        "missing": "/signals/nothing.json",
        "column": "/signals/signals.json?nothing=1&_size=1",
        "row": "/signals/signals/{}.json?_shape=array",
    }
    with closing(sqlite3.connect(database)) as connection:
        (post,) = connection.execute("select id from signals where id like 'rd.%' order by id").fetchone()
    paths["row"] = paths["row"].format(post.replace(".", "~2E"))
    answers = dict(zip(paths, ask(database, paths.values()).values(), strict=True))
    drill = answers["drill"].json()
    assert len(drill) == 20 < drill[0]["of"]
    assert answers["unknown"].json() == answers["plain"].json()
    page = answers["page"].json()
    assert page["next_url"] is None and len(page["rows"]) == len(answers["stream"].text.splitlines()) - 1
    assert answers["missing"].status_code == 404 and answers["missing"].json()["error"]
    assert answers["column"].json()["filtered_table_rows_count"] == 0
    assert answers["row"].json()[0]["id"] == post


@pytest.fixture(scope="module")
def address(database: Path) -> Iterator[str]:
    """The site on a port of its own, for what needs a real curl."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(site(database).app(), port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def bash(command: str, address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"SITE": address, "PATH": "/usr/bin:/bin"}
    return subprocess.run(["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_a_mirror_is_whole_and_checked(address: str, tmp_path: Path) -> None:
    (mirror,) = (block for block in BLOCKS if "SHA256SUMS" in block)
    run = bash(mirror, address, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) == 2 * len(ALL_TABLES) + 8
    assert {line.rpartition(": ")[2] for line in run.stdout.splitlines()} == {"OK"}


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_asking_again_costs_no_second_copy(address: str, tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if "etag-compare" in block)
    first, second = block.splitlines()

    def run(command: str) -> str:
        done = bash(command, address, tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(first).lower().startswith("etag:")
    status = f"{second} -w '%{{http_code}} %{{size_download}}'"
    assert run(f"touch tag; {status}").startswith("200 ")
    assert run(status) == "304 0"
    assert (tmp_path / "rows.json").read_text().startswith("[")
