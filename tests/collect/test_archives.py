"""The real archives beside the project, each whole; skipped where they are not at hand."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from flywheel.collect.imports.run import ImportReport, import_path
from flywheel.collect.store import Store
from tests.collect.conftest import KEY

ARCHIVES = Path(__file__).resolve().parents[3] / "shared" / "archives"
WEEKS = [
    f"reddit-localllama-week-2025-{day}.jsonl.gz" for day in ("07-06", "07-13", "07-20", "07-27", "08-03", "08-08")
]
SOURCES = {
    "discord-threads.jsonl.gz": "discord",
    "finetuning-posts.jsonl.gz": "jsonl",
    "forum-titles.jsonl.gz": "discourse",
    "github-serving-issues.jsonl.gz": "github",
    "hackernews-ai-posts.jsonl.gz": "hackernews",
    "hf-hub-discussions.jsonl.gz": "hf_hub",
    "reddit-api-threads": "reddit",
    "reddit-localllama-comments.jsonl.gz": "reddit",
    "reddit-localllama-posts.jsonl.gz": "reddit",
    "reddit-posts-2026-01.jsonl.gz": "reddit",
} | dict.fromkeys(WEEKS, "reddit")
LARGE = {
    "discord-threads.jsonl.gz",
    "finetuning-posts.jsonl.gz",
    "github-serving-issues.jsonl.gz",
    "hf-hub-discussions.jsonl.gz",
    "reddit-localllama-comments.jsonl.gz",
    "reddit-posts-2026-01.jsonl.gz",
}
NOT_JSON = {"hf-hub-discussions.jsonl.gz": 14, "github-serving-issues.jsonl.gz": 1}


def archive(name: str) -> Path:
    path = ARCHIVES / name
    if not path.exists():
        pytest.skip(f"no archive {name}: ../shared/archives is not at hand")
    return path


def take(folder: Path, *names: str) -> list[ImportReport]:
    with Store(folder / "store.db", KEY) as store:
        return [import_path(store, archive(name), SOURCES[name], "2026-11-20") for name in names]


def lines_in(path: Path) -> int:
    with gzip.open(path) as lines:
        return sum(1 for line in lines if line.strip())


def posts_in(path: Path) -> int:
    """Posts by a count of its own: comments of a Hub discussion and messages of a Discord thread are posts too."""
    total = 0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                total += 1
                continue
            total += 1 + len(row["comments"]) if isinstance(row.get("comments"), list) else 1
    return total


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in SOURCES])
def test_every_archive_goes_through_whole(tmp_path: Path, name: str) -> None:
    (report,) = take(tmp_path, name)
    path, counts = archive(name), report.counts
    assert report.faults == []
    assert counts.got == counts.new + counts.changed + counts.same + counts.gone + counts.quarantined + counts.unused
    assert counts.quarantined == NOT_JSON.get(name, 0) == sum(report.reasons.values())
    assert all(reason.startswith("not JSON: Invalid") for reason in report.reasons)
    if path.is_dir():
        assert report.files == len(list(path.iterdir()))
    else:
        assert report.rows == lines_in(path)
        if name != "discord-threads.jsonl.gz":
            assert counts.got == posts_in(path)
    with Store(tmp_path / "store.db", KEY) as store:
        held = store.db.execute("SELECT count(*), count(DISTINCT url), count(created) FROM items").fetchone()
    assert tuple(held) == (counts.new, counts.new, counts.new)


def current(folder: Path) -> dict[str, tuple[Any, ...]]:
    with Store(folder / "store.db", KEY) as store:
        rows = store.db.execute(
            "SELECT native_id, title, body, score, state, n_replies, edited, author_hash, url FROM items"
        )
        held = {row[0]: tuple(row)[1:] for row in rows}
        gone = {row[0]: ("gone", row[1]) for row in store.db.execute("SELECT native_id, why FROM tombstones")}
    assert not held.keys() & gone.keys()
    return held | gone


def test_six_weekly_states_end_as_the_last_alone(tmp_path: Path) -> None:
    for name in ("all", "last"):
        (tmp_path / name).mkdir()
    reports = take(tmp_path / "all", *WEEKS)
    take(tmp_path / "last", WEEKS[-1])
    assert current(tmp_path / "all") == current(tmp_path / "last")
    assert len(current(tmp_path / "last")) == 3747
    assert all(report.counts.changed for report in reports[1:])


def test_the_weeks_hold_the_removal_that_they_mark(tmp_path: Path) -> None:
    take(tmp_path, WEEKS[0])
    with Store(tmp_path / "store.db", KEY) as store:
        marked = store.db.execute("SELECT native_id, why FROM tombstones").fetchall()
    assert [tuple(row) for row in marked] == [("t3_1lmjg3p", "removed")]


def test_a_second_import_of_an_archive_writes_nothing(tmp_path: Path) -> None:
    take(tmp_path, WEEKS[0], "reddit-api-threads")
    before = (tmp_path / "store.db").read_bytes()
    weeks, threads = take(tmp_path, WEEKS[0], "reddit-api-threads")
    assert not threads.news
    # The threads are of other days than the week: where both hold a post, the one read last stands.
    assert weeks.counts.new == 0
    assert len((tmp_path / "store.db").read_bytes()) == len(before)


@pytest.mark.slow
def test_the_population_of_the_corpus_is_found_by_its_urls(tmp_path: Path) -> None:
    """Sets of five archives, each line of which says only its url: names that collectors use come out."""
    take(tmp_path, "finetuning-posts.jsonl.gz")
    with Store(tmp_path / "store.db", KEY) as store:
        found = dict(store.db.execute("SELECT source, count(*) FROM items GROUP BY source").fetchall())
    assert found["hf_hub"] == 2609
    assert found["github"] == 345 + 449
    assert found["hackernews"] == 18
    assert found["reddit"] > 1500
    assert sum(found.values()) > 4960
