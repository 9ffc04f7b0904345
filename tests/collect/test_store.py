"""The raw store: pages and cursors in one transaction, erasing without a trace, and what must not be written."""

import hashlib
import os
import random
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.collect.record import Broken, Gone, Page, Record, Window
from flywheel.collect.runner import Options, Runner
from flywheel.collect.store import Found, Store, StoreError, author_key, eighth
from tests.collect.conftest import KEY, Desk
from tests.collect.worlds import WORLDS, GitHubWorld

DAY = "2026-11-18"
WINDOW = Window(0, 3600)
POST = Record("github", "issue:1", "https://github.com/o/r/issues/1", "issue", "o/r", "Title", "Body", author="ann")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db", KEY)


def put(store: Store, *records: Record, day: str = DAY, found: Found | None = None) -> str:
    counts, _ = store.write_page(Page(records), found or Found("github", "q", "neutral", "public"), day)
    return next(name for name in ("new", "changed", "same", "tombstoned") if getattr(counts, name))


def row(store: Store) -> dict[str, object]:
    return dict(store.db.execute("SELECT * FROM items").fetchone())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_page_twice_writes_nothing(store: Store) -> None:
    put(store, POST)
    before = store.db.total_changes
    assert put(store, POST) == "same"
    assert store.db.total_changes == before


def test_another_day_notes_that_it_was_seen(store: Store) -> None:
    put(store, POST)
    assert put(store, POST, day="2026-11-25") == "same"
    assert (row(store)["first_seen"], row(store)["last_seen"]) == (DAY, "2026-11-25")


def test_an_older_state_does_not_replace_a_newer_one(store: Store) -> None:
    put(store, replace(POST, body="new", edited="2026-11-17T00:00:00Z"))
    assert put(store, replace(POST, body="old", edited="2026-11-01T00:00:00Z")) == "same"
    assert row(store)["body"] == "new"


def test_an_archive_that_tells_no_time_of_change_does_not_replace_a_newer_state(store: Store) -> None:
    put(store, replace(POST, body="live", edited="2026-11-17T00:00:00Z"))
    assert put(store, replace(POST, body="dump"), found=Found(None, "import:x")) == "same"
    assert row(store)["body"] == "live"


def test_a_post_under_another_spelling_of_its_url_is_the_same(store: Store) -> None:
    forum = replace(POST, source="discourse", native_id="f.org:9", url="https://f.org/t/a-title/9", kind="post")
    put(store, forum)
    assert store.missing(["https://f.org/t/another-title/9"]) == []
    assert store.erase([Gone("request", url="https://f.org/t/another-title/9")], DAY) == 1


def test_a_post_that_a_dump_knows_by_its_url_is_one_row_whichever_came_first(store: Store) -> None:
    by_url = replace(POST, native_id=f"url:{POST.url}", body="dump")
    dump = Found(None, "import:x", "population")
    assert put(store, by_url, found=dump) == "new"
    assert put(store, POST) == "changed"
    assert (row(store)["native_id"], row(store)["body"]) == ("issue:1", "Body")
    assert put(store, by_url, found=dump) == "changed"
    assert row(store)["native_id"] == "issue:1"
    assert store.db.execute("SELECT count(*) FROM items").fetchone()[0] == 1
    put(store, replace(POST, native_id="issue:2", url="https://github.com/o/r/issues/2"))
    assert store.db.execute("SELECT count(*) FROM items").fetchone()[0] == 2


def test_the_broader_frame_stays(store: Store) -> None:
    put(store, POST, found=Found("github", "narrow", "targeted", "public"))
    put(store, POST, found=Found("github", "broad", "population", "public"))
    put(store, POST, found=Found("github", "narrow", "targeted", "public"))
    assert (row(store)["query"], row(store)["frame"]) == ("broad", "population")


def test_a_name_is_kept_only_as_a_keyed_hash(store: Store, tmp_path: Path) -> None:
    put(store, POST)
    assert row(store)["author_hash"] == store.author_hash("github", "Ann")
    assert row(store)["author_hash"] != Store(tmp_path / "b.db", b"another").author_hash("github", "ann")
    store.wipe()
    assert b"ann" not in store.path.read_bytes()


