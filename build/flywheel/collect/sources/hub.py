"""Hugging Face Hub: discussions of curated model, data set and space repositories, through `huggingface_hub`.

The library names the endpoints and pages; its requests pass through `_Transport`, and so through the common
client. It takes every answer on trust (one item without an author ends a listing), so items are read at the
border first and only sound ones reach it. Lists hold no texts: each discussion is one more question. They have
no time of the last comment either; new comments come in when a discussion is looked up again.

No recorded answer of the Hub is at hand: models and tests follow `huggingface_hub` 2.4's own types.
https://huggingface.co/docs/huggingface_hub/package_reference/community"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import httpx2
from huggingface_hub import HfApi, set_client_factory
from pydantic import Field, ValidationError

from flywheel.clean import markdown_text
from flywheel.collect.border import Crossing, Id, IsoTime, Item, broken, cross, why
from flywheel.collect.client import AuthError, CallerError, Client, NotThereError, UnavailableError
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Broken, Gone, Page, Record, Wanted, Why, Window, iso_of
from flywheel.collect.source import Query, Source

SITE = "https://huggingface.co"
OLDER = 50  # discussions in a row from before the window: pinned ones are fewer
HIDDEN = "This comment has been hidden"  # what stands in place of a hidden comment's text

RepoType = Literal["model", "dataset", "space"]


class Repository(Asked):
    name: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    type: RepoType = "model"
    match: str = ""  # regular expression that title or text must match; empty: everything is kept


class Settings(SourcePlan):
    base_url: BaseUrl
    repositories: tuple[Repository, ...] = ()


# --- items ----------


class Author(Item):
    name: str | None = None


class Repo(Item):
    name: str
    type: RepoType = "model"


class Listed(Item):
    """A discussion as lists and answers show it; all that `huggingface_hub` reads of it."""

    num: Id
    title: str
    status: str
    author: Author | None = None
    created: Annotated[IsoTime, Field(alias="createdAt")]
    repo: Repo
    pull_request: Annotated[bool, Field(alias="isPullRequest")] = False


class Latest(Item):
    raw: str
    updated: Annotated[IsoTime | None, Field(alias="updatedAt")] = None


class CommentData(Item):
    latest: Latest
    edited: bool = False
    hidden: bool = False


class Event(Item):
    id: Annotated[str, Field(pattern=r"^\w{1,40}$")]
    type: str
    author: Author | None = None
    created: Annotated[IsoTime, Field(alias="createdAt")]


class CommentEvent(Event):
    data: CommentData

    @property
    def text(self) -> str:
        return HIDDEN if self.data.hidden else self.data.latest.raw

    @property
    def last_edit(self) -> str | None:
        return iso_of(self.data.latest.updated) if self.data.edited and self.data.latest.updated else None


def address(repo_type: str, name: str, num: int) -> str:
    folder = "" if repo_type == "model" else f"{repo_type}s/"
    return f"{SITE}/{folder}{name}/discussions/{num}"


def opening(
    repo_type: str, name: str, num: int, title: str, body: str, author: str | None, created: datetime, status: str,
    n_replies: int | None = None, edited: str | None = None,
) -> Record:  # fmt: skip
    """The first post of a discussion. Where it is hidden the title stays, as it does on the site."""
    text = "" if body.strip() == HIDDEN else markdown_text(body)
    url = address(repo_type, name, num)
    return Record(
        source="hf_hub",
        native_id=f"{repo_type}:{name}#{num}",
        url=url,
        kind="discussion",
        community=name,
        title=title,
        body=text or None,
        created=iso_of(created),
        edited=edited,
        n_replies=n_replies,
        thread=url,
        author=author_of(author),
        state=status,
    )


def reply(
    thread: str, name: str, event_id: str, body: str, author: str | None, created: datetime, edited: str | None = None
) -> Record | Gone | None:
    """A comment under a discussion; Gone where it is hidden, None where it only quotes."""
    url = f"{thread}#{event_id}"
    if body.strip() == HIDDEN:
        return Gone("removed", f"comment:{event_id}", url, "hf_hub")
    text = markdown_text(body)
    if not text or is_bot(author):
        return None
    return Record(
        source="hf_hub",
        native_id=f"comment:{event_id}",
        url=url,
        kind="comment",
        community=name,
        body=text,
        created=iso_of(created),
        edited=edited,
        thread=thread,
        author=author_of(author),
    )


_BOTS = frozenset(("librarian-bot", "model-sizer-bot", "parquet-converter", "sfconvertbot", "giskard-bot"))


def is_bot(name: str | None) -> bool:
    return name in _BOTS


def author_of(name: str | None) -> str | None:
    return None if name in (None, "", "deleted") else name


def thread_of(answer: object) -> Crossing:
    """A whole `discussions/NUM` answer over the border: the opening and its comments."""
    crossing = Crossing()
    try:
        head = Listed.model_validate(answer)
    except ValidationError as error:
        crossing.broken.append(broken(answer, why(error), "num"))
        return crossing
    events = answer.get("events") if isinstance(answer, dict) else None
    comments = [e for e in events or [] if not isinstance(e, dict) or e.get("type") == "comment"]
    if head.pull_request or is_bot(_name(head)):
        crossing.unused += 1 + len(comments)
        return crossing
    name, thread = head.repo.name, address(head.repo.type, head.repo.name, head.num)

    def first(event: CommentEvent) -> Record:
        return opening(
            head.repo.type, name, head.num, head.title, event.text, _name(head), head.created, head.status,
            len(comments) - 1, event.last_edit,
        )  # fmt: skip

    def later(event: CommentEvent) -> Record | Gone | None:
        return reply(thread, name, event.id, event.text, _name(event), event.created, event.last_edit)

    cross(comments[:1], CommentEvent, first, into=crossing)
    cross(comments[1:], CommentEvent, later, into=crossing)
    return crossing


def _name(item: Listed | Event) -> str | None:
    return item.author.name if item.author else None


# --- asking ----------


class _Transport(httpx2.BaseTransport):
    """Carries the questions of `huggingface_hub` over the common client, and keeps what came back."""

    def __init__(self, client: Client, base_url: str) -> None:
        self._client, self._base_url = client, str(httpx2.URL(base_url)).rstrip("/")
        self.answer: Any = None
        self.broken: list[Broken] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        # The library asks its default host a question of its own, for words in its User-Agent. Nothing goes out but
        # to the host of the plan, and nothing but what is asked here.
        path = str(request.url).removeprefix(self._base_url)
        if not path.startswith(tuple(f"/api/{kind}s/" for kind in get_args(RepoType))):
            raise httpx2.ConnectError("not asked for", request=request)
        try:
            self.answer = self._client.get(self._base_url, path).data
        except AuthError as error:
            # The Hub says 401 of a repository that is private or not there, 403 where discussions are closed.
            if "Invalid credentials" in str(error):
                raise
            raise CallerError(f"private, gated, without discussions, or not there: {error}") from None
        if not isinstance(self.answer, dict):
            raise UnavailableError("an answer that is no object")
        return httpx2.Response(200, json=self._sound(self.answer), request=request)

    def _sound(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The answer with what `huggingface_hub` reads of it and can read."""
        if "discussions" not in answer:
            return self._plain(Listed.model_validate(answer)) | {"events": []}
        items, start = answer.get("discussions"), answer.get("start")
        if not isinstance(items, list) or not isinstance(answer.get("count"), int) or not isinstance(start, int):
            raise UnavailableError("a list without discussions, count or start")
        sound = []
        for item in items:
            try:
                sound.append(self._plain(Listed.model_validate(item)))
            except ValidationError as error:
                self.broken.append(broken(item, why(error), "num"))
        # The library goes on while start + items < count; an empty page is the end, whatever the count says.
        dropped = len(items) - len(sound) if items else answer["count"]
        return {"discussions": sound, "count": answer["count"], "start": start + dropped}

    def _plain(self, item: Listed) -> dict[str, Any]:
        return {
            "num": item.num,
            "title": item.title,
            "status": item.status,
            "author": {"name": _name(item) or "deleted"},
            "createdAt": item.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "repo": {"name": item.repo.name, "type": item.repo.type},
            "isPullRequest": False,  # what a pull request has besides is not asked for
        }


