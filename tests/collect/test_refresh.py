"""`flywheel refresh` from end to end against the replay server: weeks that pass, sources that die, posts that are
deleted, runs that are killed. Whatever happened on the way, what is published is what an undisturbed run publishes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flywheel import changelog, pipeline, refresh
from flywheel.cli import main
from flywheel.collect.commands import Places
from flywheel.collect.runner import Options
from flywheel.collect.store import Store
from flywheel.refresh import Job, RefreshError
from flywheel.signal import signal_id
from tests.collect.conftest import NOW, Desk, answer, write_plan
from tests.collect.worlds import GitHubWorld, HackerNewsWorld, StackExchangeWorld, World
from tests.conftest import ROOT, DataFolder
from tests.posts import coded, drawn, write_lines
from tests.served import ask

WEEK = 7 * 86400
POSTS = 24
EVERY = 31 * 3600  # a new post each; some five a week and source
FIRST = int(NOW) - WEEK

TEXTS = (
    "I fine-tune a model with QLoRA on one GPU and get CUDA out of memory after step {n}. How can I make it fit?",
    "When I fine-tune with a learning rate of 2e-4 the loss becomes NaN at step {n}. Which setting should I change?",
    "After fine-tuning with LoRA my model number {n} repeats the same sentence and never stops. Why does it do that?",
    "My LoRA adapter {n} works in training, but after merging and converting the output differs. What is wrong?",
    "Version {n} of our picture viewer is out. It shows pictures quickly.",
    "I fine-tuned model {n} with SFT and do not know whether it is better than the base. Which metric should I use?",
)


class Weekly(World):
    """Posts come one by one while the clock goes on."""

    def text(self, n: int) -> str:
        return self.texts.get(n, TEXTS[n % len(TEXTS)].format(n=n))

    def made(self, n: int) -> int:
        return FIRST + n * EVERY

    def living(self) -> list[int]:
        return [n for n in range(1, POSTS + 1) if n not in self.gone and self.made(n) < self.replay.clock.wall - 3600]


class WeeklyGitHub(Weekly, GitHubWorld): ...


class WeeklyHackerNews(Weekly, HackerNewsWorld): ...


class WeeklyStackExchange(Weekly, StackExchangeWorld): ...


class Killed(BaseException):
    """Stands for a kill: nothing below catches it."""


def killer(*points: str) -> Callable[[str], None]:
    """Kills at each of the points, once."""
    left = list(points)

    def at(point: str) -> None:
        if point in left:
            left.remove(point)
            raise Killed(point)

    return at


SMOKE = refresh.smoke
STEPS = [step.name for step in refresh.STEPS]


class Office:
    """One project: three worlds, a data folder, a store and a published file, in a folder of its own."""

    def __init__(self, desk: Desk, folder: Path, read: Path) -> None:
        self.folder, self.desk = folder, desk
        self.worlds = [make(desk.replay) for make in (WeeklyGitHub, WeeklyHackerNews, WeeklyStackExchange)]
        self.data = folder / "data"
        shutil.copytree(read, self.data)
        entries: dict[str, Any] = {}
        for world in self.worlds:
            entries |= world.entry(pace=0)
        self.plan = write_plan(folder, entries, since="2026-11-10")
        self.out = folder / "signals.db"
        shutil.copy(ROOT / "CITATION.cff", folder)

    def job(self, version: str, options: Options | None = Options()) -> Job:  # noqa: B008 - frozen
        places = Places(self.folder / "store.db", self.data, self.plan, self.folder / "author.key")
        return Job(ROOT, places, ROOT / "data" / "tagger", self.out, self.out, version, options)

    def refresh(self, version: str, at: Callable[[str], None] | None = None) -> dict[str, Any]:
        return refresh.refresh(self.job(version), at=at or (lambda point: None))

    def until_done(self, version: str, at: Callable[[str], None]) -> tuple[dict[str, Any], int]:
        """Starts again after every kill. Gives the report and how many kills there were."""
        for kills in range(100):
            try:
                return self.refresh(version, at), kills
            except Killed:
                continue
        raise AssertionError("never done")

    def published(self) -> dict[str, bytes]:
        """Every published byte: the data and the database."""
        files = [path for path in self.data.rglob("*") if path.is_file() and path.suffix == ".jsonl"]
        files += [self.data / "site.yml", self.folder / "CITATION.cff", self.out]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}

    def data_version(self) -> str:
        """The version of the data, which every place tells alike."""
        site = yaml.safe_load((self.data / "site.yml").read_text())["version"]
        cited = yaml.safe_load((self.folder / "CITATION.cff").read_text())["version"]
        (built,) = self.query("select value from build_info where key = 'data_version'")
        (listed,) = self.query("select data_version from versions order by position desc limit 1")
        assert {site, cited, *built, *listed} == {site}
        return str(site)

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = self.data / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.out)) as db:
            return db.execute(sql).fetchall()

    def machine(self) -> dict[str, str | None]:
        """The theme of each machine-read signal, by id."""
        return dict(self.query("select id, theme from signals where labelled_by = 'machine'"))

    def pass_week(self) -> None:
        self.desk.clock.wall += WEEK


@pytest.fixture
def offices(desk: Desk, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Office]:
    """Makes projects that start alike. The site is not served but where a test asks for it."""
    monkeypatch.setattr(refresh, "smoke", lambda *given: {"/": ""})
    places = ("hf-hub-discussions", "localllama-archive", "openai-forum-titles")
    rows = [coded(n) for n in range(40)]
    # Three places of the population, so that there is a mean; one in four posts is past a run.
    themes = [("memory-hardware", None), ("training-dynamics", None), ("speed-cost", None), ("output-defects", "bad")]
    for k, archive in enumerate(places):
        for n in range(160):
            theme, question = themes[n % 4] if n % 20 else ("continual-updates", "next")
            asked = {"ask": question, "run": True} if question else {}
            rows.append(drawn(1000 * k + n, theme=theme, set=archive, weight=1.0, author=1000 * k + n, **asked))
    folder = data_folder(rows)
    read = desk.directory / "read"
    shutil.move(folder, read)
    start = desk.clock.wall

    def make(name: str) -> Office:
        desk.clock.wall = start
        desk.replay.fault = None
        (desk.directory / name).mkdir()
        return Office(desk, desk.directory / name, read)

    return make


def shipped_version() -> str:
    return str(yaml.safe_load((ROOT / "data" / "site.yml").read_text())["version"])


def dead(path: str) -> Callable[[int, Any], Any]:
    return lambda n, request: answer("down", 503) if request.path.startswith(path) else None


def test_two_weeks(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    first = office.refresh("2026-11-18")
    assert first["outcome"] == "published"
    assert first["data_version"] == office.data_version() == shipped_version()
    assert first["new"] is None  # nothing was published before: nothing to compare with
    rows = office.lines("derived/collected.jsonl")
    assert 0 < len(rows) == first["derived"]
    assert {row["source"] for row in rows} == {"github", "hackernews", "stackoverflow"}
    # No word of a post: the only free text of a row is its address.
    texts = {value for row in rows for value in row.values() if isinstance(value, str) and " " in value}
    assert texts == set()
    assert not any("viewer" in json.dumps(row) or "person" in json.dumps(row) for row in rows)
    ids, folded = office.machine(), {signal_id(row["drop"]) for row in office.lines("duplicates.jsonl")}
    assert set(ids) == {signal_id(row["url"]) for row in rows} - folded
    assert office.query("select count(*) from cells where theme is not null")[0][0] > 0
    shares = office.query("select * from estimates order by 1, 2, 3, 4, 5, 6, 7")

    assert office.refresh("2026-11-18b")["outcome"] == "unchanged"

    office.pass_week()
    second = office.refresh("2026-11-25")
    assert second["outcome"] == "published"
    assert second["new"] == len(office.machine()) - len(ids) > 0
    # Posts came: the second number grows, and the export of what was published takes it as it is.
    assert second["data_version"] == office.data_version() == changelog.following(shipped_version(), "minor")
    assert (second["gone"], second["relabelled"], second["moved"]) == (0, 0, [])
    assert second["read_by_machine"] < second["posts"]  # what did not change is not read again
    # Ids stay, and no machine-read row touches a share.
    assert ids.items() <= office.machine().items()
    assert office.query("select * from estimates order by 1, 2, 3, 4, 5, 6, 7") == shares
    assert {row["version"] for row in office.lines("history.jsonl")} == {"2026-11-18", "2026-11-25"}
    assert office.query("select version, position from versions order by 2") == [("2026-11-18", 1), ("2026-11-25", 2)]
    # What was published is what anyone builds from the data.
    built = pipeline.build(office.data, office.folder / "again.db")
    assert (office.folder / "again.db").read_bytes() == office.out.read_bytes()
    assert built.content_hash == second["content"]


def test_a_run_killed_at_every_step_ends_as_an_undisturbed_one(offices: Callable[[str], Office]) -> None:
    smooth, rough = offices("smooth"), offices("rough")
    smooth.refresh("2026-11-18")
    points = [f"{when} {name}" for name in STEPS for when in ("before", "within")] + ["before the end"]
    report, kills = rough.until_done("2026-11-18", killer(*points))
    assert (report["outcome"], kills) == ("published", len(points))
    assert rough.published() == smooth.published()
    left = sorted(path.name for path in (rough.folder / "store.db.refresh").iterdir())
    assert left == ["copies.db", "lock", "readings.db"]


@pytest.mark.slow
def test_a_run_killed_between_two_pages_goes_on(
    offices: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth, rough = offices("smooth"), offices("rough")
    smooth.desk.clock.wall = NOW
    smooth.refresh("2026-11-18")
    write_page, left = Store.write_page, [3]

    def dying(self: Store, *given: Any, **named: Any) -> Any:
        done = write_page(self, *given, **named)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return done

    monkeypatch.setattr(Store, "write_page", dying)
    rough.desk.clock.wall = NOW
    _, kills = rough.until_done("2026-11-18", lambda point: None)
    assert kills == 1
    assert rough.published() == smooth.published()


def test_a_dead_source_degrades_the_report_and_not_the_run(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    office.pass_week()
    office.desk.replay.fault = dead("/api/v1")
    report = office.refresh("2026-11-25")
    assert report["outcome"] == "published"
    assert report["sources"] == {"github": "complete", "hackernews": "not read", "stackexchange": "complete"}
    verdict = next(v for v in report["verdicts"] if v["check"] == "sources")
    assert verdict["level"] == "flag" and "hackernews: not read" in verdict["why"]
    assert ("hackernews", "not read") in office.query("select subject, verdict from changes where kind = 'source'")
    said = ask(office.out, ["/changes"])["/changes"].text
    assert "Not every source could be read" in said and "Hacker News (not read)" in said


@pytest.mark.slow
def test_what_a_dead_source_would_have_given_is_read_a_week_later(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    office.pass_week()
    office.desk.replay.fault = dead("/api/v1")
    office.refresh("2026-11-25")
    office.pass_week()
    office.desk.replay.fault = None
    office.refresh("2026-12-02")
    numbers = {int(row["url"].rpartition("=")[2]) - 1000 for row in office.lines("derived/collected.jsonl")
               if row["source"] == "hackernews"}  # fmt: skip
    asked = {n % len(TEXTS) for n in numbers}
    assert len(asked) >= 3 and 4 not in asked
    assert numbers == {n for n in office.worlds[1].living() if n % len(TEXTS) in asked}


def test_what_was_deleted_is_gone_everywhere(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    # One of them was read, and so was a comment in its thread; with the lines of other files that name them.
    read = office.worlds[0].url(1)
    rows = [coded(5001, url=read), drawn(5002, thread=read)]
    mate = rows[1]["url"]
    write_lines(office.data / "signals" / "found.jsonl", rows)
    said = {"relevance": 0.9, "train": 0.9, "evaluate": 0.05, "iterate": 0.05}
    write_lines(office.data / "predictions.jsonl", [{"url": row["url"], **said} for row in rows])
    office.refresh("2026-11-18")
    before = {row["url"] for row in office.lines("derived/collected.jsonl")} | {read, mate}
    shown = {id_ for (id_,) in office.query("select id from signals")}
    wave = {world.url(n) for world in office.worlds for n in (1, 2, 3)} | {mate}
    for world in office.worlds:
        world.gone |= {1, 2, 3}
    office.pass_week()
    report = office.refresh("2026-11-25")
    erased = {signal_id(url) for url in wave & before}
    assert report["outcome"] == "published"
    assert signal_id(mate) in erased
    assert report["tombstones"] == len(erased) > 3
    assert all(
        v["level"] == "holds" for v in report["verdicts"] if v["check"] in ("read posts", "machine-read signals")
    )
    assert report["gone"] == len(erased & shown) > 0
    assert {row["id"] for row in office.lines("tombstones.jsonl")} == erased
    kept = office.out.read_bytes() + b"".join(path.read_bytes() for path in office.data.rglob("*.jsonl")
                                              if path.name != "tombstones.jsonl")  # fmt: skip
    assert not any(url.encode() in kept for url in wave)
    with closing(sqlite3.connect(office.folder / "store.db.refresh" / "readings.db")) as db:
        assert not erased & {id_ for (id_,) in db.execute("select id from readings")}
    with closing(sqlite3.connect(office.folder / "store.db.refresh" / "copies.db")) as db:
        assert not wave & {id_ for (id_,) in db.execute("select id from posts")}


@pytest.mark.slow
def test_copies_are_folded_and_come_back_when_the_first_is_deleted(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    told = ("I fine-tune a model with QLoRA on one GPU and get CUDA out of memory after the first step, whatever batch "
            "size and sequence length I set, also with gradient checkpointing. How can I make it fit?")  # fmt: skip
    office.worlds[1].texts = {1: told, 2: told}
    office.refresh("2026-11-18")
    first, second = (office.worlds[1].url(n) for n in (1, 2))
    assert {"keep": first, "drop": second} in [
        {name: row[name] for name in ("keep", "drop")} for row in office.lines("duplicates.jsonl")
    ]
    urls = {url for (url,) in office.query("select url from signals")}
    assert first in urls and second not in urls
    office.worlds[1].gone.add(1)
    office.pass_week()
    office.refresh("2026-11-25")
    urls = {url for (url,) in office.query("select url from signals")}
    assert first not in urls and second in urls
    assert all(first not in row.values() for row in office.lines("duplicates.jsonl"))


@pytest.mark.slow
def test_a_lost_store_takes_nothing_with_it(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    rows = office.lines("derived/collected.jsonl")
    shutil.rmtree(office.folder / "store.db.refresh")
    for path in office.folder.glob("store.db*"):
        path.unlink()
    report = refresh.refresh(office.job("2026-11-25", options=None))
    assert report["outcome"] == "unchanged"
    assert office.lines("derived/collected.jsonl") == rows


def test_a_collapse_is_not_published(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    path = office.data / "signals" / "some.jsonl"
    whole = path.read_bytes()
    write_lines(path, whole.splitlines()[:-100])
    ((shown,), *_) = office.query("select url from signals where labelled_by = 'machine' and source = 'github'")
    office.worlds[0].gone.add(int(shown.rpartition("/")[2]))
    untouched = office.lines("history.jsonl"), office.data_version(), office.out.read_bytes()
    office.pass_week()
    report = office.refresh("2026-11-25")
    assert report["outcome"] == "unsound"
    said = {v["check"]: v for v in report["verdicts"]}
    assert said["read posts"]["level"] == "fails"
    assert "1 of" in said["deletions"]["why"] and "what is published still shows them" in said["deletions"]["why"]
    assert (office.lines("history.jsonl"), office.data_version(), office.out.read_bytes()) == untouched
    # Who was erased is so in the data at once.
    assert [row["id"] for row in office.lines("tombstones.jsonl")] == [signal_id(shown)]
    assert shown not in {row["url"] for row in office.lines("derived/collected.jsonl")}


@pytest.mark.slow
def test_a_collapse_that_is_meant_can_be_accepted(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    path = office.data / "signals" / "some.jsonl"
    whole = path.read_bytes()
    write_lines(path, whole.splitlines()[:-100])
    ((shown,), *_) = office.query("select url from signals where labelled_by = 'machine' and source = 'github'")
    office.worlds[0].gone.add(int(shown.rpartition("/")[2]))
    office.pass_week()
    assert office.refresh("2026-11-25")["outcome"] == "unsound"
    job = dataclasses.replace(office.job("2026-11-25"), accept=("read posts",))
    assert refresh.refresh(job)["outcome"] == "published"
    assert office.data_version() == changelog.following(shipped_version(), "minor")
    assert shown not in {url for (url,) in office.query("select url from signals")}
    assert office.query("select count(*) from signals") < [(len(whole.splitlines()),)]


@pytest.mark.slow
def test_a_collapse_that_is_mended_leaves_no_trace(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    published = office.published()
    path = office.data / "signals" / "some.jsonl"
    whole = path.read_bytes()
    write_lines(path, whole.splitlines()[:-100])
    office.pass_week()
    assert office.refresh("2026-11-25")["outcome"] == "unsound"
    path.write_bytes(whole)
    assert office.published() == published
    # The next run begins anew and finds all in order.
    assert office.refresh("2026-11-25")["outcome"] == "published"


def test_new_readings_move_shares_and_chance_is_no_news(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    path = office.data / "signals" / "some.jsonl"
    rows = office.lines("signals/some.jsonl")
    # A few new posts that split as the others do; then many that all tell the same.
    alike = [r | {"url": r["url"] + "1", "thread": r["thread"] + "1", "author": 90_000 + i}
             for i, r in enumerate(rows) if r["frame"] == "population" and i % 7 == 0]  # fmt: skip
    write_lines(path, [*rows, *alike])
    report = office.refresh("2026-11-25")
    assert report["new"] == len(alike) and report["relabelled"] == 0
    assert report["compared"] > 20 and report["moved"] == []
    said = ask(office.out, ["/changes"])["/changes"].text
    assert "none moved further than chance: that is no news" in said
    same = [drawn(50_000 + n, theme="overfitting", ask="bad", run=True, weight=1.0, author=50_000 + n)
            for n in range(120)]  # fmt: skip
    write_lines(path, [*rows, *alike, *same])
    report = office.refresh("2026-12-02")
    moved = {(move["measure"], move["subject"], move["place"]) for move in report["moved"]}
    assert {("of_100", "evaluate", "hub"), ("theme", "overfitting", "hub")} <= moved
    assert {place for _, _, place in moved} <= {"", "hub"}
    assert all(move["low"] <= move["change"] <= move["high"] for move in report["moved"])
    pages = ask(office.out, ["/changes", "/history/2026-11-18", "/history/2026-12-02", "/changes?version=2026-11-25"])
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "moved further than chance" in pages["/changes"].text
    # A figure that was quoted stands where it stood.
    (old,) = office.query("""select share from history where version = '2026-11-18' and measure = 'of_100'
        and subject = 'evaluate' and value = 'hub' order by window limit 1""")  # fmt: skip
    assert f"{100 * old[0]:.1f}" in pages["/history/2026-11-18"].text


def test_the_feed_and_pages_without_and_with_one_version(offices: Callable[[str], Office], tmp_path: Path) -> None:
    office = offices("one")
    pipeline.build(office.data, tmp_path / "none" / "signals.db")
    feed = "/signals/changes_feed.atom"
    none = ask(tmp_path / "none" / "signals.db", ["/changes", feed, "/changes.atom", "/history/2026-11-18"])
    assert "No version has been published yet" in none["/changes"].text
    assert "No version has been published yet" in none[feed].text
    assert none["/changes.atom"].headers["location"].startswith(feed)
    assert none["/history/2026-11-18"].status_code == 404
    office.refresh("2026-11-18")
    one = ask(office.out, ["/changes", feed, "/history/2026-11-18"])
    assert "is the first that was published, so there is nothing to compare it with" in one["/changes"].text
    assert "urn:tinker-flywheel:version:2026-11-18" in one[feed].text
    assert one["/history/2026-11-18"].status_code == 200


@pytest.mark.slow
def test_a_version_is_named_once_and_without_one_by_the_latest_month(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    office.refresh("2026-11-18")
    office.pass_week()
    with pytest.raises(RefreshError, match="2026-11-18 is published already"):
        office.refresh("2026-11-18")
    (office.folder / "store.db.refresh" / "run.json").unlink()
    report = refresh.refresh(Job(**{**office.job("").__dict__, "version": None}))
    assert report["version"] == "2025-03"
    office.pass_week()
    assert refresh.refresh(Job(**{**office.job("").__dict__, "version": None}))["version"] == "2025-03.2"


@pytest.mark.slow
def test_data_changed_by_hand_while_a_run_went_on_are_not_overwritten(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    with pytest.raises(Killed):
        office.refresh("2026-11-18", killer("before publish"))
    (office.data / "duplicates.jsonl").write_text(
        json.dumps({"keep": coded(1)["url"], "drop": coded(2)["url"], "method": "by-hand"}) + "\n"
    )
    with pytest.raises(RefreshError, match=r"duplicates\.jsonl was changed"):
        office.refresh("2026-11-18")
    (office.folder / "store.db.refresh" / "run.json").unlink()
    office.refresh("2026-11-18")
    assert office.lines("duplicates.jsonl")[0]["method"] == "by-hand"


def test_a_tombstone_that_came_in_meanwhile_stops_the_publication(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    with pytest.raises(Killed):
        office.refresh("2026-11-18", killer("before publish"))
    (office.data / "tombstones.jsonl").write_text('{"id": "gh.someone.tuner.3", "reason": "request"}\n')
    with pytest.raises(RefreshError, match=r"tombstones\.jsonl was changed"):
        office.refresh("2026-11-18")
    assert not office.out.exists()


def test_data_without_a_share_are_not_published(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    write_lines(office.data / "signals" / "some.jsonl", [coded(1)])
    with pytest.raises(RefreshError, match="no share can be given"):
        office.refresh("2026-11-18")


@pytest.mark.parametrize(("outcome", "code"), [("published", 0), ("unchanged", 0), ("unsound", refresh.EXIT_UNSOUND)])
def test_the_command_says_what_came_of_it(desk: Desk, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int) -> None:
    verdicts = [{"check": "tables", "level": "holds", "why": "well"}]
    counts = {"data_version": "1.0.0", "new": 3, "gone": 2, "relabelled": 1, "moved": [], "compared": 9}
    found = {"outcome": outcome, "version": "1", "content": "c0ffee", "verdicts": verdicts, **counts}
    jobs: list[Job] = []

    def run(job: Job, say: object) -> dict[str, Any]:
        jobs.append(job)
        return found

    monkeypatch.setattr(refresh, "refresh", run)
    result = CliRunner().invoke(main, ["--root", str(ROOT), "refresh", "--no-collect", "--store", "s.db",
                                       "--version", "2026-11-24", "--report", "report.json"])  # fmt: skip
    assert result.exit_code == code, result.output
    assert json.loads(Path("report.json").read_text()) == found
    assert "tables: well" in result.output and "0 of 9 shares moved beyond chance" in result.output
    assert (jobs[0].version, jobs[0].options, jobs[0].out) == ("2026-11-24", None, ROOT / "signals.db")


@pytest.mark.parametrize("version", ["../x", "v1", "", "1/2", "1" * 41, "1 2"])
def test_a_name_that_no_address_can_hold_is_refused(desk: Desk, version: str) -> None:
    result = CliRunner().invoke(main, ["--root", str(ROOT), "refresh", "--version", version])
    assert result.exit_code == 2 and "no version like" in result.output


@pytest.mark.slow
def test_readings_added_while_a_run_was_down_are_taken_in(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    with pytest.raises(Killed):
        office.refresh("2026-11-18", killer("before publish"))
    path = office.data / "signals" / "some.jsonl"
    path.write_text(path.read_text() + json.dumps(coded(777)) + "\n")
    asked = len(office.desk.replay.asked)
    office.refresh("2026-11-18")
    assert len(office.desk.replay.asked) == asked  # what was collected counts as done
    assert office.query("select count(*) from signals where id = 'gh.someone.tuner.777'") == [(1,)]


def test_two_at_once_are_one_too_many(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    other: list[str] = []

    def at(point: str) -> None:
        if point == "before classify":
            with pytest.raises(RefreshError, match="under way"):
                office.refresh("2026-11-18")
            other.append(point)
            raise Killed

    with pytest.raises(Killed):
        office.refresh("2026-11-18", at)
    assert other == ["before classify"]


def test_hostile_posts_reach_no_page_and_stop_nothing(offices: Callable[[str], Office]) -> None:
    office = offices("one")
    hostile = "<script>alert(1)</script> {{ 7*191 }} \u202e When I fine-tune with LoRA the loss becomes NaN. Why?"
    for world in office.worlds:
        world.texts = dict.fromkeys(range(1, POSTS), hostile)
    assert office.refresh("2026-11-18")["outcome"] == "published"
    blob = office.out.read_bytes() + (office.data / "derived" / "collected.jsonl").read_bytes()
    assert b"alert(1)" not in blob and b"7*191" not in blob


def told(**fields: Any) -> dict[str, Any]:
    whole = {"source": "github", "failed": "", "skipped": "", "asked": 3, "left_out": [], "windows": []}
    return {"sources": [whole | fields]}


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (told(windows=[{"verdict": "complete"}]), "complete"),
        (told(), "complete"),
        (told(windows=[{"verdict": "complete"}, {"verdict": "incomplete"}]), "partly read"),
        (told(windows=[{"verdict": "complete"}], skipped="stopped: no requests left"), "partly read"),
        (told(windows=[{"verdict": "complete"}], left_out=["discussions"]), "partly read"),
        (told(windows=[{"verdict": "error"}, {"verdict": "incomplete"}]), "not read"),
        (told(skipped="no_credentials", asked=0), "not read"),
        (told(failed="refused: 401", windows=[{"verdict": "complete"}]), "refused"),
    ],
)
def test_what_a_source_gave_is_one_word(report: dict[str, Any], verdict: str) -> None:
    assert refresh.source_verdicts(report) == {"github": verdict}


FOUR = ("2026-11-18", "2026-11-25", "2026-12-02", "2026-12-09")


def four_weeks(office: Office, points: Callable[[int], list[str]]) -> Iterator[dict[str, Any]]:
    """A quiet week, a week with a dead source, one with a wave of deletions, a quiet one."""
    office.desk.clock.wall = NOW
    for world in office.worlds:
        world.install()  # the offices share one server
    for week, version in enumerate(FOUR):
        office.desk.replay.fault = dead("/2.3") if week == 1 else None
        if week == 2:
            for world in office.worlds:
                world.gone |= {1, 2, 5, 6}
        report, _ = office.until_done(version, killer(*points(week)))
        yield report
        office.pass_week()


@pytest.mark.slow
def test_four_weeks_with_a_dead_source_a_wave_of_deletions_and_kills(
    offices: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "smoke", SMOKE)  # the site is served, each week
    smooth, again, rough = offices("smooth"), offices("again"), offices("rough")
    reports = list(four_weeks(smooth, lambda week: []))
    list(four_weeks(again, lambda week: []))
    points = [f"{when} {name}" for name in STEPS for when in ("before", "within")]
    list(four_weeks(rough, lambda week: points[week::4]))
    assert [report["outcome"] for report in reports] == ["published"] * 4
    assert again.published() == smooth.published()
    assert rough.published() == smooth.published()
    assert reports[1]["sources"]["stackexchange"] == "not read"
    assert reports[2]["tombstones"] >= reports[2]["gone"] > 0
    assert reports[3]["new"] > 0
    assert all(v["level"] == "holds" for v in reports[3]["verdicts"] if v["check"] in ("site", "read posts"))
    assert len({row["version"] for row in smooth.lines("history.jsonl")}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.5, 3.0, 4.5, 6.0, 8.0, 10.0])
def test_a_real_kill_at_any_moment_leaves_no_half_publication(offices: Callable[[str], Office], seconds: float) -> None:
    """The command itself, ended by SIGKILL, then started again."""
    smooth, rough = offices("smooth"), offices("rough")
    for office in (smooth, rough):
        office.desk.clock.wall = NOW
        with pytest.raises(Killed):  # collected, and nothing else
            office.refresh("2026-11-18", killer("before erase"))
        (office.folder / "store.db.refresh" / "run.json").unlink()
    command = [sys.executable, "-m", "flywheel.cli", "--root", str(ROOT), "refresh", "--no-collect", "--version"]
    command.append("2026-11-18")

    def run(office: Office, limit: float | None) -> int:
        where = ["--data", office.data, "--store", office.folder / "store.db", "--out", office.out]
        process = subprocess.Popen([*command, *map(str, where)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if limit:
            time.sleep(limit)
            process.kill()
        return process.wait()

    assert run(smooth, None) == 0
    run(rough, seconds)
    assert run(rough, None) == 0
    assert rough.published() == smooth.published()