def test_the_file_is_private(store: Store) -> None:
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("gone", [Gone("deleted", "issue:1", source="github"), Gone("deleted", url=POST.url)])
def test_erased_text_is_nowhere_in_the_files(store: Store, gone: Gone) -> None:
    long = "unmistakable " * 4000  # over several pages of the file
    put(store, replace(POST, body=long))
    put(store, replace(POST, body=long + "edited"))
    _, erased = store.write_page(Page(gone=[gone]), Found(), DAY)
    assert erased == {"gh.o.r.1": "deleted"}
    for file in store.path.parent.iterdir():
        assert b"unmistakable" not in file.read_bytes(), file
    assert put(store, POST) == "tombstoned"


def test_a_post_never_held_is_remembered_as_gone(store: Store) -> None:
    store.erase([Gone("request", url=POST.url)], DAY)
    assert put(store, POST) == "tombstoned"


def test_what_is_gone_already_is_no_news(store: Store) -> None:
    put(store, POST)
    gone = Page(gone=[Gone("deleted", "issue:1", POST.url, "github")])
    assert store.write_page(gone, Found(), DAY)[1]
    before = store.db.total_changes
    counts, erased = store.write_page(gone, Found(), DAY)
    assert (counts.gone, counts.newly_gone, erased, store.db.total_changes) == (1, 0, {}, before)


def test_tombstones_of_the_data_are_applied(store: Store) -> None:
    put(store, POST)
    assert store.bury({"gh.o.r.1": "request", "hn.7": "deleted"}, DAY) == 1
    before = store.db.total_changes
    assert store.bury({"gh.o.r.1": "request", "hn.7": "deleted"}, DAY) == 0
    assert store.db.total_changes == before
    assert put(store, POST) == "tombstoned"


def test_erasing_takes_what_was_set_aside_too(store: Store) -> None:
    broken = Broken("title: missing", f'{{"html_url": "{POST.url}", "body": "unmistakable"}}', "1")
    store.write_page(Page(broken=[broken]), Found(), DAY, "github")
    store.erase([Gone("request", url=POST.url)], DAY)
    assert store.db.execute("SELECT count(*) FROM quarantine").fetchone()[0] == 0
    assert b"unmistakable" not in store.path.read_bytes()


def test_a_reader_that_holds_the_log_is_an_error_that_says_so(store: Store) -> None:
    put(store, POST)
    reader = Store(store.path, KEY)
    reader.db.execute("PRAGMA busy_timeout = 1")
    store.db.execute("PRAGMA busy_timeout = 1")
    reader.db.execute("BEGIN")
    reader.db.execute("SELECT * FROM items").fetchall()
    with pytest.raises(StoreError, match="could not be wiped"):
        store.erase([Gone("request", url=POST.url)], DAY)


