"""The build from end to end: same bytes, all rows accounted for, old file kept, precedence of who says what."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flywheel import load, pipeline
from flywheel.faults import FaultsError
from flywheel.schema import JSON, TABLES, VIEWS
from flywheel.signal import signal_id
from tests.conftest import ROOT, DataFolder, shipped_data
from tests.posts import coded, drawn


def rows(database: Path, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        return db.execute(sql, arguments).fetchall()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_same_data_same_bytes(database: Path, tmp_path: Path) -> None:
    """Another folder, another time, another hash seed."""
    copy = tmp_path / "elsewhere" / "data"
    shutil.copytree(ROOT / "data", copy)
    out = tmp_path / "again.db"
    subprocess.run(
        [sys.executable, "-m", "flywheel.cli", "--root", ROOT, "build", "--data", copy, "--out", out],
        env=os.environ | {"PYTHONHASHSEED": "4", "TZ": "Asia/Tokyo"},
        check=True,
        capture_output=True,
    )
    assert sha256(out) == sha256(database)


@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_order_of_lines_does_not_matter(data_folder: DataFolder, tmp_path: Path, many: bool) -> None:
    rows = [coded(n) for n in range(30)] + [drawn(1000 + n) for n in range(300)]
    folder = Path(shutil.copytree(ROOT / "data", tmp_path / "copy")) if many else data_folder(rows)
    as_is = pipeline.build(folder, tmp_path / "as-is.db")
    for file in (folder / "signals").iterdir():
        file.write_text("\n".join(reversed(file.read_text().splitlines())) + "\n")
    assert pipeline.build(folder, tmp_path / "shuffled.db").content_hash == as_is.content_hash


def test_every_post_is_somewhere_and_only_once(database: Path) -> None:
    """Read posts are signals, screened or folded; machine-read ones stand beside them."""
    found = shipped_data()
    read = {post.id for post in found.posts}
    places = [
        {row[0] for row in rows(database, sql)}
        for sql in (
            "select id from signals where labelled_by <> 'machine'",
            "select id from screened",
            'select "drop" from duplicates',
        )
    ]
    assert set.union(*places) == read
    assert sum(map(len, places)) == len(read)
    machine = {row[0] for row in rows(database, "select id from signals where labelled_by = 'machine'")}
    assert machine <= {post.id for post in found.derived}
    assert rows(database, "pragma foreign_key_check") == []


def test_the_tables_are_those_of_the_schema(database: Path) -> None:
    for name, table in TABLES.items():
        described = rows(database, f"select name, type, pk from pragma_table_info('{name}')")
        assert tuple(column for column, _, _ in described) == table.columns
        assert [column for column, _, pk in sorted(described, key=lambda row: row[2]) if pk] == list(table.pk)
        kinds = {"TEXT": str, "INTEGER": int, "REAL": float, "FLOAT": float}
        assert {column: kinds[kind] for column, kind, _ in described} == table.types()
    for name, view in VIEWS.items():
        assert tuple(c for (c,) in rows(database, f"select name from pragma_table_info('{name}')")) == view.columns
    assert rows(database, "select count(*) from sqlite_stat1")[0][0] > len(TABLES)


def test_a_list_that_is_no_json_cannot_be_stored(database: Path) -> None:
    columns = [(table, name) for table in TABLES for name in TABLES[table].columns if name in JSON]
    assert {("signals", "themes"), ("wants", "themes"), ("codings", "also")} <= set(columns)
    with closing(sqlite3.connect(":memory:")) as empty:
        for table, column in columns:
            ((sql,),) = rows(database, f"select sql from sqlite_schema where name = '{table}'")
            empty.execute(sql)
            empty.execute(f'insert into {table} ({TABLES[table].pk[0]}, "{column}") values (1, \'["a"]\')')
            with pytest.raises(sqlite3.IntegrityError, match="json_valid"):
                empty.execute(f"update {table} set {column} = 'a, b'")


def test_archives_weights_add_up_to_what_matched() -> None:
    found = shipped_data()
    for slug, archive in found.vocabulary.archives.items():
        weight = sum(post.weight for post in found.posts if post.archive == slug)
        assert weight == pytest.approx(archive.matched, abs=0.5), slug


def test_search_stems_and_ranks(database: Path) -> None:
    found = rows(database, "select count(*) from signals_fts where signals_fts match 'checkpoints'")
    assert found == rows(database, "select count(*) from signals_fts where signals_fts match 'checkpoint'")
    assert found[0][0] > 10


def test_no_text_of_a_post_without_a_store(database: Path) -> None:
    assert rows(database, "select count(*) from signals where title is not null or excerpt is not null") == [(0,)]


def a_store(path: Path) -> Path:
    with sqlite3.connect(path) as db:
        db.execute("create table items (id, url, source, native_id, title, body)")
        url, reddit = coded(1)["url"], "https://www.reddit.com/r/LocalLLaMA/comments/1abc/"
        db.executemany(
            "insert into items values (?, ?, ?, ?, ?, ?)",
            [
                (signal_id(url), url, "github", "1", "A title", "word " * 200),
                (signal_id(reddit), reddit, "reddit", "1abc", "Secret title", "Secret text"),
            ],
        )
    return path


def test_a_store_adds_text_by_policy_and_changes_no_share(data_folder: DataFolder, tmp_path: Path) -> None:
    post = "https://www.reddit.com/r/LocalLLaMA/comments/1abc/"
    reddit = drawn(
        1, url=post, source="reddit", community="r/LocalLLaMA", kind="post", set="localllama-archive", thread="rd.1abc"
    )
    folder = data_folder([coded(1), reddit])
    without = pipeline.build(folder, tmp_path / "without.db").path
    with_store = pipeline.build(folder, tmp_path / "with.db", a_store(tmp_path / "store.db")).path
    text = dict(rows(with_store, "select source, title from signals"))
    assert text == {"github": "A title", "reddit": None}
    assert len(rows(with_store, "select excerpt from signals where source = 'github'")[0][0]) <= load.EXCERPT
    for name, table in TABLES.items():
        columns = ", ".join(f"[{c}]" for c in table.columns if c not in ("title", "excerpt") or name != "signals")
        assert rows(without, f"select {columns} from [{name}]") == rows(with_store, f"select {columns} from [{name}]")


def test_a_fault_leaves_the_old_file_as_it_was(data_folder: DataFolder, tmp_path: Path) -> None:
    out = pipeline.build(data_folder([coded(1)]), tmp_path / "signals.db").path
    before = sha256(out)
    with pytest.raises(FaultsError):
        pipeline.build(data_folder([coded(1), "{"]), out)
    assert sha256(out) == before
    assert [path.name for path in tmp_path.glob("*signals.db*")] == ["signals.db"]


def test_a_killed_build_leaves_the_old_file_as_it_was(data_folder: DataFolder, tmp_path: Path) -> None:
    small = data_folder([coded(1)])
    out = pipeline.build(small, tmp_path / "signals.db").path
    before = sha256(out)
    command = [sys.executable, "-m", "flywheel.cli", "--root", str(ROOT), "build", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".signals.db.*.part")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".signals.db.*.part")), "the build was to be killed while it wrote"
    assert sha256(out) == before
    pipeline.build(small, out)
    assert not list(tmp_path.glob(".signals.db.*")), "the next build sweeps what the killed one left"
    assert sha256(out) == before


def test_a_correction_wins_over_the_reading_and_is_a_reading_of_its_own(
    data_folder: DataFolder, tmp_path: Path
) -> None:
    reading = {
        "url": coded(1)["url"],
        "reading": 1,
        "coder": "A",
        "pain": True,
        "theme": "training-dynamics",
        "sure": "low",
    }
    correction = {
        "url": coded(1)["url"],
        "pain": True,
        "theme": "overfitting",
        "ask": "bad",
        "reason": "The loss is fine.",
    }
    dropped = {"url": coded(2)["url"], "pain": False, "why": "howto", "reason": "It is a tutorial."}
    folder = data_folder([coded(1), coded(2)], codings=[reading], corrections=[correction, dropped])
    out = pipeline.build(folder, tmp_path / "signals.db").path
    assert rows(out, "select id, theme, phase, ask, labelled_by from signals") == [
        ("gh.someone.tuner.1", "overfitting", "evaluate", "bad", "corrected")
    ]
    assert rows(out, "select id, verdict, why from screened") == [("gh.someone.tuner.2", "not_a_signal", "howto")]
    assert rows(out, "select post, reading, coder, theme from codings order by post, reading") == [
        ("gh.someone.tuner.1", 1, "A", "training-dynamics"),
        ("gh.someone.tuner.1", 2, "reader", "overfitting"),
        ("gh.someone.tuner.2", 1, "reader", None),
    ]


def test_a_tombstone_wins_over_every_other_file(data_folder: DataFolder, tmp_path: Path) -> None:
    coding = {"url": coded(1)["url"], "reading": 1, "coder": "A", "pain": True, "theme": "overfitting"}
    folder = data_folder(
        [coded(1), coded(2)],
        codings=[coding],
        corrections=[{"url": coded(1)["url"], "theme": "overfitting", "pain": True, "reason": "So I say."}],
        tombstones=[{"id": "gh.someone.tuner.1", "reason": "request"}],
    )
    out = pipeline.build(folder, tmp_path / "signals.db").path
    assert b"gh.someone.tuner.1" not in out.read_bytes()
    assert rows(out, "select id from signals") == [("gh.someone.tuner.2",)]


def test_a_copy_is_folded_and_told(data_folder: DataFolder, tmp_path: Path) -> None:
    pair = {"keep": coded(1)["url"], "drop": coded(2)["url"], "method": "exact", "similarity": 1.0}
    out = pipeline.build(data_folder([coded(1), coded(2)], duplicates=[pair]), tmp_path / "signals.db").path
    assert rows(out, "select id from signals") == [("gh.someone.tuner.1",)]
    assert rows(out, 'select "drop", keep, method from duplicates') == [
        ("gh.someone.tuner.2", "gh.someone.tuner.1", "exact")
    ]
    assert dict(rows(out, "select stage, posts from flow")) | {} == {
        "read": 2, "signal": 2, "distinct": 1, "themed": 1, "counted": 1,
    }  # fmt: skip


def test_hostile_text_that_may_stand_is_stored_as_it_is(data_folder: DataFolder, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> {{ 7*7 }} '; drop table signals; --"
    out = pipeline.build(data_folder([coded(1, gist=hostile)]), tmp_path / "signals.db").path
    assert rows(out, "select gist from signals") == [(hostile,)]


def machine_read(number: int, **fields: Any) -> dict[str, Any]:
    row = drawn(number)
    return {
        **{name: row[name] for name in ("url", "source", "community", "kind", "set", "frame", "thread", "seen")},
        "weight": 1.0, "month": "2023-05", "author": None, "place": "hub", "relevance": 0.9, "signal": True,
        "theme": "overfitting",
        "themes": {"overfitting": 0.7, "data-quality": 0.2, "speed-cost": 0.05}, "ask": "bad", "unsure": False,
        "model": "2026.1",
    } | fields  # fmt: skip


def test_machine_read_posts_feed_the_drill_and_no_share(data_folder: DataFolder, tmp_path: Path) -> None:
    read = [drawn(n) for n in range(40)]
    without = pipeline.build(data_folder(read), tmp_path / "without.db").path
    folder = data_folder(
        read,
        **{
            "derived/population": [
                machine_read(1, themes={"overfitting": 0.99}),
                machine_read(100),
                machine_read(101, signal=False),
                machine_read(102, unsure=True),
            ]
        },
    )
    out = pipeline.build(folder, tmp_path / "signals.db").path
    assert rows(
        out, "select id, theme, phase, ask, themes, confidence, gist from signals where labelled_by = 'machine'"
    ) == [
        ("hf.someone.model-2.100", "overfitting", "evaluate", "bad", '["overfitting", "data-quality"]', 0.7, None),
        ("hf.someone.model-4.102", None, None, None, "[]", None, None),
    ]
    assert rows(out, "select labelled_by from signals where id = 'hf.someone.model-1.1'") == [("coded",)]
    assert rows(out, "select posts from flow where stage = 'machine'") == [(2,)]
    for table in ("cells", "estimates"):
        assert rows(out, f"select * from {table}") == rows(without, f"select * from {table}")
