"""The ten checks of the source contracts, each by name, on hand-written answers."""

import json
import re
from itertools import pairwise
from typing import Any

from click.testing import CliRunner
from werkzeug import Request, Response

from flywheel.collect.commands import collect
from flywheel.collect.plan import read_plan
from flywheel.collect.runner import Options, Runner, SourceReport
from tests.collect.conftest import ASKED, Desk, answer, turns, write_plan
from tests.collect.worlds import START, WORLDS, DiscourseWorld, GitHubWorld, HackerNewsWorld, StackExchangeWorld


def run(desk: Desk, entry: dict[str, Any], options: Options | None = None) -> SourceReport:
    return desk.run(entry, options).sources[0]


def test_1_the_same_window_twice_writes_nothing_the_second_time(desk: Desk) -> None:
    for name, make in WORLDS.items():
        world = make(desk.replay)
        world.gone.add(2)
        run(desk, world.entry())
        with desk.store() as store:
            runner = Runner(store, desk.plan(world.entry()), {}, desk.clock, jitter=lambda: 0.0)
            before = (store.db.total_changes, store.db.execute("PRAGMA data_version").fetchone()[0])
            files = {p.name: p.read_bytes() for p in desk.directory.glob("store.db*") if p.suffix != ".db-shm"}
            report = runner.run(Options()).sources[0]
            assert report.asked > 0, name
            assert (store.db.total_changes, store.db.execute("PRAGMA data_version").fetchone()[0]) == before, name
            assert {p.name: p.read_bytes() for p in desk.directory.glob("store.db*") if p.suffix != ".db-shm"} == files


# The second half of check 1 is test_store.test_killed_between_pages_it_asks_for_the_next_page_and_none_twice.


