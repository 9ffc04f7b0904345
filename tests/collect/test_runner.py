"""What a run asks: windows, gaps, overlap, the re-check; and what its report says."""

from dataclasses import astuple
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.collect.record import Page, Record, Window, seconds_of
from flywheel.collect.report import as_text
from flywheel.collect.runner import Options, Runner, _gaps
from flywheel.collect.store import Found, eighth
from tests.collect.conftest import ASKED, Desk, answer
from tests.collect.worlds import WORLDS, GitHubWorld, HackerNewsWorld

WINDOWS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda t: Window(t[0], t[0] + t[1])))


@given(WINDOWS, st.integers(0, 40), st.integers(1, 40))
@settings(deadline=None)
def test_gaps_are_what_no_window_covers(covered: list[Window], since: int, length: int) -> None:
    whole = Window(since, since + length)
    gaps = list(_gaps(whole, covered))
    read = {t for w in covered for t in range(*w)}
    assert [t for g in gaps for t in range(*g)] == [t for t in range(*whole) if t not in read]


def asked_since(desk: Desk) -> list[str]:
    return [seen.args["since"] for seen in desk.replay.asked if "since" in seen.args and "page" not in seen.args]


def run(desk: Desk, entry: dict[str, Any], options: Options | None = None) -> Any:
    return desk.run(entry, options or Options(recheck=False)).sources[0]


def test_a_later_run_reaches_back_by_the_overlap(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry())
    desk.clock.wall += 7 * 86400
    run(desk, world.entry())
    # The first run ended at 10:00 of the 18th; two days before that the second one begins.
    assert asked_since(desk)[0] == "2026-11-10T00:00:00Z"
    assert asked_since(desk)[-1] == "2026-11-16T10:00:00Z"
    with desk.store() as store:
        assert store.covered("github", "issues:o/r") == [
            Window(seconds_of("2026-11-10T00:00:00+00:00"), seconds_of("2026-11-25T10:00:00+00:00"))
        ]


