"""Reddit: real PRAW against the local server, deletion marks, looking up again."""

import json
from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect.border import Crossing
from flywheel.collect.record import Gone, Record, iso
from flywheel.collect.runner import Options
from flywheel.collect.sources import reddit
from tests.collect.conftest import ASKED, NOW, Desk, answer, recording, turns

TOKEN = {"access_token": "a-token-of-the-tests", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
CREDENTIALS = {"praw_client_id": "an-id-of-the-tests", "praw_client_secret": "a-secret-of-the-tests"}
DAY = 86400


def post(id: str = "1abc", **more: Any) -> dict[str, Any]:
    data = {
        "id": id, "name": f"t3_{id}", "subreddit": "LocalLLaMA", "title": "LoRA fine-tuning forgets",
        "selftext": "After **three** epochs\n\n> someone else said\n\nit forgets.", "author": "ann",
        "created_utc": NOW - DAY, "edited": False, "score": 12, "num_comments": 2,
        "permalink": f"/r/LocalLLaMA/comments/{id}/lora_finetuning/", "is_self": True, "removed_by_category": None,
    }  # fmt: skip
    return {"kind": "t3", "data": data | more}


def comment(id: str = "c1", replies: Any = "", **more: Any) -> dict[str, Any]:
    data = {
        "id": id, "name": f"t1_{id}", "subreddit": "LocalLLaMA", "link_id": "t3_1abc", "parent_id": "t3_1abc",
        "body": "Same here, fine-tuning breaks it.", "author": "bob", "created_utc": NOW - DAY + 60, "edited": False,
        "score": 3, "permalink": f"/r/LocalLLaMA/comments/1abc/lora_finetuning/{id}/", "replies": replies,
    }  # fmt: skip
    return {"kind": "t1", "data": data | more}


def listing(*things: Any, after: str | None = None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"children": list(things), "after": after, "before": None}}


def entry(url: str, part: str = "posts", match: str = "fine-?tun", **more: Any) -> dict[str, Any]:
    subreddit = {"name": "LocalLLaMA", "parts": [part], "match": match, **ASKED}
    return {"reddit": {"base_url": url, "token_url": url, "subreddits": [subreddit], **more}}


@pytest.fixture
def signed_in(desk: Desk) -> Desk:
    desk.environ |= CREDENTIALS
    desk.replay.on("/api/v1/access_token", TOKEN)
    return desk


def info_of(*things: dict[str, Any]) -> Any:
    """An /api/info that knows these."""
    known = {f"{t['kind']}_{t['data']['id']}": t for t in things}

    def handle(request: Request) -> Response:
        return answer(listing(*(known[n] for n in request.args["id"].split(",") if n in known)))

    return handle


def test_without_credentials_the_source_is_skipped_and_the_report_names_it(desk: Desk) -> None:
    report = desk.run(entry(desk.replay.url))
    assert report.sources[0].skipped.startswith("no_credentials: praw_client_id and praw_client_secret")
    assert not report.sources[0].failed
    assert desk.replay.asked == []


def test_posts_come_in_once_and_a_second_run_writes_nothing(signed_in: Desk) -> None:
    desk = signed_in
    old = post("1old", created_utc=NOW - 30 * DAY)
    desk.replay.on("/r/LocalLLaMA/new", listing(post(), post("1off", title="What GPU", selftext="to buy?"), old))
    desk.replay.on("/api/info/", info_of(post()))
    report = desk.run(entry(desk.replay.url))
    assert [w.verdict for w in report.sources[0].windows] == ["complete"]
    assert report.sources[0].counts.new == 1
    row = desk.items()["t3_1abc"]
    assert row["url"] == "https://www.reddit.com/r/LocalLLaMA/comments/1abc/"
    assert row["body"] == "After **three** epochs\n\nit forgets."
    assert row["created"] == iso(NOW - DAY)
    assert (row["score"], row["n_replies"], row["community"]) == (12, 2, "r/LocalLLaMA")
    before = desk.store_path.read_bytes()
    again = desk.run(entry(desk.replay.url))
    assert (again.sources[0].counts.new, again.sources[0].counts.changed) == (0, 0)
    assert desk.store_path.read_bytes() == before