def test_a_file_that_is_no_store_is_refused_untouched(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("hello, this is no database at all " * 50)
    before = digest(other)
    with pytest.raises(StoreError, match=r"other\.db"):
        Store(other, KEY)
    assert digest(other) == before


@pytest.mark.parametrize("verdict", ["incomplete", "error", "gone", "capped"])
def test_only_a_complete_window_counts_as_read(store: Store, verdict: str) -> None:
    store.open_window("github", "q", WINDOW)
    store.write_page(Page([POST], verdict=verdict), Found("github", "q"), DAY, "github", WINDOW)  # type: ignore[arg-type]
    assert store.covered("github", "q") == []
    store.open_window("github", "q", WINDOW)
    store.write_page(Page([POST]), Found("github", "q"), DAY, "github", WINDOW)
    assert store.covered("github", "q") == [WINDOW]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_what_was_read_is_the_union_of_complete_windows(spans: list[tuple[int, int]]) -> None:
    store = Store(Path(":memory:"), KEY)
    read = set()
    for since, length in spans:
        window = Window(since, since + length)
        store.open_window("s", "q", window)
        store.close_window("s", "q", window, "complete", "")
        read |= set(range(*window))
    joined = store.covered("s", "q")
    assert {t for w in joined for t in range(*w)} == read
    assert all(a.until < b.since for a, b in pairwise(joined))


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "author.key"
    first = author_key({}, file)
    assert author_key({}, file) == first and len(first) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert author_key({"FLYWHEEL_AUTHOR_KEY": "x"}, file) == b"x"
    file.write_text("short")
    with pytest.raises(StoreError, match=r"author\.key"):
        author_key({}, file)


def test_the_shares_of_the_recheck_are_even() -> None:
    shares = [sum(eighth(str(n)) == share for n in range(4000)) for share in range(8)]
    assert min(shares) > 400 and max(shares) < 600


# --- killed at every commit point ------------------------------------------------------------------------------


def dump(path: Path) -> list[str]:
    """Every row of every table but `runs`, whose reports tell of the runs themselves."""
    with Store(path, KEY) as store:
        tables = ("items", "windows", "quarantine", "tombstones", "resume")
        return [
            str(tuple(r)) for table in tables for r in store.db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
        ]


def killed_run(desk: Desk, path: Path, entry: dict[str, object], at: Callable[[int], bool]) -> bool:
    """A run in a process of its own that kills itself (SIGKILL) at a commit point; True if it lived to the end."""
    plan = desk.plan(entry)
    pid = os.fork()
    if pid == 0:
        points = 0

        def commit_point(name: str) -> None:
            nonlocal points
            points += 1
            if at(points):
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with Store(path, KEY, commit_point) as store:
                Runner(store, plan, {}, desk.clock, jitter=lambda: 0.0).run(Options())
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_killed_at_each_commit_point_it_ends_as_if_undisturbed(desk: Desk, name: str) -> None:
    world = WORLDS[name](desk.replay)
    world.gone.add(5)
    calm = desk.directory / "calm.db"
    assert killed_run(desk, calm, world.entry(), lambda point: False)
    points = 0
    while True:
        points += 1
        path = desk.directory / f"killed{points}.db"
        lived = killed_run(desk, path, world.entry(), lambda point, n=points: point == n)  # type: ignore[misc]
        assert killed_run(desk, path, world.entry(), lambda point: False)
        assert dump(path) == dump(calm), f"killed at commit point {points}"
        if lived:
            break
    assert points > 6


def test_killed_between_pages_it_asks_for_the_next_page_and_none_twice(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    path = desk.directory / "killed.db"
    # Commit points: the window (2), the first page (2), before the second page.
    assert not killed_run(desk, path, world.entry(), lambda point: point == 4)
    first = len(desk.replay.asked)
    assert first == 1
    assert killed_run(desk, path, world.entry(), lambda point: False)
    urls = [seen.url for seen in desk.replay.asked if seen.path == "/repos/o/r/issues"]
    assert len(urls) == len(set(urls)) == 4


def test_two_stores_of_the_same_run_are_alike(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    a, b = desk.directory / "a.db", desk.directory / "b.db"
    for path in (a, b):
        killed_run(desk, path, world.entry(), lambda point: False)
    assert dump(a) == dump(b)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_killed_at_random_moments_it_ends_as_if_undisturbed(desk: Desk, name: str) -> None:
    """75 kills a source, at moments a commit point does not choose; the store is compared whenever a run survives."""
    world = WORLDS[name](desk.replay)
    world.gone.add(5)
    plan = desk.plan(world.entry())
    calm = desk.directory / "calm.db"
    assert killed_run(desk, calm, world.entry(), lambda point: False)
    chance = random.Random(name)
    started = time.monotonic()
    kills = compared = 0
    path = desk.directory / "killed.db"
    while kills < 75:
        pid = os.fork()
        if pid == 0:
            try:
                with Store(path, KEY) as store:
                    Runner(store, plan, {}, desk.clock, jitter=lambda: 0.0).run(Options())
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0, 0.12))
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
            kills += 1
        elif path.exists():
            assert dump(path) == dump(calm), f"after {kills} kills"
            compared += 1
            for file in desk.directory.glob("killed.db*"):
                file.unlink()
        assert time.monotonic() - started < 300
    assert killed_run(desk, path, world.entry(), lambda point: False)
    assert dump(path) == dump(calm)
    assert compared >= 5