@contextmanager
def _asking(client: Client, base_url: str) -> Iterator[tuple[HfApi, _Transport]]:
    """The library, asking through our client for as long as the block lasts."""
    transport = _Transport(client, base_url)
    set_client_factory(lambda: httpx2.Client(transport=transport))
    try:
        yield HfApi(endpoint=base_url, token=False), transport
    except ValidationError as error:
        raise UnavailableError(f"not a discussion: {why(error)}") from None
    finally:
        set_client_factory(httpx2.Client)


class Hub(Source[Settings]):
    name = "hub"
    pace = 0.6  # 500 requests in five minutes are allowed without a token
    settings = Settings

    def headers(self, plan: Settings, environ: Mapping[str, str]) -> dict[str, str]:
        token = environ.get("HF_TOKEN")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"discussions:{r.type}:{r.name}:{r.match}", r) for r in plan.repositories]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        asked = query.asked
        assert isinstance(asked, Repository)  # noqa: S101 - queries() makes no other
        wanted = re.compile(asked.match, re.IGNORECASE)
        with _asking(client, plan.base_url) as (api, transport):
            # Newest first, but for pinned ones; numbers only grow, so the last one read is a place to go on from.
            nums, older = [], 0
            for one in api.get_repo_discussions(asked.name, repo_type=asked.type, discussion_type="discussion"):
                older = older + 1 if one.created_at.timestamp() < window.since else 0
                if older >= OLDER:
                    break
                if window.since <= one.created_at.timestamp() < window.until and (
                    cursor is None or one.num < int(cursor)
                ):
                    nums.append(one.num)
            lost = transport.broken
        nums = sorted(set(nums), reverse=True)
        for n, num in enumerate(nums, start=1):
            crossing, _ = self._thread(client, plan, asked.type, asked.name, num)
            text = "\n".join(f"{r.title or ''}\n{r.body or ''}" for r in crossing.records if r.kind == "discussion")
            if crossing.records and not wanted.search(text):
                crossing.unused += len(crossing.records)
                crossing.records = []
            if n == len(nums):
                crossing.broken += lost
                yield crossing.page()
            else:
                yield crossing.page(str(num))
        if not nums:
            yield Page(broken=lost)

    def _thread(self, client: Client, plan: Settings, repo_type: str, name: str, num: int) -> tuple[Crossing, set[str]]:
        """A discussion with its comments, and the urls of all that is there, of use or not."""
        url = address(repo_type, name, num)
        with _asking(client, plan.base_url) as (api, transport):
            try:
                api.get_discussion_details(name, num, repo_type=repo_type)
            except NotThereError:
                return Crossing(gone=[Gone("deleted", f"{repo_type}:{name}#{num}", url, "hf_hub")]), set()
            except UnavailableError:
                if transport.answer is None:
                    raise
        crossing = thread_of(transport.answer)
        moved = any(record.community != name for record in crossing.records)
        events = [] if moved else transport.answer.get("events") or []
        present = {f"{url}#{e.get('id')}" for e in events if isinstance(e, dict)}
        return crossing, present if moved else present | {url}

    # --- looking up again ----------

    def owns(self, plan: Settings, url: str) -> bool:
        return place_of(url) is not None

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        threads: dict[tuple[str, str, int], list[Wanted]] = {}
        for one in wanted:
            if (place := place_of(one.url)) is not None:
                threads.setdefault(place, []).append(one)
        for (repo_type, name, num), group in sorted(threads.items()):
            crossing, present = self._thread(client, plan, repo_type, name, num)
            if any(one.url not in present for one in group):
                crossing, present = self._thread(client, plan, repo_type, name, num)
            back = {r.url for r in crossing.records} | {g.url for g in crossing.gone}
            why: Why = "moved" if crossing.records and not present else "deleted"
            missing = [one for one in group if one.url not in present and one.url not in back]
            crossing.gone += [Gone(why, one.native_id, one.url, "hf_hub") for one in missing]
            alive = [one for one in group if one.url in present and one.url not in back]
            yield replace(crossing.page(), alive=alive)


def place_of(url: str) -> tuple[str, str, int] | None:
    """(type, repository, number) of a discussion's or comment's canonical url."""
    found = re.fullmatch(
        r"https://huggingface\.co/(?:(datasets|spaces)/)?([\w.-]+(?:/[\w.-]+)?)/discussions/(\d+)(?:#\w+)?", url
    )
    return ((found[1] or "models").removesuffix("s"), found[2], int(found[3])) if found else None


SOURCE = Hub()
