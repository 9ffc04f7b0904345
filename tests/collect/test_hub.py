"""The Hub through `huggingface_hub` itself; payloads after the library's own types, since no recorded answer is at
hand."""

from typing import Any

import httpx2
import pytest
from werkzeug import Request, Response

from flywheel.collect.client import Client
from flywheel.collect.record import iso
from flywheel.collect.runner import Options, SourceReport
from flywheel.collect.sources import hub
from tests.collect.conftest import ASKED, NOW, Desk, answer, turns

DAY = 86400
REPO = "org/model"


def stamp(seconds: float) -> str:
    return iso(seconds).replace("Z", ".000Z")


def event(id: str, raw: str, author: str | None = "ann", hidden: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "id": id.ljust(24, "0"), "type": "comment", "createdAt": stamp(NOW - DAY), "author": {"name": author},
        "data": {"edited": False, "hidden": hidden, "latest": {"raw": raw, "html": "", "updatedAt": stamp(NOW)}},
    } | more  # fmt: skip


def listed(num: int, age: float = 1.0, title: str = "Fine-tuning fails", **more: Any) -> dict[str, Any]:
    return {
        "num": num, "title": title, "status": "open", "isPullRequest": False, "author": {"name": "ann", "isPro": True},
        "createdAt": stamp(NOW - age * DAY), "repo": {"name": REPO, "type": "model"}, "topReactions": [],
    } | more  # fmt: skip


