"""Small worlds, one per source: a few posts behind endpoints that page and filter as the real ones do.

All texts are made up. `MAX` posts are told apart by number; post 3 may be edited, post 5 deleted.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from werkzeug import Request, Response

from flywheel.collect.record import iso
from tests.collect.conftest import ASKED, Replay, answer

MAX = 7
START = 1_794_400_000  # 2026-11-11, a day after the plans of the tests begin
HOUR = 3600


@dataclass
class World:
    """What is there now; tests change it between runs."""

    replay: Replay
    texts: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    page: int = 2
    total_factor: float = 1.0  # what the source says of its total, against the truth
    name = ""

    def __post_init__(self) -> None:
        self.install()

    def install(self) -> None:
        raise NotImplementedError

    def entry(self, **more: Any) -> dict[str, Any]:
        raise NotImplementedError

    def native(self, n: int) -> str:
        raise NotImplementedError

    def text(self, n: int) -> str:
        return self.texts.get(n, f"My fine-tuning run number {n} fails. What now?")

    def made(self, n: int) -> int:
        return START + n * HOUR

    def living(self) -> list[int]:
        return [n for n in range(1, MAX + 1) if n not in self.gone]

    def all_ids(self) -> set[str]:
        return {self.native(n) for n in self.living()}

    def url(self, n: int) -> str:
        raise NotImplementedError


class GitHubWorld(World):
    name = "github"

    def install(self) -> None:
        self.replay.on("/repos/o/r/issues", self.listing)
        self.replay.on("/repos/o/r/issues/*", self.one)

    def entry(self, **more: Any) -> dict[str, Any]:
        repository = {"name": "o/r", **ASKED}
        return {"github": {"base_url": self.replay.url, "repositories": [repository], **more}}

    def native(self, n: int) -> str:
        return f"issue:{1000 + n}"

    def url(self, n: int) -> str:
        return f"https://github.com/o/r/issues/{n}"

    def issue(self, n: int) -> dict[str, Any]:
        changed = self.made(n) + (60 if n in self.texts else 0)
        return {
            "id": 1000 + n,
            "node_id": f"I_{n}",
            "html_url": self.url(n),
            "title": f"Title {n}",
            "body": self.text(n),
            "user": {"login": f"person{n}", "type": "User"},
            "created_at": iso(self.made(n)),
            "updated_at": iso(changed),
            "state": "open",
            "comments": n,
            "future_field": {"a": [1]},
        }

    def listing(self, request: Request) -> Response:
        since = request.args.get("since", "")
        numbers = [n for n in self.living() if self.issue(n)["updated_at"] >= since]
        page = int(request.args.get("page", "1"))
        chosen = numbers[(page - 1) * self.page : page * self.page]
        more = len(numbers) > page * self.page
        # As GitHub does: an absolute address on its own host, whatever host was asked.
        link = f'<https://api.github.com/repos/o/r/issues?since={since}&page={page + 1}>; rel="next"'
        return answer([self.issue(n) for n in chosen], headers={"Link": link} if more else {})

    def one(self, request: Request) -> Response:
        n = int(request.path.rpartition("/")[2])
        return answer(self.issue(n)) if n in self.living() else answer({"message": "This issue was deleted"}, 410)


class HackerNewsWorld(World):
    name = "hackernews"

    def install(self) -> None:
        self.replay.on("/api/v1/search_by_date", self.search)
        self.replay.on("/v0/item/*", self.item)

    def entry(self, **more: Any) -> dict[str, Any]:
        search = {"q": "fine-tuning", "match": "fine-?tun", **ASKED}
        return {
            "hackernews": {
                "base_url": self.replay.url,
                "items_url": self.replay.url,
                "searches": [search],
                "pace": 0,
                **more,
            }
        }

    def native(self, n: int) -> str:
        return str(1000 + n)

    def url(self, n: int) -> str:
        return f"https://news.ycombinator.com/item?id={1000 + n}"

    def search(self, request: Request) -> Response:
        found = re.findall(r"\d+", request.args["numericFilters"])
        since, until = int(found[0]), int(found[1])
        numbers = [n for n in self.living() if since <= self.made(n) < until]
        page = int(request.args.get("page", "0"))
        chosen = numbers[page * self.page : (page + 1) * self.page]
        hits = [
            {
                "objectID": self.native(n),
                "created_at_i": self.made(n),
                "_tags": ["comment"],
                "comment_text": self.text(n),
                "author": f"person{n}",
                "story_id": 1,
            }
            for n in chosen
        ]
        pages = -(-len(numbers) // self.page)
        total = int(len(numbers) * self.total_factor)
        return answer({"hits": hits, "nbHits": total, "nbPages": pages, "exhaustiveNbHits": True})

    def item(self, request: Request) -> Response:
        n = int(re.findall(r"\d+", request.path)[-1]) - 1000
        if n not in self.living():
            return answer({"id": 1000 + n, "deleted": True, "type": "comment", "time": self.made(n)})
        told = {"id": 1000 + n, "type": "comment", "time": self.made(n), "text": self.text(n), "by": f"person{n}"}
        return answer(told)


class StackExchangeWorld(World):
    name = "stackexchange"

    def install(self) -> None:
        self.replay.on("/2.3/questions", self.listing)
        self.replay.on("/2.3/questions/*", self.by_ids)

    def entry(self, **more: Any) -> dict[str, Any]:
        site = {"site": "stackoverflow", "tagged": "fine-tuning", **ASKED}
        return {"stackexchange": {"base_url": self.replay.url, "sites": [site], **more}}

    def native(self, n: int) -> str:
        return f"stackoverflow.com:{1000 + n}"

    def url(self, n: int) -> str:
        return f"https://stackoverflow.com/questions/{1000 + n}"

    def question(self, n: int) -> dict[str, Any]:
        return {
            "question_id": 1000 + n,
            "title": f"Title &quot;{n}&quot;",
            "body": f"<p>{self.text(n)}</p>",
            "creation_date": self.made(n),
            "score": n,
            "answer_count": 0,
            "content_license": "CC BY-SA 4.0",
            "owner": {"user_id": n, "display_name": f"Person {n}", "link": f"https://stackoverflow.com/users/{n}"},
            **({"last_edit_date": self.made(n) + 60} if n in self.texts else {}),
        }

    def listing(self, request: Request) -> Response:
        low, high = int(request.args["min"]), int(request.args["max"])
        numbers = [n for n in self.living() if low <= self.made(n) <= high]
        page = int(request.args["page"])
        chosen = numbers[(page - 1) * self.page : page * self.page]
        return answer(
            {
                "items": [self.question(n) for n in chosen],
                "has_more": len(numbers) > page * self.page,
                "quota_remaining": 9000,
            }
        )

    def by_ids(self, request: Request) -> Response:
        numbers = [int(i) - 1000 for i in unquote(request.path).rpartition("/")[2].split(";")]
        return answer({"items": [self.question(n) for n in numbers if n in self.living()], "has_more": False})


class DiscourseWorld(World):
    name = "discourse"

    def install(self) -> None:
        self.replay.on("/posts.json", self.posts)
        self.replay.on("/t/9/posts.json", self.of_topic)
        self.replay.on("/t/9.json", {"title": "Topic", "post_stream": {"posts": []}})

    def entry(self, **more: Any) -> dict[str, Any]:
        forum = {"base_url": self.replay.url, "site": "https://forum.example.org", **ASKED}
        return {"discourse": {"forums": [forum], "pace": 0, **more}}

    def native(self, n: int) -> str:
        return f"forum.example.org:{n}"

    def url(self, n: int) -> str:
        return "https://forum.example.org/t/topic/9" + (f"/{n}" if n > 1 else "")

    def post(self, n: int) -> dict[str, Any]:
        return {
            "id": n,
            "topic_id": 9,
            "topic_slug": "topic",
            "topic_title": "Topic",
            "post_number": n,
            "post_type": 1,
            "created_at": iso(self.made(n)),
            "updated_at": iso(self.made(n) + (60 if n in self.texts else 0)),
            "raw": self.text(n),
            "cooked": f"<p>{self.text(n)}</p>",
            "user_id": n,
            "username": f"person{n}",
        }

    def posts(self, request: Request) -> Response:
        before = int(request.args.get("before", MAX))
        numbers = [n for n in reversed(self.living()) if before - 50 < n <= before][: self.page]
        return answer({"latest_posts": [self.post(n) for n in numbers]})

    def of_topic(self, request: Request) -> Response:
        ids = [int(i) for i in request.args.getlist("post_ids[]")]
        return answer({"post_stream": {"posts": [self.post(n) for n in ids if n in self.living()]}})


WORLDS: dict[str, type[World]] = {
    world.name: world for world in (GitHubWorld, HackerNewsWorld, StackExchangeWorld, DiscourseWorld)
}
