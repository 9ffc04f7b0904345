"""The commands as they are called: collect, hydrate, forget."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flywheel.collect.commands import COMMANDS
from flywheel.collect.record import Gone
from flywheel.signal import signal_id
from tests.collect.conftest import ASKED, Desk, answer, write_plan
from tests.collect.worlds import WORLDS, DiscourseWorld, GitHubWorld, HackerNewsWorld, StackExchangeWorld


def call(*arguments: str | Path) -> Result:
    command = next(c for c in COMMANDS if c.name == arguments[0])
    return CliRunner().invoke(command, [str(a) for a in arguments[1:]], catch_exceptions=False)


@pytest.fixture
def plan(desk: Desk) -> Path:
    """A plan of all four worlds in the working directory's data/, at a pace that does not make the tests wait."""
    entries: dict[str, Any] = {}
    for make in WORLDS.values():
        entries |= make(desk.replay).entry(pace=0)
    return write_plan(desk.directory, entries)


def test_collect_twice_then_forget(desk: Desk, plan: Path) -> None:
    result = call("collect", "--plan", plan, "--report", "run.json")
    assert result.exit_code == 0, result.output
    assert len(desk.items()) == 4 * 7
    report = json.loads(Path("run.json").read_text())
    assert {s["source"]: s["counts"]["new"] for s in report["sources"]} == dict.fromkeys(WORLDS, 7)
    assert "github: asked" in result.output and "new 7" in result.output

    again = call("collect", "--plan", plan)
    assert again.output.count("new 0, changed 0") == 4

    url = "http://github.com/o/r/issues/3/"
    assert call("forget", url).exit_code == 0
    assert "issue:1003" not in desk.items()
    line = json.loads(Path("data/tombstones.jsonl").read_text())
    assert line["id"] == signal_id("https://github.com/o/r/issues/3") and line["reason"] == "request"
    assert "0 new tombstones, 0 posts" in call("forget", url).output
    call("collect", "--plan", plan, "--since", "2026-11-10")
    assert "issue:1003" not in desk.items()


def test_forget_takes_the_lines_out_of_the_data(desk: Desk) -> None:
    post, thread = "https://github.com/o/r/issues/3", "https://discuss.example.org/t/a-title/9"
    lines: dict[str, list[dict[str, Any]]] = {
        "signals/some.jsonl": [
            {"url": post},
            {"url": "https://github.com/o/r/issues/30"},
            {"url": "x", "thread": thread},
        ],
        "codings.jsonl": [{"url": post, "reading": 1}, {"url": thread, "reading": 1}, {"url": "x", "reading": 1}],
        "predictions.jsonl": [{"url": post, "relevance": 0.9}],
        "duplicates.jsonl": [{"keep": "https://github.com/o/r/issues/4", "drop": post}],
    }
    for name, rows in lines.items():
        (Path("data") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("data") / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + "not JSON\n")
    result = call("forget", post, thread)
    assert result.exit_code == 0 and "7 lines of data gone" in result.output
    left = {name: (Path("data") / name).read_text() for name in lines}
    assert left == {
        "signals/some.jsonl": '{"url": "https://github.com/o/r/issues/30"}\nnot JSON\n',
        "codings.jsonl": "not JSON\n",
        "predictions.jsonl": "not JSON\n",
        "duplicates.jsonl": "not JSON\n",
    }
    # A post that goes with its thread has a tombstone of its own, as nothing else tells why it went.
    erased = {json.loads(line)["id"] for line in Path("data/tombstones.jsonl").read_text().splitlines()}
    assert erased == {signal_id(url) for url in (post, thread, "x")}
    assert "0 lines" in call("forget", post, thread).output


def test_a_tombstone_of_the_data_is_applied_to_the_store(desk: Desk, plan: Path) -> None:
    call("collect", "--plan", plan)
    Path("data/tombstones.jsonl").write_text('{"id": "gh.o.r.2", "reason": "request"}\n')
    call("collect", "--plan", plan, "--source", "hackernews")
    assert "issue:1002" not in desk.items()