def test_a_post_that_the_index_shows_late_is_still_found(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    desk.clock.wall = world.made(8)
    world.gone.add(7)  # not in the index yet
    run(desk, world.entry())
    world.gone.clear()
    desk.clock.wall += 40 * 3600
    run(desk, world.entry())
    assert world.native(7) in desk.items()


def test_what_is_incomplete_is_asked_again_from_its_start(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    desk.replay.fault = lambda n, r: answer("", 500) if n > 1 else None
    assert run(desk, world.entry()).windows[0].verdict == "incomplete"
    desk.replay.fault = None
    desk.replay.asked.clear()
    desk.clock.wall += 86400
    assert run(desk, world.entry()).windows[0].verdict == "complete"
    assert asked_since(desk)[0] == "2026-11-10T00:00:00Z"
    assert [w["verdict"] for w in desk.table("windows")] == ["complete"]


def test_since_reads_again_from_that_day_on(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry())
    desk.replay.asked.clear()
    report = run(desk, world.entry(), Options(since=date(2026, 11, 11), recheck=False))
    assert asked_since(desk) == ["2026-11-11T00:00:00Z"]
    assert report.counts.same == 7 and report.counts.new == 0


def test_since_before_all_that_was_read_widens_what_is_covered(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry())
    run(desk, world.entry(), Options(since=date(2026, 1, 1), recheck=False))
    with desk.store() as store:
        [window] = store.covered("github", "issues:o/r")
    assert window.since == seconds_of("2026-01-01T00:00:00+00:00")


def test_a_clock_before_the_plans_start_asks_nothing(desk: Desk) -> None:
    desk.clock.wall = float(seconds_of("2026-01-01T00:00:00+00:00"))
    report = run(desk, GitHubWorld(desk.replay).entry())
    assert (report.asked, report.windows) == (0, [])


def old_post(number: int) -> Record:
    url = f"https://github.com/o/r/issues/{number}"
    return Record("github", f"issue:{number}", url, "issue", "o/r", "Title", created="2020-01-01T00:00:00Z")


def test_the_recheck_takes_the_young_and_an_eighth_of_the_old(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    young = old_post(9001)
    with desk.store() as store:
        store.write_page(Page([old_post(n) for n in range(2000, 2160)]), Found("github", "q"), "2026-01-01")
        store.write_page(Page([young]), Found("github", "q"), "2026-11-01")
        runner = Runner(store, desk.plan(world.entry()), {}, desk.clock, jitter=lambda: 0.0)
        lines = Runner.preview(runner.plan, desk.store_path, Options(), desk.clock)
        share = int(desk.clock.now() // (7 * 86400)) % 8
        expected = {f"issue:{n}" for n in range(2000, 2160) if eighth(f"issue:{n}") == share} | {"issue:9001"}
    assert f"  look up again: {len(expected)}" in lines
    assert 5 < len(expected) < 60
    desk.run(world.entry())
    looked_up = {
        seen.path.rpartition("/")[2] for seen in desk.replay.asked if seen.path.startswith("/repos/o/r/issues/")
    }
    assert looked_up == {native.partition(":")[2] for native in expected}


def test_over_eight_weeks_every_old_post_is_looked_up(desk: Desk) -> None:
    week = int(desk.clock.now() // (7 * 86400))
    assert {(week + n) % 8 for n in range(8)} == set(range(8))
    assert {eighth(str(n)) for n in range(200)} == set(range(8))


def test_with_a_token_the_recheck_asks_a_hundred_at_a_time(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry())
    desk.environ["GITHUB_TOKEN"] = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    world.gone.add(5)
    desk.replay.on("/graphql", lambda r: {"data": {"nodes": [{"id": f"I_{n}"} for n in world.living()] + [None]}})
    desk.replay.asked.clear()
    desk.clock.wall += 6 * 86400
    report = run(desk, world.entry(), Options())
    assert [p for p in desk.replay.paths() if p != "/repos/o/r/issues"] == ["/graphql", "/repos/o/r/issues/5"]
    assert report.counts.gone == 1 and report.rechecked == 7
    assert {row["last_checked"] for row in desk.items().values()} == {"2026-11-24"}


def test_one_source_that_fails_does_not_keep_the_next_from_being_asked(desk: Desk) -> None:
    entries: dict[str, Any] = {}
    for make in WORLDS.values():
        entries |= make(desk.replay).entry(pace=0)
    desk.replay.fault = lambda n, r: answer("", 401) if r.path.startswith("/2.3") else None
    report = desk.run(entries)
    assert {s.source: s.counts.new for s in report.sources} == dict.fromkeys(WORLDS, 7) | {"stackexchange": 0}
    text = as_text(report)
    assert "stackexchange: asked 1" in text and "refused" in text


def test_the_counts_of_a_report_add_up(desk: Desk) -> None:
    for make in WORLDS.values():
        world = make(desk.replay)
        world.texts[2] = ""
        c = run(desk, world.entry(), Options()).counts
        assert c.got == c.new + c.changed + c.same + c.gone + c.quarantined + c.unused + c.tombstoned, world.name
        assert min(astuple(c)) >= 0


def test_a_run_is_kept_only_where_it_brought_news(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry(), Options())
    run(desk, world.entry(), Options())
    assert len(desk.table("runs")) == 1


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_post_found_twice_is_one_row(desk: Desk, name: str) -> None:
    world = WORLDS[name](desk.replay)
    entry = world.entry()
    [settings_] = entry.values()
    for key in ("repositories", "searches", "sites"):
        if key in settings_ and name != "github":
            twin = dict(settings_[key][0])
            twin |= {"tagged": "other"} if name == "stackexchange" else {"q": "finetuning"}
            settings_[key].append(twin)
    run(desk, entry)
    assert len(desk.items()) == 7
    assert {row["frame"] for row in desk.items().values()} == {ASKED["frame"]}


def test_progress_ends_where_all_that_is_known_is_done(desk: Desk) -> None:
    told: list[tuple[str, int, int]] = []
    entries: dict[str, Any] = {}
    for make in WORLDS.values():
        entries |= make(desk.replay).entry(pace=0)
    with desk.store() as store:
        plan = desk.plan(entries)
        progress = lambda *step: told.append(step)  # noqa: E731
        Runner(store, plan, {}, desk.clock, progress, lambda: 0.0).run(Options(recheck=False))
    last = {source: (done, known) for source, done, known in told}
    assert set(last) == set(WORLDS)
    assert all(done == known > 0 for done, known in last.values())