def test_2_no_request_before_the_told_time_and_over_budget_it_ends_with_resume_after(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    told = [
        answer({"message": "API rate limit exceeded"}, 403, {"x-ratelimit-remaining": "0", "retry-after": "30"}),
        answer({"message": "You have triggered an abuse detection mechanism."}, 403),
        answer("<html>whoa there</html>", 429, {"retry-after": "45"}),
        answer({"message": "secondary rate limit"}, 429, {"retry-after": "9999"}),
    ]
    desk.replay.fault = lambda number, request: told[number - 1] if number <= 4 else None
    report = run(desk, world.entry())
    gaps = [b - a for a, b in pairwise(desk.replay.times())]
    # The second is told to wait without a number, for the second time in a row: 60 s, doubled.
    assert [round(gap) for gap in gaps] == [31, 121, 46]
    assert report.resume_after == "2026-11-18T13:56:38Z"
    result = CliRunner().invoke(collect, ["--plan", str(write_plan(desk.directory, world.entry()))])
    assert result.exit_code == 0, result.output


def test_2_an_empty_bucket_waits_for_its_reset_and_only_its_own_lane(desk: Desk) -> None:
    reset = int(desk.clock.wall) + 100
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
    found = {"total_count": 0, "items": [], "incomplete_results": False}
    desk.replay.on("/search/issues", lambda request: answer(found, headers=headers))
    desk.replay.on("/repos/o/r/issues", [])
    searches = [{"q": "fine-tuning", **ASKED}, {"q": "finetune lora", **ASKED}]
    entry = {"github": {"base_url": desk.replay.url, "searches": searches, "repositories": [{"name": "o/r", **ASKED}]}}
    run(desk, entry)
    first, second = desk.replay.times("/search")
    assert first < 5 and second - first >= 100
    assert all(at < 5 for at in desk.replay.times("/repos"))


def test_3_a_window_of_5562_hits_is_split_until_each_part_fits(desk: Desk) -> None:
    made = [START + n * 60 for n in range(5562)]
    asked: list[tuple[int, int]] = []

    def search(request: Request) -> Response:
        since, until = map(int, re.findall(r"\d+", request.args["numericFilters"]))
        inside = [t for t in made if since <= t < until]
        page, size = int(request.args["page"]), int(request.args["hitsPerPage"])
        if page * size >= 1000:
            return answer({"hits": [], "nbHits": 0, "nbPages": 0, "message": "you can only fetch the 1000 hits"})
        hits = [
            {"objectID": str(t), "created_at_i": t, "_tags": ["comment"], "comment_text": "fine-tuning"}
            for t in inside[page * size : (page + 1) * size][:1000]
        ]
        if len(inside) <= 1000:
            asked.append((since, until))
        return answer({"hits": hits, "nbHits": len(inside), "nbPages": -(-min(len(inside), 1000) // size)})

    entry = HackerNewsWorld(desk.replay).entry()
    desk.replay.on("/api/v1/search_by_date", search)
    report = run(desk, entry, Options(recheck=False))
    assert {w.verdict for w in report.windows} == {"complete"}
    assert len(desk.items()) == 5562
    asked.sort()
    assert all(a[1] == b[0] for a, b in pairwise(asked)), "a hole between the parts"


def test_3_a_page_with_a_message_is_never_accepted(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    capped = {"hits": [], "nbHits": 0, "nbPages": 0, "message": "you can only fetch the 1000 hits"}
    desk.replay.on("/api/v1/search_by_date", capped)
    report = run(desk, world.entry(), Options(recheck=False))
    assert len(desk.replay.asked) <= 31
    assert "complete" not in {w.verdict for w in report.windows}
    with desk.store() as store:
        assert store.covered("hackernews", "search:fine-tuning|(story,comment)|fine-?tun") == []


def test_3_a_total_that_lies_does_not_split_for_ever(desk: Desk) -> None:
    def search(request: Request) -> Response:
        hits = [{"objectID": "7", "created_at_i": START, "_tags": ["story"], "title": "fine-tuning"}]
        return answer({"hits": hits, "nbHits": 36823, "nbPages": 50})

    world = HackerNewsWorld(desk.replay)
    desk.replay.on("/api/v1/search_by_date", search)
    report = run(desk, world.entry(), Options(recheck=False))
    assert len(desk.replay.asked) < 150
    assert "complete" not in {w.verdict for w in report.windows}
    assert list(desk.items()) == ["7"]


def test_3_a_total_above_what_was_listed_is_incomplete(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    world.total_factor = 2.0
    report = run(desk, world.entry(), Options(recheck=False))
    assert [(w.verdict, w.reason) for w in report.windows] == [("incomplete", "7 of 14 hits")]


def test_3_hits_that_do_not_hold_the_words_are_left_out(desk: Desk) -> None:
    world = HackerNewsWorld(desk.replay)
    world.texts[4] = "I was fine tonight"
    assert run(desk, world.entry()).counts.unused == 1
    assert set(desk.items()) == world.all_ids() - {world.native(4)}


# Check 4 (Reddit) is in test_reddit.py.


def github_search(desk: Desk, *answers: Any, searches: int = 1) -> SourceReport:
    desk.replay.on("/search/issues", turns(*answers))
    asked = [{"q": f"fine-tuning {n}", **ASKED} for n in range(searches)]
    return run(desk, {"github": {"base_url": desk.replay.url, "searches": asked}}, Options(recheck=False))


def found(*numbers: int, total: int | None = None, incomplete: bool = False) -> dict[str, Any]:
    world = GitHubWorld.issue
    items = [world(_Stub(), n) for n in numbers]
    return {"total_count": len(items) if total is None else total, "incomplete_results": incomplete, "items": items}


class _Stub(GitHubWorld):
    def __init__(self) -> None:
        self.texts, self.gone = {}, set()


def test_5_incomplete_results_are_asked_again_and_then_halved(desk: Desk) -> None:
    report = github_search(desk, found(1, incomplete=True), found(1, 2))
    assert [w.verdict for w in report.windows] == ["complete"]
    assert len(desk.items()) == 2


def test_5_incomplete_results_that_stay_so_are_never_complete(desk: Desk) -> None:
    report = github_search(desk, found(1, incomplete=True))
    assert {w.verdict for w in report.windows} == {"incomplete"}
    assert len(desk.items()) == 1


def test_5_an_empty_list_is_confirmed_once(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    desk.replay.on("/repos/o/r/issues", turns([], [world.issue(n) for n in range(1, 8)]))
    assert [w.verdict for w in run(desk, world.entry()).windows] == ["complete"]
    assert set(desk.items()) == world.all_ids()


def test_5_a_moved_repository_is_followed_and_a_deleted_one_is_gone(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    moved = "https://api.github.com/repositories/7/issues"
    desk.replay.on("/repositories/7/issues", [world.issue(1)])
    desk.replay.on(
        "/repos/o/r/issues", answer({"message": "Moved Permanently", "url": moved}, 301, {"Location": moved})
    )
    assert [w.verdict for w in run(desk, world.entry()).windows] == ["complete"]
    assert set(desk.items()) == {world.native(1)}
    for status in (404, 410, 451):
        desk.replay.on("/repos/o/r/issues", answer({"message": "gone"}, status))
        desk.clock.wall += 86400
        report = run(desk, world.entry(), Options(recheck=False))
        assert [w.verdict for w in report.windows] == ["gone"]


def test_5_a_redirect_to_another_host_is_not_followed_with_our_token(desk: Desk) -> None:
    desk.environ["GITHUB_TOKEN"] = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    world = GitHubWorld(desk.replay)
    desk.replay.on("/repos/o/r/issues", answer("", 302, {"Location": "http://127.0.0.1:9/steal"}))
    report = run(desk, world.entry(), Options(recheck=False))
    assert [(w.verdict, "another host" in w.reason) for w in report.windows] == [("gone", True)]


def test_5_an_issue_transferred_is_known_under_its_new_address_only(desk: Desk) -> None:
    world = GitHubWorld(desk.replay)
    run(desk, world.entry())
    new = world.issue(5) | {"id": 9999, "html_url": "https://github.com/o/other/issues/1"}
    moved = "https://api.github.com/repositories/8/issues/1"
    desk.replay.on("/repos/o/r/issues/5", answer({"url": moved}, 301, {"Location": moved}))
    desk.replay.on("/repositories/8/issues/1", new)
    world.gone.add(5)
    desk.clock.wall += 6 * 86400
    report = desk.run(world.entry())
    assert report.erased == {"gh.o.r.5": "moved"}
    assert "issue:9999" in desk.items() and "issue:1005" not in desk.items()


def test_5_every_search_names_what_it_searches(desk: Desk) -> None:
    github_search(desk, found(), searches=2)
    queries = [seen.args["q"] for seen in desk.replay.asked]
    assert len(queries) == 2
    assert all("is:issue" in q and "in:title,body" in q and "created:" in q for q in queries)
    assert all(seen.args["sort"] == "created" for seen in desk.replay.asked)


def test_5_more_than_a_thousand_results_are_halved(desk: Desk) -> None:
    def search(request: Request) -> Response:
        since, until = re.findall(r"created:(\S+)\.\.(\S+)", request.args["q"])[0]
        wide = until[:10] != since[:10]
        return answer(found(1, total=1001 if wide else 1))

    desk.replay.on("/search/issues", search)
    entry = {"github": {"base_url": desk.replay.url, "searches": [{"q": "fine-tuning", **ASKED}]}}
    report = run(desk, entry, Options(recheck=False))
    assert len(report.windows) > 3 and {w.verdict for w in report.windows} <= {"complete", "incomplete"}


def discussion(n: int) -> dict[str, Any]:
    return {
        "id": f"D_{n}",
        "number": n,
        "url": f"https://github.com/o/r/discussions/{n}",
        "title": f"Discussion {n}",
        "body": "> quoted\n\nHow do I tune again?",
        "author": None,
        "createdAt": "2026-11-11T00:00:00Z",
        "updatedAt": "2026-11-12T00:00:00Z",
        "comments": {"totalCount": 2},
    }


def graphql(nodes: list[Any], **more: Any) -> dict[str, Any]:
    listing = {"totalCount": len(nodes), "nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
    return {"data": {"repository": {"discussions": listing}}, **more}


def test_5_discussions_need_a_token_and_wait_when_graphql_says_so(desk: Desk) -> None:
    entry = {
        "github": {"base_url": desk.replay.url, "repositories": [{"name": "o/r", "parts": ["discussions"], **ASKED}]}
    }
    report = run(desk, entry)
    assert report.left_out == ["discussions of o/r: no_credentials: they need GITHUB_TOKEN"]
    assert desk.replay.asked == [] and report.windows == []
    desk.environ["GITHUB_TOKEN"] = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    limited = {"errors": [{"type": "RATE_LIMIT", "message": "API rate limit exceeded"}]}
    too_much = {"errors": [{"message": "Resource limits for this query exceeded."}], "data": None}
    desk.replay.on(
        "/graphql", turns(answer(limited, headers={"retry-after": "50"}), too_much, graphql([discussion(1)]))
    )
    report = run(desk, entry)
    assert [w.verdict for w in report.windows] == ["complete"]
    assert desk.replay.times()[1] - desk.replay.times()[0] >= 51
    sizes = [json.loads(seen.body)["variables"]["first"] for seen in desk.replay.asked]
    assert sizes == [50, 50, 10]
    assert desk.items()["discussion:D_1"]["body"] == "How do I tune again?"


def test_6_no_address_ever_holds_a_key_and_backoff_delays_only_that_method(desk: Desk) -> None:
    desk.environ["STACKEXCHANGE_KEY"] = "a-key-of-stack-exchange-1"
    world = StackExchangeWorld(desk.replay)
    whole = world.question(1)
    desk.replay.on("/2.3/questions", turns({"items": [whole], "has_more": True, "backoff": 20}, {"items": [whole]}))
    desk.replay.on("/2.3/search/advanced", {"items": []})
    sites = [
        {"site": "stackoverflow", "tagged": "fine-tuning", **ASKED},
        {"site": "ai", "q": "fine-tuning", **ASKED},
    ]
    run(desk, {"stackexchange": {"base_url": desk.replay.url, "sites": sites}}, Options(recheck=False))
    first, second = desk.replay.times("/2.3/questions")
    assert second - first >= 21
    entry = {"stackexchange": {"base_url": desk.replay.url, "sites": sites[::-1]}}
    desk.replay.asked.clear()
    desk.replay.on("/2.3/search/advanced", turns({"items": [], "has_more": True, "backoff": 500}, {"items": []}))
    run(desk, entry, Options(since=None, recheck=False))
    assert not any("key=" in seen.url or "a-key-of" in seen.url for seen in desk.replay.asked)
    assert all(seen.headers["Authorization"] == "Bearer a-key-of-stack-exchange-1" for seen in desk.replay.asked)
    search, questions = desk.replay.times("/2.3/search"), desk.replay.times("/2.3/questions")
    assert search[1] - search[0] >= 501
    assert questions[0] - search[1] < 1


def test_6_texts_are_unescaped_once_and_attributed(desk: Desk) -> None:
    world = StackExchangeWorld(desk.replay)
    world.texts[1] = "Is &amp;lt;s&amp;gt; &lt;b&gt; learnt in fine-tuning?"
    run(desk, world.entry())
    row = desk.items()[world.native(1)]
    assert row["title"] == 'Title "1"'
    assert row["body"] == "Is &lt;s&gt; <b> learnt in fine-tuning?"
    assert row["license"] == "CC BY-SA 4.0"
    assert row["attribution"] == "Person 1 https://stackoverflow.com/users/1"


def test_7_a_forum_that_gives_the_same_posts_for_ever_ends(desk: Desk) -> None:
    world = DiscourseWorld(desk.replay)
    desk.replay.on("/posts.json", {"latest_posts": [world.post(n) | {"id": 5000 + n} for n in (7, 6, 5)]})
    report = run(desk, world.entry())
    assert len(desk.replay.asked) < 10
    assert [w.verdict for w in report.windows] == ["incomplete"]
    assert not any("post_number" in seen.url or "search" in seen.path for seen in desk.replay.asked)


def test_7_a_forum_with_holes_is_walked_through(desk: Desk) -> None:
    world = DiscourseWorld(desk.replay)
    high = world.post(7) | {"id": 400}
    old = world.post(1) | {"id": 90, "created_at": "2026-01-01T00:00:00Z"}

    def posts(request: Request) -> Response:
        before = int(request.args.get("before", 400))
        return answer({"latest_posts": [p for p in (high, old) if before - 50 < p["id"] <= before]})

    desk.replay.on("/posts.json", posts)
    report = run(desk, world.entry(), Options(recheck=False))
    assert [w.verdict for w in report.windows] == ["complete"]
    assert set(desk.items()) == {"forum.example.org:400", "forum.example.org:90"}


def test_7_quotes_do_not_count_as_the_authors_words(desk: Desk) -> None:
    world = DiscourseWorld(desk.replay)
    raw = '[quote="ann, post:1, topic:9"]\nTHEIR words\n[quote="bob"]inner[/quote]\n[/quote]\n\nMy own words'
    cooked = (
        '<aside class="quote"><blockquote><p>THEIR words</p></blockquote></aside><p>My own words</p>'
        '<aside class="onebox"><article>PREVIEW</article></aside>'
    )
    first, second = world.post(1) | {"raw": raw}, world.post(2) | {"cooked": cooked}
    del second["raw"]
    desk.replay.on("/posts.json", {"latest_posts": [second, first]})
    run(desk, world.entry(), Options(recheck=False))
    assert [row["body"] for row in desk.items().values()] == ["My own words", "My own words"]


# Check 8 is test_faults.test_what_fails_for_good_is_never_taken_for_an_empty_answer; 9 is test_recordings.py (with
# test_faults.test_a_broken_item_is_set_aside_and_its_page_goes_on); 10 is
# test_faults.test_no_secret_in_any_file_left_behind.


def test_the_plan_names_every_host(desk: Desk) -> None:
    """No address of a source stands in the code: with a plan that points here, nothing else is asked."""
    plan = read_plan(write_plan(desk.directory, {n: w(desk.replay).entry()[n] for n, w in WORLDS.items()}))
    with desk.store() as store:
        report = Runner(store, plan, {}, desk.clock, jitter=lambda: 0.0).run(Options())
    assert {s.source for s in report.sources if s.asked} == set(WORLDS)
    assert {seen.headers["Host"] for seen in desk.replay.asked} == {desk.replay.url.removeprefix("http://")}
