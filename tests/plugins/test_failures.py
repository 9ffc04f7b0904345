"""A page that is not there is told to the reader, not to the log with all its locals."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Site
from tests.served import ask


def test_a_missing_page_prints_no_traceback(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    assert ask(database, ["/themes/vibes", "/export/nope"])["/export/nope"].status_code == 404
    printed = capsys.readouterr()
    assert "locals" not in printed.out + printed.err and "Traceback" not in printed.out


COUNTING = """-- title: Counting
-- description: Counts as far as it is asked, or fails.
-- param until = 1: the last number
-- param text = null: JSON, or not

with recursive counter(i) as (select 1 union all select i + 1 from counter where i < cast(:until as integer))
select max(i) as i, json_extract(nullif(:text, ''), '$') as read from counter
"""


def test_a_named_query_that_fails_says_so_in_every_format(make_site: Callable[..., Site]) -> None:
    datasette = make_site(queries={"counting": COUNTING}).datasette(settings={"sql_time_limit_ms": 200})

    async def answers() -> dict[tuple[str, str], Any]:
        return {
            (end, given): await datasette.client.get(f"/signals/counting{end}&{given}")
            for end in ("?", ".json?_shape=array", ".csv?", ".csv?_stream=1")
            for given in ("until=3", "until=1000000000", "text=x")
        }

    for (end, given), answer in asyncio.run(answers()).items():
        assert answer.status_code == (200 if given == "until=3" else 400), (end, given, answer.text)
        if end.startswith(".csv"):
            told = {"until=3": "i,read\r\n3,\r\n", "until=1000000000": "longer than it may", "text=x": "malformed JSON"}
            assert told[given] in answer.text
