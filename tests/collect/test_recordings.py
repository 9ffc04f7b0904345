"""Real answers, recorded by others, replayed from where they lie. None is copied here: of the records they give, only
counts and a digest are kept (`golden.json`); `FLYWHEEL_GOLDEN=write` renews them after a wanted change."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect.border import Crossing, cross
from flywheel.collect.client import Client, classify
from flywheel.collect.plan import source_named
from flywheel.collect.record import Wanted
from flywheel.collect.runner import Options
from flywheel.collect.sources import discourse, github, hackernews, stackexchange
from tests.collect.conftest import ASKED, FIXTURES, Desk, answer, recording

GOLDEN = Path(__file__).with_name("golden.json")
FORUM = discourse.Forum(base_url="https://forum.example.org", **ASKED)


def bodies(name: str) -> list[Any]:
    """The parsed bodies of a file, in order."""
    data = recording(name)
    if not name.endswith(".http.json"):
        return [data]
    found = []
    for exchange in data["exchanges"]:
        with suppress(ValueError):  # some were recorded for being no JSON
            found.append(json.loads(exchange["response"]["body"]))
    return found


def discourse_posts(items: list[Any]) -> Crossing:
    return cross(items, discourse.Post, lambda p: discourse.from_post(p, FORUM))


def listed(name: str, key: str | None, convert: Callable[[list[Any]], Crossing]) -> Crossing:
    total = Crossing()
    for body in bodies(name):
        items = body if isinstance(body, list) else body.get(key or "", [])
        part = convert(items)
        total.records += part.records
        total.gone += part.gone
        total.broken += part.broken
        total.unused += part.unused
    return total


def stackoverflow(items: list[Any]) -> Crossing:
    return stackexchange.questions(items, "stackoverflow.com")


CONVERTED: Mapping[str, tuple[str | None, Callable[[list[Any]], Crossing]]] = {
    "github/issues_list_pages.http.json": (None, github.issues),
    "github/search_issues.http.json": ("items", github.issues),
    "github/perceval_issues.json": (None, github.issues),
    "github/issue_comments.http.json": (None, lambda items: cross(items, github.Comment, github.from_comment)),
    "github/issue_comments_since.http.json": (None, lambda items: cross(items, github.Comment, github.from_comment)),
    "hackernews/algolia_search_by_date.json": (
        "hits",
        lambda items: cross(items, hackernews.Hit, hackernews.from_hit, "objectID"),
    ),
    "stackexchange/questions_page_1.json": ("items", stackoverflow),
    "stackexchange/questions_page_2.json": ("items", stackoverflow),
    "stackexchange/question_single.json": ("items", stackoverflow),
    "stackexchange/questions_activity_2020.json": ("items", stackoverflow),
    "discourse/live2026_posts.json": ("latest_posts", discourse_posts),
    "discourse/discourse_api_posts_latest.json": ("latest_posts", discourse_posts),
    "discourse/discourse_api_posts_before.json": ("latest_posts", discourse_posts),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_9_a_recorded_answer_gives_the_same_records_as_ever(name: str) -> None:
    key, convert = CONVERTED[name]
    crossing = listed(name, key, convert)
    rows = [astuple(record) for record in crossing.records]
    found = {
        "records": len(rows),
        "gone": len(crossing.gone),
        "unused": crossing.unused,
        "broken": sorted({b.reason for b in crossing.broken}),
        "digest": hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16],
    }
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("FLYWHEEL_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(golden | {name: found}, indent=1, sort_keys=True) + "\n")
        return
    assert found == golden.get(name, found)
    assert found["records"] or found["broken"] or found["unused"]


# What each recorded answer that is no plain success means.
MEANING = {
    "github/error_401.http.json": "auth",
    "github/error_403_primary_rate_limit.http.json": "wait",
    "github/error_403_secondary_abuse.http.json": "wait",
    "github/error_secondary_2023.http.json": "wait",
    "github/error_404.http.json": "gone",
    "github/error_422.http.json": "caller",
    "github/error_422_search_needs_is.http.json": "caller",
    "github/error_502_forever.http.json": "transient",
    "github/error_503_html_as_json.http.json": "transient",
    "github/redirect_301_moved.http.json": "moved",
    "github/conditional_304.http.json": "ok",
    "stackexchange/error_throttle_ip.http.json": "wait",
    "stackexchange/error_backoff_violation.http.json": "wait",
    "stackexchange/error_key_required.http.json": "auth",
    "discourse/error_429_rate_limit.http.json": "wait",
    "lemmy/error_rate_limit.http.json": "wait",
    "reddit/error_429_retry_after.http.json": "wait",
    "reddit/error_429_no_retry_after.http.json": "wait",
    "reddit/error_500.http.json": "transient",
    "reddit/error_502.http.json": "transient",
    "reddit/error_503.http.json": "transient",
    "reddit/error_504.http.json": "transient",
    "reddit/error_520_cloudflare.http.json": "transient",
    "reddit/error_522_cloudflare.http.json": "transient",
    "reddit/error_bad_json.http.json": "transient",
    "reddit/zero_byte_200.http.json": "transient",
    "reddit/error_401_invalid_token.http.json": "auth",
    "reddit/error_403.http.json": "auth",
    "reddit/error_404.http.json": "gone",
    "reddit/error_451.http.json": "gone",
    "hackernews/algolia_past_cap.http.json": "ok",
}
TOLD = {
    "github/error_403_secondary_abuse.http.json": 60,
    "stackexchange/error_throttle_ip.http.json": 17524,
    "discourse/error_429_rate_limit.http.json": 39,
}


@pytest.mark.parametrize("name", MEANING)
def test_a_recorded_fault_means_what_it_should(name: str) -> None:
    if name.startswith("reddit/error_401"):
        exchange = next(e for e in recording(name)["exchanges"] if e["response"]["status"] == 401)
    else:
        exchanges = recording(name)["exchanges"]
        exchange = next((e for e in exchanges if e["response"]["status"] >= 300), exchanges[-1])
    response = exchange["response"]
    outcome = classify(response["status"], response["headers"], response["body"].encode(), 1.8e9)
    assert outcome.meaning == MEANING[name], outcome
    if name in TOLD:
        assert outcome.wait == TOLD[name]


def replayed(name: str) -> Callable[[Request], Response]:
    """A handler that gives the exchanges of a file one after the other, the last for ever."""
    if not name.endswith(".http.json"):
        body = recording(name)
        return lambda request: answer(body)
    exchanges = list(recording(name)["exchanges"])

    def handler(request: Request) -> Response:
        response = (exchanges.pop(0) if len(exchanges) > 1 else exchanges[0])["response"]
        headers = {k: v for k, v in response["headers"].items() if k.lower() not in ("content-type", "date", "status")}
        return answer(response["body"], response["status"], headers)

    return handler


def run(desk: Desk, entry: dict[str, Any]) -> Any:
    return desk.run(entry, Options(recheck=False, budget=60), since="2010-01-01").sources[0]


def test_a_recorded_issue_list_is_walked_by_its_links(desk: Desk) -> None:
    desk.replay.on("/repos/o/r/issues", replayed("github/issues_list_pages.http.json"))
    desk.replay.on("/repositories/*", replayed("github/issues_list_pages.http.json"))
    desk.replay.on("/repos/*", replayed("github/issues_list_pages.http.json"))
    report = run(desk, {"github": {"base_url": desk.replay.url, "repositories": [{"name": "o/r", **ASKED}]}})
    assert report.counts.new >= 16
    assert report.counts.got == report.counts.new + report.counts.same + report.counts.unused + report.counts.changed
    assert all(seen.headers["Host"] in desk.replay.url for seen in desk.replay.asked)


def test_a_recorded_search_past_its_cap_is_halved(desk: Desk) -> None:
    desk.replay.on("/search/issues", replayed("github/search_issues.http.json"))
    report = run(desk, {"github": {"base_url": desk.replay.url, "searches": [{"q": "compile", **ASKED}]}})
    # The recorded total is 29,512, whatever the window: never complete, and not asked for ever.
    assert report.asked <= 60
    assert "complete" not in {w.verdict for w in report.windows}


def test_a_recorded_incomplete_search_is_not_complete(desk: Desk) -> None:
    desk.replay.on("/search/issues", replayed("github/search_incomplete_results.http.json"))
    report = run(desk, {"github": {"base_url": desk.replay.url, "searches": [{"q": "black", **ASKED}]}})
    assert "complete" not in {w.verdict for w in report.windows}


def test_a_recorded_empty_search_is_complete(desk: Desk) -> None:
    desk.replay.on("/search/issues", replayed("github/search_empty.http.json"))
    report = run(desk, {"github": {"base_url": desk.replay.url, "searches": [{"q": "nothing", **ASKED}]}})
    assert [w.verdict for w in report.windows] == ["complete"]
    assert desk.items() == {}


def test_a_recorded_page_of_discussions_without_times_is_set_aside(desk: Desk) -> None:
    """It was recorded with other fields than those we ask for: each item is quarantined, none invented."""
    desk.environ["GITHUB_TOKEN"] = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    desk.replay.on("/graphql", replayed("github/discussions_graphql_page.http.json"))
    repository = {"name": "PyGithub/PyGithub", "parts": ["discussions"], **ASKED}
    report = run(desk, {"github": {"base_url": desk.replay.url, "repositories": [repository]}})
    assert report.counts.quarantined == report.counts.got == 65
    assert desk.items() == {}


def test_a_recorded_discussion_becomes_a_record() -> None:
    [body] = bodies("github/discussion_graphql.http.json")
    crossing = cross([body["data"]["node"]], github.Discussion, github.from_discussion)
    [record] = crossing.records
    assert (record.url, record.kind) == ("https://github.com/PyGithub/PyGithub/discussions/2480", "discussion")
    assert (record.created, record.n_replies) == ("2023-03-29T17:06:04Z", 1)


def test_recorded_hits_that_do_not_hold_the_word_are_left_out(desk: Desk) -> None:
    desk.replay.on("/api/v1/search_by_date", replayed("hackernews/algolia_search_by_date.json"))
    search = {"q": "nodejs", "match": r"nodejs|node\.js", **ASKED}
    entry = {"hackernews": {"base_url": desk.replay.url, "items_url": desk.replay.url, "pace": 0, "searches": [search]}}
    report = run(desk, entry)
    assert 0 < len(desk.items()) < 20
    assert "complete" not in {w.verdict for w in report.windows}, "36,823 hits were claimed and 20 given"


def test_recorded_firebase_items_are_read() -> None:
    items = [entry["body"] for entry in recording("hackernews/firebase_items.json")["items"]]
    items = [item for item in items if isinstance(item, dict) and "id" in item and "type" in item]
    crossing = cross(items, hackernews.FirebaseItem, hackernews.from_firebase)
    assert {r.kind for r in crossing.records} == {"post", "comment"}
    assert crossing.broken == []
    assert crossing.unused, "jobs and polls are of no use"


def test_recorded_questions_are_paged_to_the_end(desk: Desk) -> None:
    pages = [recording(f"stackexchange/questions_page_{n}.json") for n in (1, 2)]
    desk.replay.on("/2.3/questions", lambda request: answer(pages[min(int(request.args["page"]), 2) - 1]))
    site = {"site": "stackoverflow", "tagged": "python", **ASKED}
    report = run(desk, {"stackexchange": {"base_url": desk.replay.url, "sites": [site]}})
    assert [w.verdict for w in report.windows] == ["complete"]
    c = report.counts
    assert c.got == c.new + c.same + c.changed + c.quarantined + c.unused
    assert len(desk.replay.asked) == 2


def test_a_recorded_forum_is_walked_and_ends(desk: Desk) -> None:
    desk.replay.on("/posts.json", replayed("discourse/live2026_posts.json"))
    entry = {
        "discourse": {"pace": 0, "forums": [{"base_url": desk.replay.url, "site": "https://d.example.org", **ASKED}]}
    }
    report = run(desk, entry)
    assert report.asked < 10
    assert len(desk.items()) > 30
    assert all("<" not in (row["body"] or "")[:1] for row in desk.items().values())


def test_an_old_shape_of_search_answer_is_not_taken_for_posts(desk: Desk) -> None:
    desk.replay.on("/posts.json", replayed("discourse/discourse_api_search.json"))
    entry = {
        "discourse": {"pace": 0, "forums": [{"base_url": desk.replay.url, "site": "https://d.example.org", **ASKED}]}
    }
    assert [w.verdict for w in run(desk, entry).windows] == ["incomplete"]


def test_a_recorded_topic_gives_its_posts_by_url(desk: Desk) -> None:
    topic = recording("discourse/perceval_discourse_topic_1148.json")
    desk.replay.on("/t/1148.json", topic)
    plan = desk.plan(
        {"discourse": {"pace": 0, "forums": [{"base_url": desk.replay.url, "site": "https://d.example.org", **ASKED}]}}
    )
    pages = source_named("discourse").look_up(
        Client(clock=desk.clock), plan.sources["discourse"], [Wanted("https://d.example.org/t/x/1148")]
    )
    [record] = [record for page in pages for record in page.records]
    assert record.kind == "post" and record.title == topic["title"]


@pytest.mark.skipif(not FIXTURES.exists(), reason="../shared/apifixtures is not at hand")
def test_every_recorded_file_is_read_whole_or_set_aside() -> None:
    """Each converter takes each file's items, of whatever source, without an exception."""
    converters = [convert for _, convert in CONVERTED.values()]
    n = 0
    for path in sorted(FIXTURES.rglob("*.json")):
        name = str(path.relative_to(FIXTURES))
        for body in bodies(name):
            items = body if isinstance(body, list) else [body]
            for convert in converters:
                crossing = convert(items)
                n += len(crossing.broken)
    assert n > 100