def whole(num: int, *events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return listed(num, **more) | {"events": list(events) or [event(f"{num}a", "It **fails** after fine-tuning.")]}


class Site:
    """A repository's discussions, 3 a page."""

    def __init__(self, desk: Desk, *discussions: dict[str, Any]) -> None:
        self.desk = desk
        self.all = {d["num"]: d for d in discussions}
        desk.replay.on(f"/api/models/{REPO}/discussions", self.page)
        desk.replay.on(f"/api/models/{REPO}/discussions/*", self.one)

    def page(self, request: Request) -> Response:
        start = int(request.args.get("p", 0)) * 3
        heads = [{k: v for k, v in d.items() if k != "events"} for _, d in sorted(self.all.items(), reverse=True)]
        return answer({"discussions": heads[start : start + 3], "count": len(heads), "start": start})

    def one(self, request: Request) -> Response:
        num = int(request.path.rpartition("/")[2])
        return answer(self.all[num]) if num in self.all else answer({"error": "Discussion not found"}, 404)

    def entry(self, match: str = "", **more: Any) -> dict[str, Any]:
        return {
            "hub": {"base_url": self.desk.replay.url, "repositories": [{"name": REPO, "match": match, **ASKED}], **more}
        }

    def run(self, options: Options | None = None, **more: Any) -> SourceReport:
        return self.desk.run(self.entry(**more), options).sources[0]


def test_discussions_come_with_their_comments(desk: Desk) -> None:
    comments = [
        event("1a", "It **fails**."),
        event("1b", "> It fails\n\nUpdate it.", "bob"),
        event("1c", "", hidden=True),
    ]
    close = {
        "id": "1d" * 12,
        "type": "status-change",
        "createdAt": stamp(NOW),
        "author": {"name": "ann"},
        "data": {"status": "closed"},
    }
    site = Site(desk, whole(1, *comments, close))
    report = site.run()
    assert [w.verdict for w in report.windows] == ["complete"]
    opening, reply = sorted(desk.items().values(), key=lambda row: row["kind"], reverse=True)
    assert (opening["native_id"], opening["url"]) == (
        "model:org/model#1",
        "https://huggingface.co/org/model/discussions/1",
    )
    assert (opening["title"], opening["body"], opening["n_replies"]) == ("Fine-tuning fails", "It **fails**.", 2)
    assert reply["url"] == opening["url"] + "#" + "1b".ljust(24, "0")
    assert (reply["body"], reply["thread"]) == ("Update it.", opening["url"])
    assert report.counts.gone == 1


def test_every_page_is_read_and_a_second_run_writes_nothing(desk: Desk) -> None:
    pinned, rest = whole(99, age=90), [whole(n, age=5 - n / 2) for n in range(2, 10)]
    site = Site(desk, pinned, *rest, whole(1, age=40))
    assert site.run().counts.new == 8
    before = desk.store_path.read_bytes()
    again = site.run()
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert desk.store_path.read_bytes() == before


def test_the_walk_stops_at_the_window_and_goes_on_where_it_was_killed(desk: Desk) -> None:
    site = Site(desk, *(whole(n, age=1 + (7 - n) / 10) for n in range(2, 8)), whole(1, age=100))
    stopped = site.run(Options(budget=5))  # three lists, two discussions
    assert "budget of 5 requests" in stopped.skipped
    assert desk.table("windows")[0]["cursor"] == "6"
    site.run(Options(recheck=False))
    asked = [path for path in desk.replay.paths() if path.rpartition("/")[2].isdigit()]
    assert len(asked) == len(set(asked)) == 6
    assert len(desk.items()) == 6


def test_words_are_looked_for_in_title_and_opening(desk: Desk) -> None:
    site = Site(desk, whole(1), whole(2, event("2a", "Where is the licence?"), title="Licence"))
    assert site.run(match="fine-?tun").counts.new == 1


@pytest.mark.parametrize("name", ["author", "events", "title", "createdAt", "repo"])
def test_an_item_the_library_could_not_read_is_set_aside_and_the_list_goes_on(desk: Desk, name: str) -> None:
    broken = whole(2)
    broken[name] = None
    site = Site(desk, whole(1), broken, whole(3))
    report = site.run(Options(recheck=False))
    assert {"model:org/model#1", "model:org/model#3"} <= set(desk.items())
    if name in ("title", "createdAt", "repo"):
        assert report.counts.quarantined == 1
        assert "model:org/model#2" not in desk.items()
    assert b'"ann"' not in desk.store_path.read_bytes()


def test_a_broken_comment_is_set_aside_and_its_thread_goes_on(desk: Desk) -> None:
    odd = event("1b", "x")
    del odd["data"]["latest"]
    site = Site(desk, whole(1, event("1a", "one"), odd, event("1c", "three", author=None)))
    report = site.run(Options(recheck=False))
    assert (report.counts.new, report.counts.quarantined) == (2, 1)


def test_what_is_missing_hidden_or_moved_is_erased(desk: Desk) -> None:
    site = Site(
        desk, whole(1, event("1a", "one"), event("1b", "two zanzibar"), event("1c", "three zanzibar")), whole(2)
    )
    site.run(Options(recheck=False))
    assert len(desk.items()) == 4
    del site.all[2]
    site.all[1]["events"][1]["data"]["hidden"] = True
    del site.all[1]["events"][2]
    desk.clock.wall += 5 * DAY
    report = site.run()
    assert set(desk.items()) == {"model:org/model#1"}
    assert report.counts.gone >= 3
    for file in desk.directory.glob("store.db*"):
        assert b"zanzibar" not in file.read_bytes()
    deleted = {row["native_id"]: row["why"] for row in desk.table("tombstones")}
    assert deleted["model:org/model#2"] == "deleted"
    assert deleted["comment:" + "1b".ljust(24, "0")] == "removed"
    assert deleted["comment:" + "1c".ljust(24, "0")] == "deleted"


def test_a_repository_that_is_private_or_closed_says_so_and_erases_nothing(desk: Desk) -> None:
    site = Site(desk, whole(1))
    site.run(Options(recheck=False))
    refusal = answer({"error": "Invalid username or password."}, 401, {"X-Error-Code": "RepoNotFound"})
    desk.replay.on(f"/api/models/{REPO}/discussions", refusal)
    desk.replay.on(f"/api/models/{REPO}/discussions/*", refusal)
    desk.clock.wall += 3 * DAY
    report = site.run()
    assert {w.verdict for w in report.windows} == {"error"}
    assert not report.failed
    assert set(desk.items()) == {"model:org/model#1"}


def test_a_refused_token_stops_the_source(desk: Desk) -> None:
    site = Site(desk, whole(1))
    desk.environ["HF_TOKEN"] = "hf_token_of_the_tests_0123456789"
    bad = answer({"error": "Invalid credentials in Authorization header"}, 401)
    desk.replay.on(f"/api/models/{REPO}/discussions", bad)
    assert "refused" in site.run().failed


@pytest.mark.parametrize(
    "address", ["https://huggingface.co/api/agent-harnesses", "https://huggingface.co/api/models/o/r"]
)
def test_nothing_goes_out_but_what_is_asked_of_the_host_of_the_plan(desk: Desk, address: str) -> None:
    transport = hub._Transport(Client(), desk.replay.url)
    for url in (address, desk.replay.url + "/api/agent-harnesses"):
        with pytest.raises(httpx2.ConnectError):
            transport.handle_request(httpx2.Request("GET", url))
    assert desk.replay.asked == []


def test_the_token_travels_in_a_header(desk: Desk) -> None:
    site = Site(desk, whole(1))
    desk.environ["HF_TOKEN"] = "hf_token_of_the_tests_0123456789"
    site.run()
    assert {s.headers["Authorization"] for s in desk.replay.asked} == {"Bearer hf_token_of_the_tests_0123456789"}
    assert not any("hf_token" in s.url for s in desk.replay.asked)


def test_a_list_whose_count_lies_ends(desk: Desk) -> None:
    Site(desk, whole(1))
    head = {k: v for k, v in whole(1).items() if k != "events"}
    page = turns({"discussions": [head], "count": 10**9, "start": 0}, {"discussions": [], "count": 10**9, "start": 1})
    desk.replay.on(f"/api/models/{REPO}/discussions", page)
    site_entry = {"hub": {"base_url": desk.replay.url, "repositories": [{"name": REPO, **ASKED}]}}
    report = desk.run(site_entry, Options(recheck=False)).sources[0]
    assert report.counts.new == 1


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://huggingface.co/org/model/discussions/3", ("model", "org/model", 3)),
        ("https://huggingface.co/gpt2/discussions/3", ("model", "gpt2", 3)),
        ("https://huggingface.co/datasets/org/set/discussions/3", ("dataset", "org/set", 3)),
        ("https://huggingface.co/spaces/org/set/discussions/3#" + "a" * 24, ("space", "org/set", 3)),
        ("https://huggingface.co/org/model", None),
    ],
)
def test_place_of_a_url(url: str, place: tuple[str, str, int] | None) -> None:
    assert hub.place_of(url) == place
    if place and "#" not in url:
        assert hub.address(*place) == url
