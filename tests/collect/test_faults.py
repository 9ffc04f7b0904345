"""Every collector through every fault: what comes out must be what an undisturbed run gives."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect.runner import Options, SourceReport
from tests.collect.conftest import Desk, answer
from tests.collect.worlds import WORLDS, World

COLLECTORS = sorted(WORLDS)
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}


@pytest.fixture(params=COLLECTORS)
def world(request: pytest.FixtureRequest, desk: Desk) -> World:
    return WORLDS[request.param](desk.replay)


def run(desk: Desk, world: World, since: str = "2026-11-10", **more: Any) -> SourceReport:
    return desk.run(world.entry(**more), since=since).sources[0]


def once(at: int, response: Callable[[], Response]) -> Callable[[int, Request], Response | None]:
    """The fault on the request of that number, and never again."""
    return lambda number, request: response() if number == at else None


def truncated() -> Response:
    body = json.dumps({"items": [], "hits": [], "latest_posts": [], "filler": "x" * 500})
    response = answer(body[: len(body) // 2])
    response.headers["Content-Length"] = str(len(body))
    return response


PASSING: dict[str, Callable[[], Response]] = {
    "500": lambda: answer("<html>oops</html>", 500),
    "502": lambda: answer("<html>bad gateway</html>", 502),
    "503 without a wait": lambda: answer("", 503),
    "520": lambda: answer("<html>cloudflare</html>", 520),
    "truncated body": truncated,
    "half a JSON": lambda: answer('{"items": [{"question_id": 1'),
    "HTML as JSON": lambda: answer("<!DOCTYPE html><html><body>Just a moment</body></html>"),
    "zero bytes": lambda: answer(""),
}
WAITS: dict[str, tuple[Callable[[], Response], float]] = {
    "429 with a wait": (lambda: answer({"message": "slow down"}, 429, {"Retry-After": "17"}), 17),
    "429 without": (lambda: answer("<html>Too many requests</html>", 429), 60),
    "429 in the body": (
        lambda: answer({"error_type": "rate_limit", "errors": ["Slow"], "extras": {"wait_seconds": 39}}, 429),
        39,
    ),
    "403 secondary with a wait": (lambda: answer(SECONDARY, 403, {"Retry-After": "60"}), 60),
    "403 secondary without": (lambda: answer(SECONDARY, 403), 60),
    "503 with a wait": (lambda: answer("", 503, {"Retry-After": "20"}), 20),
    "400 throttled": (
        lambda: answer({"error_id": 502, "error_name": "throttle_violation", "error_message": "in 31 seconds"}, 400),
        31,
    ),
}


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("fault", PASSING)
def test_what_fails_in_passing_is_tried_again_and_nothing_is_lost(
    desk: Desk, world: World, fault: str, at: int
) -> None:
    desk.replay.fault = once(at, PASSING[fault])
    report = run(desk, world)
    assert set(desk.items()) == world.all_ids()
    assert [w.verdict for w in report.windows] == ["complete"]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("fault", WAITS)
def test_a_told_wait_is_kept_in_full(desk: Desk, world: World, fault: str, at: int) -> None:
    response, seconds = WAITS[fault]
    desk.replay.fault = once(at, response)
    report = run(desk, world)
    times = desk.replay.times()
    assert times[at] - times[at - 1] >= seconds + 1
    assert times[at] - times[at - 1] < seconds * 1.1 + 2
    assert set(desk.items()) == world.all_ids()
    assert [w.verdict for w in report.windows] == ["complete"]


@pytest.mark.parametrize("fault", PASSING)
def test_what_fails_for_good_is_never_taken_for_an_empty_answer(desk: Desk, world: World, fault: str) -> None:
    desk.replay.fault = lambda number, request: PASSING[fault]()
    report = run(desk, world)
    assert [w.verdict for w in report.windows] == ["incomplete"]
    assert len(desk.replay.asked) == 4
    desk.replay.fault = None
    run(desk, world)
    assert set(desk.items()) == world.all_ids()
    assert [w["verdict"] for w in desk.table("windows")] == ["complete"]


def test_a_server_that_does_not_answer_is_given_up_and_asked_again_next_time(desk: Desk, world: World) -> None:
    import threading

    hang = threading.Event()

    def silent(number: int, request: Request) -> Response:
        hang.wait(0.6)
        return answer({})

    desk.replay.fault = lambda number, request: silent(number, request) if number <= 4 else None
    report = run(desk, world, timeout=0.2)
    assert [w.verdict for w in report.windows] == ["incomplete"]
    assert "Timeout" in report.windows[0].reason
    run(desk, world)
    assert set(desk.items()) == world.all_ids()


def test_a_wait_beyond_the_budget_ends_the_source_and_is_kept_by_the_next_run(desk: Desk, world: World) -> None:
    desk.replay.fault = once(2, lambda: answer("", 429, {"Retry-After": "5000"}))
    report = run(desk, world)
    assert len(desk.replay.asked) == 2
    assert report.resume_after and "5001 s" in report.skipped
    report = run(desk, world)
    assert len(desk.replay.asked) == 2, "asked before the told time"
    desk.clock.wall += 5002
    desk.clock.ticks += 5002
    run(desk, world)
    assert set(desk.items()) == world.all_ids()
    assert {w["verdict"] for w in desk.table("windows")} == {"complete"}
    assert desk.table("resume") == []


def test_a_page_that_repeats_for_ever_ends(desk: Desk, world: World) -> None:
    first: list[Response] = []

    def same(number: int, request: Request) -> Response | None:
        if not first:
            return None
        return Response(first[0].get_data(), headers=first[0].headers)

    handler = {
        "github": "/repos/o/r/issues",
        "hackernews": "/api/v1/search_by_date",
        "stackexchange": "/2.3/questions",
        "discourse": "/posts.json",
    }[world.name]
    original = desk.replay.routes[handler]

    def remembering(request: Request) -> Response:
        response: Response = original(request)
        first.append(response)
        return response

    desk.replay.on(handler, remembering)
    desk.replay.fault = same
    report = run(desk, world)
    assert len(desk.replay.asked) < 20
    assert [w.verdict for w in report.windows if w.verdict != "complete"], "called complete"
    desk.replay.fault = None
    desk.replay.on(handler, original)
    run(desk, world)
    assert set(desk.items()) == world.all_ids()


def test_what_is_deleted_is_erased_and_stays_away(desk: Desk, world: World) -> None:
    world.texts[5] = "fine-tuning of an unmistakable wording zanzibar"
    run(desk, world)
    assert b"zanzibar" in desk.store_path.read_bytes()
    world.gone.add(5)
    desk.clock.wall += 5 * 86400
    report = run(desk, world)
    assert report.counts.gone == 1
    assert world.native(5) not in desk.items()
    for file in desk.directory.iterdir():
        assert not file.is_file() or b"zanzibar" not in file.read_bytes(), file
    world.gone.clear()
    run(desk, world)
    assert world.native(5) not in desk.items()


def test_an_edit_is_taken_over(desk: Desk, world: World) -> None:
    run(desk, world)
    world.texts[3] = "fine-tuning: I rewrote this"
    report = run(desk, world)
    assert report.counts.changed == 1
    assert "rewrote" in desk.items()[world.native(3)]["body"]


HOSTILE = {
    "bidi": "fine-tuning \u202egnp.exe\u202c",
    "nul": "fine-tuning a\x00b",
    "lone surrogate": "fine-tuning \ud800 end",
    "zero width": "fine-\u200btuning fine-tuning \ufeff",
    "markup": "fine-tuning <script>alert(1)</script>'; DROP TABLE items; --",
    "long": "fine-tuning " + "é" * 70_000,
    "combining": "fine-tuning " + "\u0301" * 5_000,
    "nested": "fine-tuning " + "<b>" * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_as_text(desk: Desk, world: World, text: str) -> None:
    world.texts[2] = HOSTILE[text]
    report = run(desk, world)
    assert set(desk.items()) == world.all_ids()
    assert report.counts.quarantined == 0
    body = desk.items()[world.native(2)]["body"]
    assert not set(body) & set("\u202e\x00\ud800\u200b\ufeff")
    assert run(desk, world).counts.changed == 0


def test_a_clock_that_jumps_ahead_leaves_no_hole(desk: Desk, world: World) -> None:
    desk.clock.wall += 400 * 86400
    desk.replay.server_ahead = -400.0 * 86400
    report = run(desk, world)
    assert [w.verdict for w in report.windows] == ["incomplete"]
    desk.clock.wall -= 400 * 86400
    desk.replay.server_ahead = 0
    report = run(desk, world)
    assert [w.verdict for w in report.windows] == ["complete"]
    assert report.windows[0].since == "2026-11-10T00:00:00Z"
    assert set(desk.items()) == world.all_ids()


def test_a_clock_that_jumps_back_does_not_lengthen_a_wait(desk: Desk, world: World) -> None:
    desk.replay.fault = once(1, lambda: answer("", 429, {"Retry-After": "5000"}))
    run(desk, world)
    desk.clock.wall -= 30 * 86400
    report = run(desk, world, since="2026-10-01", wait=6000)
    assert desk.replay.times()[-1] - desk.replay.times()[0] >= 5000
    assert report.waited < 5100


def test_a_broken_item_is_set_aside_and_its_page_goes_on(desk: Desk, world: World) -> None:
    kind = {"github": "issue", "stackexchange": "question", "discourse": "post"}.get(world.name)
    if kind is None:
        search = desk.replay.routes["/api/v1/search_by_date"]

        def spoiled(request: Request) -> Response:
            body = json.loads(search(request).get_data())
            for hit in body["hits"]:
                if hit["objectID"] == world.native(4):
                    hit["created_at_i"] = "yesterday"
            return answer(body)

        desk.replay.on("/api/v1/search_by_date", spoiled)
    else:
        whole = getattr(world, kind)
        name = "creation_date" if world.name == "stackexchange" else "created_at"
        setattr(world, kind, lambda n: whole(n) | ({name: "yesterday"} if n == 4 else {}))
    report = run(desk, world)
    assert set(desk.items()) == world.all_ids() - {world.native(4)}
    [row] = desk.table("quarantine")
    assert "creat" in row["reason"]
    assert "person4" not in row["raw"] and "Person 4" not in row["raw"]
    c = report.counts
    assert c.got == c.new + c.changed + c.same + c.gone + c.quarantined + c.unused + c.tombstoned


def test_the_budget_of_requests_stops_and_the_next_run_goes_on_at_the_page(desk: Desk, world: World) -> None:
    report = desk.run(world.entry(), Options(budget=2)).sources[0]
    assert report.asked == 2 and "budget of 2 requests" in report.skipped and report.resume_after
    first = len(desk.items())
    assert 0 < first < len(world.all_ids())
    run(desk, world)
    assert set(desk.items()) == world.all_ids()
    addresses = [seen.url for seen in desk.replay.asked]
    assert len(addresses) == len(set(addresses)), "a page was asked twice"


SHAPES = [
    *("[]", "{}", "null", "3", '"text"', "[[]]", '[3, null, "x"]', '{"items": 3}', '{"latest_posts": {"a": 1}}'),
    *('{"hits": {}, "nbHits": 3}', '{"hits": [3], "nbHits": 1e400}', '{"hits": [], "nbHits": 0, "nbPages": "many"}'),
    *('{"items": [3, null, []], "has_more": "yes"}', '{"items": [{"question_id": 1e99, "answers": 7}]}'),
    *('{"latest_posts": [3, {"id": "x"}]}', '{"error": {"a": 1}}', '{"errors": {"a": 1}}', "[" * 200_000),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_any_shape_stores_nothing_and_breaks_nothing(desk: Desk, world: World, shape: str) -> None:
    run(desk, world)
    before = desk.items()
    if shape == "null" and world.name == "hackernews":
        return  # there, null says that an item is gone
    desk.replay.fault = lambda number, request: answer(shape)
    run(desk, world)
    assert desk.items().keys() == before.keys()
    desk.replay.fault = None
    desk.clock.wall += 3600
    assert {w.verdict for w in run(desk, world).windows} == {"complete"}
    assert set(desk.items()) == world.all_ids()


SECRETS = (
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "hf_abcdefghijklmnopqrstuvwxyz01234567",
    "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789",
    "AKIA0123456789ABCDEF",
    "someone.private@example.com",
)


def test_no_secret_in_any_file_left_behind(desk: Desk, world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="flywheel")
    world.texts[1] = "fine-tuning with " + " and ".join(SECRETS)
    world.texts[2] = f"fine-tuning\n\n```\nexport OPENAI_API_KEY={SECRETS[2]}\n```"
    desk.environ |= {"GITHUB_TOKEN": "", "STACKEXCHANGE_KEY": "secret-of-the-environment-77"}
    desk.replay.fault = once(2, lambda: answer({"message": f"no such key {SECRETS[0]}"}, 500))
    run(desk, world)
    left = [file.read_bytes() for file in desk.directory.rglob("*") if file.is_file()]
    left.append("\n".join(r.getMessage() for r in caplog.records if r.name.startswith("flywheel")).encode())
    for secret in (*SECRETS, "secret-of-the-environment-77", "person1", "Person 1"):
        assert secret == "Person 1" or not any(secret.encode() in blob for blob in left), secret
    assert not any(secret in seen.url for seen in desk.replay.asked for secret in (*SECRETS, "key="))
