"""Reddit (through PRAW), the Hub (through huggingface_hub) and Lemmy through the faults of `test_faults`."""

import json
from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect.record import iso
from flywheel.collect.runner import Options, Runner
from flywheel.collect.store import Store
from tests.collect import test_faults as faults
from tests.collect.conftest import ASKED, KEY, Desk, answer
from tests.collect.test_reddit import CREDENTIALS, TOKEN
from tests.collect.worlds import MAX, World


class RedditWorld(World):
    name = "reddit"

    def install(self) -> None:
        self.replay.on("/api/v1/access_token", TOKEN)
        self.replay.on("/r/LocalLLaMA/new", self.listing)
        self.replay.on("/api/info/", self.info)

    def entry(self, **more: Any) -> dict[str, Any]:
        url, subreddit = self.replay.url, {"name": "LocalLLaMA", **ASKED}
        return {"reddit": {"base_url": url, "token_url": url, "subreddits": [subreddit], "pace": 0, **more}}

    def native(self, n: int) -> str:
        return f"t3_1p{n}"

    def url(self, n: int) -> str:
        return f"https://www.reddit.com/r/LocalLLaMA/comments/1p{n}/"

    def post(self, n: int) -> dict[str, Any]:
        data = {
            "id": f"1p{n}", "subreddit": "LocalLLaMA", "title": f"Title {n}", "selftext": self.text(n),
            "author": f"person{n}", "created_utc": float(self.made(n)), "edited": False, "score": n,
            "permalink": f"/r/LocalLLaMA/comments/1p{n}/title/",
        }  # fmt: skip
        return {"kind": "t3", "data": data | ({"edited": self.made(n) + 60.0} if n in self.texts else {})}

    def _listing(self, numbers: list[int], after: str | None = None) -> Response:
        return answer({"kind": "Listing", "data": {"children": [self.post(n) for n in numbers], "after": after}})

    def listing(self, request: Request) -> Response:
        after = request.args.get("after")
        top = int(after.removeprefix("t3_1p")) if after else MAX + 1
        numbers = [n for n in reversed(self.living()) if n < top]
        chosen = numbers[: self.page]
        return self._listing(chosen, self.native(chosen[-1]) if len(numbers) > self.page else None)

    def info(self, request: Request) -> Response:
        asked = request.args["id"].split(",")
        return self._listing([n for n in self.living() if self.native(n) in asked])


class HubWorld(World):
    name = "hub"

    def install(self) -> None:
        self.replay.on("/api/models/o/r/discussions", self.listing)
        self.replay.on("/api/models/o/r/discussions/*", self.one)

    def entry(self, **more: Any) -> dict[str, Any]:
        return {"hub": {"base_url": self.replay.url, "repositories": [{"name": "o/r", **ASKED}], "pace": 0, **more}}

    def native(self, n: int) -> str:
        return f"model:o/r#{n}"

    def url(self, n: int) -> str:
        return f"https://huggingface.co/o/r/discussions/{n}"

    def head(self, n: int) -> dict[str, Any]:
        return {
            "num": n, "title": f"Title {n}", "status": "open", "author": {"name": f"person{n}"},
            "isPullRequest": False, "createdAt": iso(self.made(n)), "repo": {"name": "o/r", "type": "model"},
        }  # fmt: skip

    def listing(self, request: Request) -> Response:
        start = int(request.args.get("p", 0)) * self.page
        numbers = list(reversed(self.living()))
        chosen = [self.head(n) for n in numbers[start : start + self.page]]
        return answer({"discussions": chosen, "count": len(numbers), "start": start})

    def one(self, request: Request) -> Response:
        n = int(request.path.rpartition("/")[2])
        if n not in self.living():
            return answer({"error": "not found"}, 404)
        latest = {"raw": self.text(n), "updatedAt": iso(self.made(n) + 60)}
        data = {"edited": n in self.texts, "hidden": False, "latest": latest}
        opening = {"id": f"{n:024}", "type": "comment", "createdAt": iso(self.made(n)), "data": data}
        return answer(self.head(n) | {"events": [opening | {"author": {"name": f"person{n}"}}]})


class LemmyWorld(World):
    name = "lemmy"

    def install(self) -> None:
        self.replay.on("/api/v3/search", self.search)
        self.replay.on("/api/v3/post", self.one)

    def entry(self, **more: Any) -> dict[str, Any]:
        search = {"q": "fine-tuning", "match": "", "types": ["Posts"], **ASKED}
        return {"lemmy": {"base_url": self.replay.url, "searches": [search], "pace": 0, **more}}

    def native(self, n: int) -> str:
        return self.url(n)

    def url(self, n: int) -> str:
        return f"https://there.example.org/post/{n}"

    def view(self, n: int) -> dict[str, Any]:
        post = {
            "id": n, "ap_id": self.url(n), "name": f"Title {n}", "body": self.text(n),
            "published": iso(self.made(n)), "updated": iso(self.made(n) + 60) if n in self.texts else None,
        }  # fmt: skip
        return {
            "post": post,
            "creator": {"actor_id": f"https://there.example.org/u/person{n}"},
            "community": {"name": "llm", "actor_id": "https://there.example.org/c/llm"},
        }

    def search(self, request: Request) -> Response:
        start = (int(request.args["page"]) - 1) * self.page
        numbers = list(reversed(self.living()))[start : start + self.page]
        return answer({"type_": "Posts", "posts": [self.view(n) for n in numbers], "comments": []})

    def one(self, request: Request) -> Response:
        n = int(request.args["id"])
        return (
            answer({"post_view": self.view(n)}) if n in self.living() else answer({"error": "couldnt_find_post"}, 404)
        )


