"""The client by itself: what each answer means, what it costs in time, and what it will not do."""

import email.utils
import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect import client as module
from flywheel.collect.client import (
    AuthError,
    Budget,
    BudgetError,
    CallerError,
    Client,
    NotThereError,
    Redacting,
    UnavailableError,
    classify,
    rebased,
    shown,
)
from tests.collect.conftest import NOW, FakeClock, Replay, answer, turns


def make(replay: Replay, **more: Any) -> Client:
    return Client(clock=replay.clock, jitter=lambda: 0.0, **{"pace": 0.0, **more})


@pytest.mark.parametrize(
    ("status", "headers", "body", "meaning", "wait"),
    [
        (200, {}, b'{"a": 1}', "ok", None),
        (200, {}, b"\xef\xbb\xbf[]", "ok", None),
        (200, {}, b"", "transient", None),
        (200, {}, b"<html></html>", "transient", None),
        (200, {}, b'{"a": ', "transient", None),
        (200, {}, b'{"grouped_search_result": {"error": "too busy"}, "posts": []}', "transient", None),
        (200, {}, b'{"errors": [{"type": "RATE_LIMITED"}]}', "wait", None),
        (200, {}, b'{"errors": [{"type": "RATE_LIMIT"}]}', "wait", None),
        (200, {}, b'{"errors": [{"type": "NOT_FOUND"}], "data": null}', "ok", None),
        (401, {}, b'{"message": "Bad credentials"}', "auth", None),
        (403, {}, b'{"message": "Resource not accessible"}', "auth", None),
        (403, {"Retry-After": "9"}, b"{}", "wait", 9),
        (403, {"X-RateLimit-Remaining": "0"}, b"{}", "wait", None),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit"}', "wait", None),
        (403, {}, b'{"message": "You have triggered an abuse detection mechanism"}', "wait", None),
        (429, {}, b"<html>", "wait", None),
        (429, {"Retry-After": "0"}, b"", "wait", 0),
        (429, {"Retry-After": "3"}, b'{"extras": {"wait_seconds": 39}}', "wait", 39),
        (400, {}, b'{"error_name": "throttle_violation", "error_message": "more in 17524 seconds"}', "wait", 17524),
        (400, {}, b'{"error": "rate_limit_error"}', "wait", None),
        (400, {}, b'{"error_name": "key_required"}', "auth", None),
        (400, {}, b'{"error_name": "bad_parameter"}', "caller", None),
        (422, {}, b'{"message": "Query must include"}', "caller", None),
        (404, {}, b"", "gone", None),
        (410, {}, b"", "gone", None),
        (451, {}, b"", "gone", None),
        (408, {}, b"", "transient", None),
        (500, {}, b"", "transient", None),
        (522, {}, b"<html>", "transient", None),
        (503, {}, b"", "transient", None),
        (503, {"Retry-After": "5"}, b"", "wait", 5),
        (301, {"Location": "/x"}, b"", "moved", None),
        (304, {}, b"", "ok", None),
        (599, {}, b"", "transient", None),
        (100, {}, b"", "transient", None),
    ],
)
def test_what_an_answer_means(
    status: int, headers: dict[str, str], body: bytes, meaning: str, wait: float | None
) -> None:
    outcome = classify(status, headers, body, NOW)
    assert (outcome.meaning, outcome.wait) == (meaning, wait)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": email.utils.formatdate(NOW + 40, usegmt=True)}, 40),
        # Our clock is a day behind: the answer's own Date counts.
        (
            {
                "Retry-After": email.utils.formatdate(NOW + 86440, usegmt=True),
                "Date": email.utils.formatdate(NOW + 86400, usegmt=True),
            },
            40,
        ),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 70)}, 70),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) - 70)}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "33"}, 33),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": str(int(NOW) + 70), "Retry-After": "7"}, 7),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1" * 40}, None),
    ],
)
def test_how_long_is_told(headers: dict[str, str], wait: float | None) -> None:
    assert classify(429, headers, b"", NOW).wait == wait


def test_time_spent_is_what_the_limits_force_and_no_more(replay: Replay) -> None:
    """30 requests with six told waits: what is spent above the told times is the margin of a second a wait."""
    waits = {3: 20, 8: 60, 9: 45, 15: 100, 22: 30, 27: 75}

    def handler(request: Request) -> Response:
        number = len(replay.asked)
        if number in waits:
            return answer("", 429, {"Retry-After": str(waits[number])})
        return answer({"n": number})

    replay.on("/x", handler)
    client = make(replay)
    for _ in range(24):
        client.get(replay.url, "/x")
    forced = sum(waits.values())
    assert len(replay.asked) == 30
    for number, seconds in waits.items():
        assert replay.times()[number] - replay.times()[number - 1] >= seconds + 1
    assert forced <= replay.clock.ticks <= forced * 1.1
    assert client.budget.waited == replay.clock.ticks


def test_a_host_is_not_asked_faster_than_its_pace(replay: Replay) -> None:
    replay.on("/*", {})
    client = make(replay, pace=2.0)
    for n in range(5):
        client.get(replay.url, f"/{n}")
    assert [b - a for a, b in pairwise(replay.times())] == [2.0] * 4
    assert client.budget.waited == 0, "keeping the pace is no told wait"