def test_what_is_gone_at_the_source_gets_a_tombstone_in_the_data(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    path = write_plan(desk.directory, world.entry())
    call("collect", "--plan", path)
    world.gone.add(2)
    call("collect", "--plan", path, "--since", "2026-11-18")
    lines = [json.loads(line) for line in Path("data/tombstones.jsonl").read_text().splitlines()]
    assert [(line["id"], line["reason"]) for line in lines] == [("hn.1002", "deleted")]


def test_an_erasure_that_was_cut_short_still_gets_its_tombstone_in_the_data(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    path = write_plan(desk.directory, world.entry())
    (desk.directory / "data" / "signals").mkdir()
    (desk.directory / "data" / "signals" / "s.jsonl").write_text(json.dumps({"url": world.url(2)}) + "\n")
    call("collect", "--plan", path)
    with desk.store() as store:  # as if the run had been killed right after
        store.erase([Gone("deleted", world.native(2), source="hackernews")], "2026-11-18")
    call("collect", "--plan", path)
    assert json.loads(Path("data/tombstones.jsonl").read_text())["id"] == "hn.1002"


def test_a_dry_run_asks_and_writes_nothing(desk: Desk, plan: Path) -> None:
    before = sorted(p.name for p in desk.directory.rglob("*"))
    result = call("collect", "--plan", plan, "--dry-run")
    assert result.exit_code == 0
    assert "issues:o/r (population, public): 2026-11-10T00:00:00Z to" in result.output
    assert desk.replay.asked == []
    assert sorted(p.name for p in desk.directory.rglob("*")) == before


def test_a_dry_run_leaves_a_store_as_it_is(desk: Desk, plan: Path) -> None:
    call("collect", "--plan", plan)
    before = desk.store_path.read_bytes()
    asked = len(desk.replay.asked)
    assert "look up again: 7" in call("collect", "--plan", plan, "--dry-run").output
    assert desk.store_path.read_bytes() == before and len(desk.replay.asked) == asked


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["collect", "--since", "last week"], 2, "2026-11-16"),
        (["collect", "--budget", "0"], 2, "budget"),
        (["collect", "--source", "myspace"], 2, "myspace"),
        (["collect", "--plan", "absent.yml"], 1, "absent.yml"),
        (["forget", "not a url"], 1, "not the address"),
        (["forget"], 2, "URL"),
    ],
)
def test_a_wrong_call_is_one_clear_error(plan: Path, arguments: list[str], code: int, words: str) -> None:
    if "--plan" not in arguments and arguments[0] == "collect":
        arguments = [*arguments, "--plan", str(plan)]
    result = call(*arguments)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_store_that_is_none_is_one_clear_error(desk: Desk, plan: Path) -> None:
    Path("store.db").write_text("no database " * 100)
    result = call("collect", "--plan", plan)
    assert result.exit_code == 1 and "store.db: not a raw store" in result.output
    assert Path("store.db").read_text() == "no database " * 100


def test_a_refused_credential_ends_with_a_code_of_its_own_and_the_others_are_asked(desk: Desk, plan: Path) -> None:
    desk.replay.fault = lambda n, r: answer({"message": "Bad credentials"}, 401) if "/repos" in r.path else None
    result = call("collect", "--plan", plan)
    assert result.exit_code == 3
    assert "refused" in result.output and "Bad credentials" in result.output
    assert len(desk.items()) == 3 * 7


def test_hydrate_fetches_the_coded_posts_and_nothing_else(desk: Desk, plan: Path) -> None:
    forum = DiscourseWorld(desk.replay)
    worlds = [GitHubWorld(desk.replay), HackerNewsWorld(desk.replay), StackExchangeWorld(desk.replay), forum]
    desk.replay.on("/t/9.json", {"title": "Topic", "post_stream": {"posts": [forum.post(n) for n in (1, 2)]}})
    worlds[0].gone.add(4)
    urls = [world.url(n) for world in worlds for n in (1, 2)] + [worlds[0].url(4), "https://blog.example.org/x"]
    (desk.directory / "data" / "signals").mkdir()
    lines = "".join(json.dumps({"url": url}) + "\n" for url in urls)
    (desk.directory / "data" / "signals" / "some.jsonl").write_text(lines)
    result = call("hydrate", "--plan", plan)
    assert result.exit_code == 0, result.output
    assert {row["url"] for row in desk.items().values()} == set(urls[:8])
    assert "gh.o.r.4" in Path("data/tombstones.jsonl").read_text()
    asked = len(desk.replay.asked)
    assert "nothing to fetch" in call("hydrate", "--plan", plan).output
    assert len(desk.replay.asked) == asked


def coded(desk: Desk, *urls: str) -> None:
    (desk.directory / "data" / "signals").mkdir()
    lines = "".join(json.dumps({"url": url}) + "\n" for url in urls)
    (desk.directory / "data" / "signals" / "some.jsonl").write_text(lines)


def test_hydrate_from_an_archive_takes_the_coded_posts_alone(desk: Desk) -> None:
    coded(desk, "https://www.reddit.com/r/a/comments/abc1/", "https://github.com/o/r/issues/1", "https://x.org/gone")
    folder = desk.directory / "archive"
    folder.mkdir()
    posts = [
        {"id": f"abc{n}", "title": f"Post {n}", "selftext": "text", "created_utc": 1_700_000_000, "author": "ann",
         "permalink": f"/r/a/comments/abc{n}/post/", "subreddit": "a", "score": 1, "num_comments": 0}
        for n in range(1, 5)
    ]  # fmt: skip
    (folder / "reddit.jsonl").write_text("".join(json.dumps(p) + "\n" for p in posts) + "{broken\n")
    lines = [{"url": f"https://github.com/o/r/issues/{n}", "title": f"Issue {n}", "body": "b"} for n in (1, 2)]
    (folder / "lines.jsonl").write_text("".join(json.dumps(p) + "\n" for p in lines))
    result = call("hydrate", "--from", folder)
    assert result.exit_code == 0, result.output
    assert sorted(row["title"] for row in desk.items().values()) == ["Issue 1", "Post 1"]
    assert desk.table("quarantine") == [] and desk.replay.asked == []
    assert "new 2" in result.output and "1 of 3 posts are still without text" in result.output


def test_a_source_that_is_switched_off_is_named(desk: Desk) -> None:
    path = write_plan(desk.directory, GitHubWorld(desk.replay).entry(enabled=False))
    assert "github: skipped: switched off in the plan" in call("collect", "--plan", path).output
    assert desk.replay.asked == []


def test_the_report_names_every_window_that_is_not_complete(desk: Desk) -> None:
    entry = {"github": {"base_url": desk.replay.url, "repositories": [{"name": "o/none", **ASKED}]}}
    output = call("collect", "--plan", write_plan(desk.directory, entry)).output
    assert "1 gone" in output and "gone: issues:o/none 2026-11-10T00:00:00Z to" in output and "404" in output
