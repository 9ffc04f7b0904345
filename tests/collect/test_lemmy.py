"""Lemmy, the source that shows how one is added. Payloads by hand, after its API's documentation; one recorded
answer."""

from typing import Any

import pytest
from werkzeug import Request, Response

from flywheel.collect.record import iso
from flywheel.collect.runner import Options, SourceReport
from tests.collect.conftest import ASKED, NOW, Desk, answer, recording, turns

DAY = 86400


def view(n: int, age: float = 1.0, **more: Any) -> dict[str, Any]:
    post = {
        "id": n, "ap_id": f"https://there.example.org/post/{n}", "name": f"Fine-tuning, part {n}",
        "body": "It *fails*.", "published": iso(NOW - age * DAY).replace("Z", ".123456Z"), "deleted": False,
        "removed": False,
    }  # fmt: skip
    return {
        "post": post | more,
        "creator": {"actor_id": "https://there.example.org/u/ann", "bot_account": False},
        "community": {"name": "localllama", "actor_id": "https://there.example.org/c/localllama"},
        "counts": {"score": 3, "comments": 2},
    }


def comment(n: int, age: float = 1.0, **more: Any) -> dict[str, Any]:
    told = {
        "id": n, "ap_id": f"https://there.example.org/comment/{n}", "content": "fine-tuning, same here",
        "published": iso(NOW - age * DAY), "deleted": False, "removed": False,
    }  # fmt: skip
    return view(1) | {"comment": told | more}


class Instance:
    def __init__(self, desk: Desk, posts: list[dict[str, Any]], comments: list[dict[str, Any]] | None = None) -> None:
        self.desk, self.posts, self.comments = desk, posts, comments or []
        desk.replay.on("/api/v3/search", self.search)
        desk.replay.on("/api/v3/post", self.post)

    def search(self, request: Request) -> Response:
        start = (int(request.args["page"]) - 1) * 2
        kind = request.args["type_"]
        found = self.posts if kind == "Posts" else self.comments
        empty: dict[str, Any] = {"type_": kind, "posts": [], "comments": []}
        return answer(empty | {kind.lower(): found[start : start + 2]})

    def post(self, request: Request) -> Response:
        found = [p for p in self.posts if str(p["post"]["id"]) == request.args["id"]]
        return answer({"post_view": found[0]}) if found else answer({"error": "couldnt_find_post"}, 404)

    def entry(self, *types: str, **more: Any) -> dict[str, Any]:
        search = {"q": "fine-tuning", "match": "fine-?tun", "types": list(types or ["Posts"]), **ASKED}
        return {"lemmy": {"base_url": self.desk.replay.url, "searches": [search], **more}}

    def run(self, *types: str, options: Options | None = None) -> SourceReport:
        return self.desk.run(self.entry(*types), options).sources[0]


def test_posts_and_comments_down_to_the_window(desk: Desk) -> None:
    posts = [view(5), view(4, name="A GPU"), view(3, body=None), view(2, age=60), view(1, age=90)]
    here = Instance(desk, posts, [comment(9), comment(8, age=60)])
    report = here.run("Posts", "Comments", options=Options(recheck=False))
    assert [w.verdict for w in report.windows] == ["complete", "complete"]
    items = desk.items()
    assert set(items) == {f"https://there.example.org/{p}" for p in ("post/5", "post/3", "comment/9")}
    row = items["https://there.example.org/post/5"]
    assert (row["community"], row["score"], row["n_replies"]) == ("there.example.org/localllama", 3, 2)
    assert items["https://there.example.org/comment/9"]["thread"] == "https://there.example.org/post/1"
    pages = [s.args["page"] for s in desk.replay.asked if s.args.get("type_") == "Posts"]
    assert pages == ["1", "2"]


def test_a_second_run_writes_nothing(desk: Desk) -> None:
    here = Instance(desk, [view(2), view(1, age=60)])
    here.run()
    before = desk.store_path.read_bytes()
    assert here.run().counts.new == 0
    assert desk.store_path.read_bytes() == before


def test_deleted_removed_and_missing_posts_are_erased(desk: Desk) -> None:
    here = Instance(desk, [view(n) for n in (4, 3, 2, 1)])
    here.run(options=Options(recheck=False))
    assert len(desk.items()) == 4
    here.posts = [view(4), view(3, deleted=True), view(2, removed=True)]
    desk.clock.wall += 5 * DAY
    here.run()
    assert set(desk.items()) == {"https://there.example.org/post/4"}
    assert {r["native_id"][-1]: r["why"] for r in desk.table("tombstones")} == {
        "3": "deleted",
        "2": "removed",
        "1": "deleted",
    }


def test_its_own_word_for_a_limit_is_a_wait(desk: Desk) -> None:
    here = Instance(desk, [view(2), view(1, age=60)])
    desk.replay.on("/api/v3/search", turns(answer({"error": "rate_limit_error"}, 400), here.search))
    assert here.run(options=Options(recheck=False)).counts.new == 1
    first, second = desk.replay.times("/api/v3/search")[:2]
    assert second - first >= 60


def test_the_recorded_limit_is_a_wait(desk: Desk) -> None:
    exchange = recording("lemmy/error_rate_limit.http.json")["exchanges"][0]["response"]
    here = Instance(desk, [view(2), view(1, age=60)])
    desk.replay.on("/api/v3/search", turns(Response(exchange["body"], exchange["status"]), here.search))
    assert here.run(options=Options(recheck=False)).counts.new == 1
    assert desk.clock.ticks >= 60


def test_a_bot_and_a_broken_item(desk: Desk) -> None:
    bot = view(3) | {"creator": {"actor_id": "https://there.example.org/u/bot", "bot_account": True}}
    broken = view(2)
    del broken["post"]["ap_id"]
    here = Instance(desk, [bot, broken, view(1, age=60)])
    report = here.run(options=Options(recheck=False))
    assert (report.counts.new, report.counts.quarantined) == (0, 1)
    assert "post.ap_id" in desk.table("quarantine")[0]["reason"]


@pytest.mark.parametrize("bad", ["[]", "{}", "null", '{"posts": 3}', '{"posts": [3, null]}'])
def test_json_of_any_shape(desk: Desk, bad: str) -> None:
    here = Instance(desk, [])
    desk.replay.on("/api/v3/search", answer(bad))
    here.run(options=Options(recheck=False))
    assert desk.items() == {}