def test_tries_are_one_two_and_four_seconds_apart(replay: Replay) -> None:
    replay.on("/x", answer("", 502))
    with pytest.raises(UnavailableError, match="502"):
        make(replay).get(replay.url, "/x")
    assert [b - a for a, b in pairwise(replay.times())] == [1.0, 2.0, 4.0]


def test_waits_without_a_number_double_and_end(replay: Replay) -> None:
    replay.on("/x", answer("", 429))
    with pytest.raises(BudgetError):
        make(replay, budget=Budget(wait=500)).get(replay.url, "/x")
    assert [b - a for a, b in pairwise(replay.times())] == [61.0, 121.0, 241.0]


def test_waits_of_no_length_end_too(replay: Replay) -> None:
    replay.on("/x", answer("", 429, {"Retry-After": "0"}))
    with pytest.raises(BudgetError, match="10 times in a row"):
        make(replay).get(replay.url, "/x")


def test_a_wait_of_years_is_a_mistake(replay: Replay) -> None:
    replay.on("/x", answer("", 429, {"Retry-After": "999999999"}))
    with pytest.raises(BudgetError) as caught:
        make(replay).get(replay.url, "/x")
    assert caught.value.resume_after == NOW + 30 * 86400 + 1


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (422, CallerError), (404, NotThereError)]
)
def test_what_will_not_change_is_asked_once(replay: Replay, status: int, error: type[Exception]) -> None:
    replay.on("/x", answer('{"message": "no"}', status))
    with pytest.raises(error):
        make(replay).get(replay.url, "/x")
    assert len(replay.asked) == 1


def test_a_redirect_is_followed_on_its_host_only_and_not_for_ever(replay: Replay) -> None:
    replay.on("/a", answer("", 302, {"Location": "/b"}))
    replay.on("/b", {"n": 1})
    assert make(replay).get(replay.url, "/a").moved
    replay.on("/loop", answer("", 302, {"Location": "/loop"}))
    with pytest.raises(NotThereError, match="redirects"):
        make(replay).get(replay.url, "/loop")
    for target in ("http://127.0.0.2/b", "//evil.example/b", "", "https://127.0.0.1/b"):
        replay.on("/away", answer("", 302, {"Location": target} if target else {}))
        with pytest.raises(NotThereError, match="another host"):
            make(replay).get(replay.url, "/away")


def test_an_answer_too_large_is_cut_off(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 100_000)
    replay.on("/x", answer('"' + "x" * 200_000 + '"'))
    with pytest.raises(CallerError, match="over 0 MB"):
        make(replay).get(replay.url, "/x")
    assert len(replay.asked) == 1


def test_a_body_that_drips_is_given_up(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.2)

    def drip() -> Iterator[bytes]:
        for _ in range(20):
            time.sleep(0.05)
            yield b"[1," * 30_000

    replay.on("/x", lambda request: Response(drip(), content_type="application/json"))
    with pytest.raises(UnavailableError, match="took over"):
        make(replay).get(replay.url, "/x")


def test_a_host_that_is_not_there_is_tried_and_named_without_its_query(replay: Replay) -> None:
    with pytest.raises(UnavailableError) as caught:
        make(replay).get("http://127.0.0.1:9", "/x", {"token": "secret-of-mine-123"})
    assert "ConnectionError" in str(caught.value) and "secret-of-mine" not in str(caught.value)


def test_a_good_answer_may_ask_for_a_wait_in_its_lane_only(replay: Replay) -> None:
    replay.on("/a", turns({"backoff": 30}, {}))
    replay.on("/b", {})
    client = make(replay)
    client.get(replay.url, "/a", lane="a")
    client.get(replay.url, "/b", lane="b")
    client.get(replay.url, "/a", lane="a")
    assert replay.times() == [0.0, 0.0, 31.0]


def test_a_told_wait_is_told_on_at_once(replay: Replay) -> None:
    told: list[tuple[str, float, str]] = []
    replay.on("/x", turns(answer("", 429, {"Retry-After": "9"}), {}))
    make(replay, told=lambda *a: told.append(a)).get(replay.url, "/x", lane="l")
    assert [(lane, until) for lane, until, _ in told] == [("l", NOW + 10)]


def test_netrc_does_not_replace_our_header(replay: Replay, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login someone password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    replay.on("/x", {})
    make(replay, headers={"Authorization": "Bearer ours"}).get(replay.url, "/x")
    make(replay).get(replay.url, "/x")
    assert [seen.headers.get("Authorization") for seen in replay.asked] == ["Bearer ours", None]


def test_logs_and_addresses_hold_no_secret() -> None:
    record = logging.LogRecord("flywheel.collect", logging.INFO, "", 0, "%s and %s", ("my-own-key-1", "a@b.org"), None)
    assert Redacting(["my-own-key-1"]).filter(record)
    assert record.getMessage() == "[key] and [email]"
    assert shown("https://user:pw@h.org/p?token=1#f") == "https://h.org/p"
    assert rebased("http://127.0.0.1:1/", "https://api.example.org/a/b?page=2") == "http://127.0.0.1:1/a/b?page=2"


def test_clock_of_the_tests_moves_only_by_sleep() -> None:
    clock = FakeClock()
    clock.sleep(3)
    assert (clock.now() - NOW, clock.monotonic()) == (3, 3)