WORLDS: dict[str, type[World]] = {world.name: world for world in (RedditWorld, HubWorld, LemmyWorld)}


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, desk: Desk) -> World:
    desk.environ |= CREDENTIALS
    return WORLDS[request.param](desk.replay)


test_what_fails_in_passing = faults.test_what_fails_in_passing_is_tried_again_and_nothing_is_lost
test_a_told_wait = faults.test_a_told_wait_is_kept_in_full
test_what_fails_for_good = faults.test_what_fails_for_good_is_never_taken_for_an_empty_answer
test_a_silent_server = faults.test_a_server_that_does_not_answer_is_given_up_and_asked_again_next_time
test_a_wait_beyond_the_budget = faults.test_a_wait_beyond_the_budget_ends_the_source_and_is_kept_by_the_next_run
test_what_is_deleted = faults.test_what_is_deleted_is_erased_and_stays_away
test_an_edit = faults.test_an_edit_is_taken_over
test_hostile_text = faults.test_hostile_text_is_stored_as_text
test_a_clock_ahead = faults.test_a_clock_that_jumps_ahead_leaves_no_hole
test_a_clock_back = faults.test_a_clock_that_jumps_back_does_not_lengthen_a_wait
test_no_secret = faults.test_no_secret_in_any_file_left_behind

LISTS = {"reddit": "/r/LocalLLaMA/new", "hub": "/api/models/o/r/discussions", "lemmy": "/api/v3/search"}


def test_a_list_that_repeats_for_ever_ends(desk: Desk, world: World) -> None:
    whole, first = desk.replay.routes[LISTS[world.name]], list[Response]()

    def same(request: Request) -> Response:
        first.append(whole(request))
        return Response(first[0].get_data(), content_type="application/json")

    desk.replay.on(LISTS[world.name], same)
    report = desk.run(world.entry(requests=60)).sources[0]
    assert len(desk.replay.asked) <= 60
    assert "complete" not in {w.verdict for w in report.windows}
    desk.replay.on(LISTS[world.name], whole)
    desk.run(world.entry())
    assert set(desk.items()) == world.all_ids()


@pytest.mark.parametrize("shape", [s for s in faults.SHAPES if not s.startswith("[" * 10)])
def test_json_of_any_shape_stores_nothing_and_breaks_nothing(desk: Desk, world: World, shape: str) -> None:
    desk.run(world.entry())
    before = desk.items()

    def odd(number: int, request: Request) -> Response | None:
        return None if request.path.endswith("access_token") else answer(shape)

    desk.replay.fault = odd
    desk.run(world.entry())
    assert desk.items().keys() == before.keys()
    desk.replay.fault = None
    desk.clock.wall += 3600
    assert {w.verdict for w in desk.run(world.entry()).sources[0].windows} == {"complete"}
    assert set(desk.items()) == world.all_ids()


@pytest.mark.parametrize("shape", ["[]", "{}", "null", '"text"', '{"expires_in": "soon", "access_token": 3}'])
def test_a_token_of_any_shape_stores_nothing(desk: Desk, shape: str) -> None:
    desk.environ |= CREDENTIALS
    world = RedditWorld(desk.replay)
    desk.replay.on("/api/v1/access_token", answer(shape))
    report = desk.run(world.entry()).sources[0]
    assert [w.verdict for w in report.windows] == ["incomplete"]
    desk.replay.on("/api/v1/access_token", TOKEN)
    desk.run(world.entry())
    assert set(desk.items()) == world.all_ids()


def test_the_budget_of_requests_stops_and_the_next_run_goes_on(desk: Desk, world: World) -> None:
    budget = {"reddit": 3, "hub": 6, "lemmy": 2}[world.name]
    report = desk.run(world.entry(), Options(budget=budget)).sources[0]
    assert report.asked == budget and report.resume_after
    assert 0 < len(desk.items()) < len(world.all_ids())
    desk.run(world.entry(), Options(recheck=False))
    assert set(desk.items()) == world.all_ids()
    texts = [s.url for s in desk.replay.asked if s.path.rpartition("/")[2].isdigit() or s.args.get("after")]
    assert len(texts) == len(set(texts)), "a page was asked twice"


def test_ten_kills_at_commit_points_end_as_an_undisturbed_run(desk: Desk, world: World) -> None:

    class KilledError(Exception):
        pass

    plan = desk.plan(world.entry())
    for nth in range(1, 11):
        left = [nth]

        def maybe(point: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError(point)

        with Store(desk.store_path, KEY, maybe) as store:
            try:
                Runner(store, plan, desk.environ, desk.clock, jitter=lambda: 0.0).run(Options(recheck=False))
            except KilledError:
                continue
    desk.run(world.entry())
    assert set(desk.items()) == world.all_ids()
    assert {w["verdict"] for w in desk.table("windows")} == {"complete"}
    bodies = {native: json.dumps(row["body"]) for native, row in desk.items().items()}
    assert bodies == {world.native(n): json.dumps(world.text(n)) for n in world.living()}