def test_the_token_is_asked_for_with_the_credentials_and_nothing_else_carries_them(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", listing(post()))
    desk.run(entry(desk.replay.url))
    asked = {seen.path: seen for seen in desk.replay.asked}
    assert asked["/api/v1/access_token"].headers["Authorization"].startswith("Basic ")
    assert asked["/r/LocalLLaMA/new"].headers["Authorization"] == "bearer a-token-of-the-tests"
    assert asked["/r/LocalLLaMA/new"].args["raw_json"] == "1"
    assert "tinker-flywheel" in asked["/r/LocalLLaMA/new"].headers["User-Agent"]
    for seen in desk.replay.asked:
        assert "secret-of-the-tests" not in seen.url
    for file in desk.directory.rglob("*"):
        if file.is_file():
            assert b"secret-of-the-tests" not in file.read_bytes()
            assert b"a-token-of-the-tests" not in file.read_bytes()


def test_the_walk_pages_by_name_and_goes_on_where_it_was_killed(signed_in: Desk) -> None:
    desk = signed_in
    pages = {
        None: listing(post("1aaa"), post("1aab"), after="t3_1aab"),
        "t3_1aab": listing(post("1aac"), post("1aad", created_utc=NOW - 30 * DAY), after="t3_1aad"),
    }
    desk.replay.on("/r/LocalLLaMA/new", lambda request: answer(pages[request.args.get("after")]))
    stopped = desk.run(entry(desk.replay.url), Options(budget=2))  # the token and one page
    assert stopped.sources[0].counts.new == 2
    assert desk.table("windows")[0]["cursor"] == "t3_1aab 2"
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert [s.args.get("after") for s in desk.replay.asked if s.path.endswith("/new")] == [None, "t3_1aab"]
    assert report.sources[0].windows[0].verdict == "complete"
    assert set(desk.items()) == {"t3_1aaa", "t3_1aab", "t3_1aac"}


def test_a_listing_cut_off_before_the_window_begins_is_capped(signed_in: Desk) -> None:
    desk = signed_in

    pages = [
        listing(*(post(f"{p}p{n}", created_utc=NOW - 7200 - n) for n in range(100)), after=f"t3_{p}" if p < 9 else None)
        for p in range(10)
    ]
    desk.replay.on("/r/LocalLLaMA/new", turns(*pages))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert report.sources[0].counts.new == 1000
    assert report.sources[0].windows[0].verdict == "capped"


def test_an_empty_page_is_doubted_once_from_the_top(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", turns(listing(), listing(post(), post("1old", created_utc=NOW - 30 * DAY))))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert report.sources[0].counts.new == 1
    assert report.sources[0].windows[0].verdict == "complete"


def test_a_listing_that_repeats_itself_is_incomplete(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", listing(post(), after="t3_1abc"))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert report.sources[0].windows[0].verdict == "incomplete"


def test_threads_bring_all_comments_of_matching_posts_folded_ones_too(signed_in: Desk) -> None:
    desk = signed_in
    off = post("1off", title="What GPU", selftext="to buy?")
    desk.replay.on("/r/LocalLLaMA/new", listing(post(), off, post("1old", created_utc=NOW - 30 * DAY)))
    more = {"kind": "more", "data": {"id": "c3", "children": ["c3"], "count": 1}}
    thread = [listing(post()), listing(comment("c1", listing(comment("c2", body="deep, no word of it"))), more)]
    desk.replay.on("/comments/1abc", thread)
    desk.replay.on("/api/morechildren/", {"json": {"errors": [], "data": {"things": [comment("c3")]}}})
    desk.run(entry(desk.replay.url, "threads"), Options(recheck=False))
    assert set(desk.items()) == {"t3_1abc", "t1_c1", "t1_c2", "t1_c3"}
    assert desk.items()["t1_c2"]["thread"] == "https://www.reddit.com/r/LocalLLaMA/comments/1abc/"
    assert not any(path == "/comments/1off" for path in desk.replay.paths())


def test_comments_of_a_subreddit(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on(
        "/r/LocalLLaMA/comments", listing(comment("c1"), comment("c2", body="nothing"), comment("c0", created_utc=1e9))
    )
    report = desk.run(entry(desk.replay.url, "comments"), Options(recheck=False))
    assert set(desk.items()) == {"t1_c1"}
    assert report.sources[0].counts.unused == 2


# --- waits and errors ----------


def test_a_told_wait_is_kept_to_the_last_second(signed_in: Desk) -> None:
    desk = signed_in
    late = answer("<html>Too Many Requests</html>", 429, {"retry-after": "4"})
    desk.replay.on("/r/LocalLLaMA/new", turns(late, listing(post())))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    first, second = desk.replay.times("/r/LocalLLaMA/new")[:2]
    assert 4 <= second - first <= 6
    assert report.sources[0].counts.new == 1


def test_a_429_without_a_time_waits_a_minute(signed_in: Desk) -> None:
    desk = signed_in
    late = answer({"message": "Too Many Requests", "error": 429}, 429)
    desk.replay.on("/r/LocalLLaMA/new", turns(late, listing(post())))
    desk.run(entry(desk.replay.url), Options(recheck=False))
    first, second = desk.replay.times("/r/LocalLLaMA/new")[:2]
    assert second - first >= 60


def test_a_wait_over_the_budget_ends_the_source_and_is_kept_for_the_next_run(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", answer("slow down", 429, {"retry-after": "5000"}))
    report = desk.run(entry(desk.replay.url))
    assert report.sources[0].resume_after >= iso(NOW + 5000)
    asked = len(desk.replay.asked)
    desk.run(entry(desk.replay.url))
    assert len(desk.replay.asked) == asked


def test_an_empty_bucket_is_waited_out_on_our_clock(signed_in: Desk) -> None:
    desk = signed_in
    empty = {"x-ratelimit-remaining": "0.0", "x-ratelimit-used": "600", "x-ratelimit-reset": "120"}
    first = answer(listing(post("1aaa"), after="t3_1aaa"), 200, empty)
    desk.replay.on("/r/LocalLLaMA/new", turns(first, listing(post("1aab"))))
    desk.run(entry(desk.replay.url), Options(recheck=False))
    one, two = desk.replay.times("/r/LocalLLaMA/new")[:2]
    assert 120 <= two - one <= 122


@pytest.mark.parametrize(
    "bad", [b"", b"<html>oops</html>", b'{"kind": "Listing", "da'], ids=["nothing", "html", "half"]
)
def test_a_body_that_is_no_json_is_asked_for_again_and_never_stored(signed_in: Desk, bad: bytes) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", turns(answer(bad), answer(bad), listing(post())))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert report.sources[0].counts.new == 1
    desk.replay.on("/r/LocalLLaMA/new", answer(bad))
    forever = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert forever.sources[0].windows[0].verdict == "incomplete"


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (404, {}, "gone"),
        (451, {}, "gone"),
        (302, {"location": "https://oauth.reddit.com/subreddits/search?q=LocalLLaMA"}, "gone"),
        (403, {}, "error"),
        (400, {}, "error"),
        (500, {}, "incomplete"),
        (503, {}, "incomplete"),
        (522, {}, "incomplete"),
    ],
)
def test_each_refusal_has_its_verdict_and_the_source_goes_on(
    signed_in: Desk, status: int, headers: dict[str, str], verdict: str
) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", answer({"message": "no", "error": status}, status, headers))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert [w.verdict for w in report.sources[0].windows] == [verdict]
    assert len(desk.replay.times("/r/LocalLLaMA/new")) == (4 if verdict == "incomplete" else 1)
    assert not report.sources[0].failed
    assert desk.items() == {}


@pytest.mark.parametrize(
    "refusal",
    [
        answer({"error": "invalid_grant", "error_description": "no"}, 200),
        answer({"message": "Unauthorized", "error": 401}, 401),
        answer({"message": "Forbidden", "error": 403}, 403),
    ],
)
def test_a_token_that_is_not_given_stops_the_source_with_a_clear_message(desk: Desk, refusal: Response) -> None:
    desk.environ |= CREDENTIALS
    desk.replay.on("/api/v1/access_token", refusal)
    report = desk.run(entry(desk.replay.url))
    assert report.sources[0].failed.startswith("refused: no token")
    assert "secret-of-the-tests" not in report.sources[0].failed


def test_one_broken_item_is_set_aside_and_its_page_goes_on(signed_in: Desk) -> None:
    desk = signed_in
    no_time = post("1bad")
    del no_time["data"]["created_utc"]
    nobody = post("1nul", author=None, created_utc=NOW - DAY)
    desk.replay.on("/r/LocalLLaMA/new", listing(post(), no_time, nobody, {"kind": "t3", "data": None}, "noise"))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert set(desk.items()) == {"t3_1abc", "t3_1nul"}
    assert report.sources[0].counts.quarantined == 2
    assert "created_utc" in {row["native_id"]: row["reason"] for row in desk.table("quarantine")}["1bad"]


# --- deletion ----------


@pytest.mark.parametrize(
    ("author", "text", "why"),
    [
        ("[deleted]", "[deleted]", "deleted"),
        ("ann", "[removed]", "removed"),
        ("[deleted]", "[removed]", "removed"),
        ("ann", "[ Removed by Reddit ]", "removed"),
        ("[deleted]", "[deleted by user]", "deleted"),
        ("ann", " [removed by moderator]\n", "removed"),
        ("[deleted]", "the text is still there", None),
        ("ann", "I typed [removed] into the box", None),
    ],
)
def test_what_author_and_text_say_together(author: str, text: str, why: str | None) -> None:
    for things in ([post(author=author, selftext=text)], [comment(author=author, body=text)]):
        crossing = reddit.crossing_of(things)
        if why:
            assert [gone.why for gone in crossing.gone] == [why]
            assert not crossing.records
        else:
            assert [record.author for record in crossing.records] == [None if author == "[deleted]" else "ann"]


@pytest.mark.parametrize(("category", "why"), [("moderator", "removed"), ("deleted", "deleted"), ("reddit", "removed")])
def test_a_category_of_removal_is_one_even_where_the_text_stayed(category: str, why: str) -> None:
    crossing = reddit.crossing_of([post(removed_by_category=category)])
    assert [gone.why for gone in crossing.gone] == [why]


def test_looking_up_again_erases_what_is_missing_marked_or_nameless(signed_in: Desk) -> None:
    desk = signed_in
    posts = [post(f"1aa{n}") for n in range(5)]
    desk.replay.on("/r/LocalLLaMA/new", listing(*posts, post("1old", created_utc=NOW - 30 * DAY)))
    desk.run(entry(desk.replay.url), Options(recheck=False))
    assert len(desk.items()) == 5
    still = [post("1aa0"), post("1aa1", author="[deleted]"), post("1aa2", selftext="[removed]")]
    still.append(post("1aa3", author="[deleted]", selftext="[deleted]"))
    desk.replay.on("/r/LocalLLaMA/new", listing(post("1old", created_utc=NOW - 30 * DAY)))
    desk.replay.on("/api/info/", info_of(*still))
    report = desk.run(entry(desk.replay.url))
    assert set(desk.items()) == {"t3_1aa0", "t3_1aa1"}
    assert desk.items()["t3_1aa0"]["author_hash"]
    assert desk.items()["t3_1aa1"]["author_hash"] is None
    assert {row["id"]: row["why"] for row in desk.table("tombstones")} == {
        "rd.1aa2": "removed", "rd.1aa3": "deleted", "rd.1aa4": "deleted",
    }  # fmt: skip
    assert sorted(report.erased) == ["rd.1aa2", "rd.1aa3", "rd.1aa4"]
    asked = [s.args["id"].split(",") for s in desk.replay.asked if s.path == "/api/info/"]
    assert asked == [["t3_1aa0", "t3_1aa1", "t3_1aa2", "t3_1aa3", "t3_1aa4"], ["t3_1aa4"]]
    for text in ("three** epochs", "it forgets"):
        assert text.encode() in desk.store_path.read_bytes()  # of the two that stayed


def test_250_names_are_three_questions(signed_in: Desk) -> None:
    desk = signed_in
    posts = [post(f"{n}") for n in range(1000, 1250)]
    pages = [listing(*posts[n : n + 100], after=f"t3_p{n}" if n < 200 else None) for n in (0, 100, 200)]
    desk.replay.on("/r/LocalLLaMA/new", turns(*pages))
    desk.run(entry(desk.replay.url), Options(recheck=False))
    desk.replay.on("/r/LocalLLaMA/new", listing(post("1old", created_utc=NOW - 30 * DAY)))
    desk.replay.on("/api/info/", info_of(*posts))
    report = desk.run(entry(desk.replay.url))
    assert desk.replay.paths().count("/api/info/") == 3
    assert report.sources[0].rechecked == 250
    assert report.erased == {}


def test_a_page_of_info_that_knows_nothing_at_all_erases_nothing(signed_in: Desk) -> None:
    desk = signed_in
    desk.replay.on("/r/LocalLLaMA/new", listing(*(post(f"1a{n:02}") for n in range(30))))
    desk.run(entry(desk.replay.url), Options(recheck=False))
    desk.replay.on("/api/info/", listing())
    desk.replay.on("/r/LocalLLaMA/new", listing(post("1old", created_utc=NOW - 30 * DAY)))
    report = desk.run(entry(desk.replay.url))
    assert "knows none of 30" in report.sources[0].skipped
    assert len(desk.items()) == 30


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.reddit.com/r/LocalLLaMA/comments/1abc/", "t3_1abc"),
        ("https://www.reddit.com/r/LocalLLaMA/comments/1abc/_/c1/", "t1_c1"),
        ("https://www.reddit.com/r/LocalLLaMA/comments/1abc/some_title/c1/", "t1_c1"),
        ("https://www.reddit.com/r/LocalLLaMA/", None),
        ("https://news.ycombinator.com/item?id=1", None),
    ],
)
def test_fullname_of_a_url(url: str, name: str | None) -> None:
    assert reddit.fullname_of(url) == name


def test_bots_are_passed_over() -> None:
    things = [
        comment("c1", author="AutoModerator"),
        comment("c2", body="^(I am a bot, and this action was performed automatically.)"),
        comment("c3", author="rustedrobot"),
    ]
    crossing = reddit.crossing_of(things)
    assert (len(crossing.records), crossing.unused) == (1, 2)


def test_a_thread_nested_thousands_deep_is_read() -> None:
    nested: Any = ""
    for n in range(5000):
        nested = listing(comment(f"c{n}", nested))
    assert len(reddit.crossing_of([listing(post()), nested]).records) == 5001


# --- recordings ----------


def exchanges(name: str) -> list[dict[str, Any]]:
    found = recording(f"reddit/{name}.http.json")["exchanges"]
    assert isinstance(found, list)
    return found


def bodies(name: str) -> list[Any]:
    texts = [e["response"]["body"].replace("<TEST_SUBREDDIT>", "test") for e in exchanges(name)]
    return [json.loads(text) for text in texts if text.strip().startswith(("{", "["))]


@pytest.mark.parametrize(
    "name",
    [
        "search_page",
        "submission_with_comments",
        "more_comments",
        "comment_removed",
        "selftext_markdown",
        "submission_edited",
    ],
)
def test_recorded_answers_parse_whole(name: str) -> None:
    crossing = Crossing()
    for body in bodies(name):
        things = body.get("json", {}).get("data", {}).get("things") if isinstance(body, dict) else None
        reddit.crossing_of(things or body, into=crossing)
    assert crossing.records
    assert [b.reason for b in crossing.broken] == []
    for record in crossing.records:
        assert record.source == "reddit"
        assert record.url.startswith("https://www.reddit.com/r/")


def test_recorded_info_tells_removed_deleted_and_nameless_apart() -> None:
    outcomes: list[Record | Gone] = []
    for body in bodies("info_removed_and_deleted"):
        crossing = reddit.crossing_of(body)
        assert not crossing.broken
        outcomes += [*crossing.records, *crossing.gone]
    whys = {o.why for o in outcomes if isinstance(o, Gone)}
    assert whys == {"deleted", "removed"}
    assert any(isinstance(o, Record) and o.author is None for o in outcomes)


@pytest.mark.parametrize(
    ("name", "asked", "verdict"),
    [
        ("error_403", 1, "error"),
        ("error_404", 1, "gone"),
        ("error_451", 1, "gone"),
        ("error_500", 4, "incomplete"),
        ("error_502", 4, "incomplete"),
        ("error_503", 4, "incomplete"),
        ("error_504", 4, "incomplete"),
        ("error_520_cloudflare", 4, "incomplete"),
        ("error_bad_json", 4, "incomplete"),
        ("redirect_302", 1, "gone"),
        ("bad_request_html", 1, "error"),
        ("bad_request_plain", 1, "error"),
    ],
)
def test_recorded_refusals(signed_in: Desk, name: str, asked: int, verdict: str) -> None:
    desk = signed_in
    recorded = exchanges(name)[-1]["response"]
    headers = {k: v for k, v in recorded["headers"].items() if k.lower() in ("location", "retry-after")}
    desk.replay.on("/r/LocalLLaMA/new", lambda _: Response(recorded["body"], recorded["status"], headers))
    report = desk.run(entry(desk.replay.url), Options(recheck=False))
    assert [w.verdict for w in report.sources[0].windows] == [verdict]
    assert len(desk.replay.times("/r/LocalLLaMA/new")) == asked


def test_recorded_search_page_through_praw_and_the_store(signed_in: Desk) -> None:
    desk = signed_in
    body = bodies("search_page")[-1]
    newest = max(t["data"]["created_utc"] for t in body["data"]["children"])
    desk.clock.wall = newest + 10 * DAY
    desk.replay.on("/r/LocalLLaMA/new", body | {"data": body["data"] | {"after": None}})
    report = desk.run(entry(desk.replay.url, match=""), Options(recheck=False), since="2008-01-01")
    counts = report.sources[0].counts
    assert counts.got == len(body["data"]["children"])
    assert counts.new == counts.got - counts.unused - counts.gone > 0
