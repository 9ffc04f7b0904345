"""Discourse forums: the walk down `/posts.json`, newest post first, over all topics of a forum.

`before=N` gives the posts with ids from N down to N - 49, so posts that are hidden from us leave holes, and a
page may be empty in the middle. Another forum is one more line in `data/collect.yml`. Quotes of others
(`[quote]`, asides) are not the author's words and are dropped. https://docs.discourse.org"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from flywheel.clean import html_text, markdown_text, unescape_once
from flywheel.collect.border import Count, Id, IsoTime, Item, cross
from flywheel.collect.client import AuthError, Client, NotThereError, UnavailableError
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso_of, seconds_of
from flywheel.collect.source import Query, Source

SPAN = 50  # ids one page reaches over
EMPTY = 40  # pages without a post in a row (2,000 ids) before the walk is given up
CHUNK = 20  # post ids in one question to a topic


class Forum(Asked):
    base_url: BaseUrl
    site: BaseUrl | None = None  # public address, where it is not base_url
    source: Annotated[str, Field(pattern=r"^\w+$")] = "discourse"  # name in data/sources.yml
    match: str = ""  # regular expression that topic title or text must match; empty: every post is kept

    @property
    def address(self) -> str:
        return self.site or self.base_url

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc


class Settings(SourcePlan):
    forums: tuple[Forum, ...] = ()


class Post(Item):
    id: Id
    topic_id: Id
    topic_slug: str = "-"
    topic_title: str | None = None
    post_number: Id
    post_type: int = 1
    created_at: IsoTime
    updated_at: IsoTime | None = None
    raw: str | None = None
    cooked: str | None = None
    username: str | None = None
    user_id: int | None = None
    posts_count: Count | None = None
    actions_summary: tuple[Any, ...] = ()
    hidden: bool = False
    user_deleted: bool = False
    deleted_at: str | None = None


def from_post(post: Post, forum: Forum, title: str | None = None) -> Record | Gone | None:
    """A post of a topic; None for moderator actions, small actions and whispers."""
    native_id = f"{forum.host}:{post.id}"
    if post.deleted_at or post.user_deleted or post.hidden:
        removed = post.hidden and not post.user_deleted
        return Gone("removed" if removed else "deleted", native_id, source=forum.source)
    if post.post_type != 1:
        return None
    topic = f"{forum.address}/t/{post.topic_slug or '-'}/{post.topic_id}"
    opening = post.post_number == 1
    body = markdown_text(post.raw) if post.raw is not None else html_text(post.cooked or "")
    if not opening and not body:
        return None  # a picture, or nothing but someone else's words
    likes = [a.get("count") for a in post.actions_summary if isinstance(a, dict) and a.get("id") == 2]
    return Record(
        source=forum.source,
        native_id=native_id,
        url=topic if opening else f"{topic}/{post.post_number}",
        kind="post" if opening else "comment",
        community=forum.host,
        title=unescape_once(post.topic_title or title or "") or None if opening else None,
        body=body or None,
        created=iso_of(post.created_at),
        edited=iso_of(post.updated_at) if post.updated_at else None,
        score=likes[0] if likes and isinstance(likes[0], int) else 0,
        n_replies=post.posts_count - 1 if opening and post.posts_count else None,
        thread=topic,
        author=str(post.user_id) if post.user_id else post.username,
    )


class Discourse(Source[Settings]):
    name = "discourse"
    pace = 2.0  # 200 requests a minute are allowed; 30 a forum is practice
    settings = Settings

    def headers(self, plan: Settings, environ: Mapping[str, str]) -> dict[str, str]:
        # One key cannot be right for several forums, so it is sent only where there is one.
        key, user = environ.get("DISCOURSE_API_KEY"), environ.get("DISCOURSE_API_USERNAME")
        return {"Api-Key": key, "Api-Username": user} if key and user and len(plan.forums) == 1 else {}

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"posts:{forum.host}:{forum.match}", forum) for forum in plan.forums]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        forum = query.asked
        assert isinstance(forum, Forum)  # noqa: S101 - queries() makes no other
        wanted = re.compile(forum.match, re.IGNORECASE)
        before, empty, repeats = int(cursor) if cursor else None, 0, 0
        while True:
            params = {} if before is None else {"before": before}
            posts = client.get(forum.base_url, "/posts.json", params).data
            posts = posts.get("latest_posts") if isinstance(posts, dict) else None
            if not isinstance(posts, list):
                yield Page(verdict="incomplete", reason="an answer without latest_posts")
                return
            crossing = cross(posts, Post, lambda p: from_post(p, forum))
            titles = {p["id"]: str(p.get("topic_title", "")) for p in posts if isinstance(p, dict) and "id" in p}
            kept = [r for r in crossing.records if wanted.search(f"{_title(r, titles)}\n{r.body or ''}")]
            # The walk is by id; a post's time says only whether the walk has come far enough.
            ids = [i for i in titles if isinstance(i, int)]
            oldest = min((seconds_of(r.created or "") for r in crossing.records), default=window.until)
            crossing.unused += len(crossing.records) - len(kept)
            crossing.records = kept
            if before is None and not posts:
                yield crossing.page()
                return
            lowest = min(ids, default=(before or 0) - SPAN)
            empty = 0 if posts else empty + 1
            repeats = repeats + 1 if before is not None and ids and lowest >= before else 0
            if oldest < window.since or lowest <= 1:
                yield crossing.page()
                return
            if empty >= EMPTY or repeats > 1:
                reason = "the forum repeats itself" if repeats else f"{EMPTY * SPAN} ids without a post that we may see"
                yield crossing.page(verdict="incomplete", reason=reason)
                return
            before = lowest if before is None or lowest < before else before - SPAN
            yield crossing.page(str(before))

    # --- looking up again ----------

    def owns(self, plan: Settings, url: str) -> bool:
        return any(_topic(forum, url) is not None for forum in plan.forums)

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        """Posts by topic, twenty at a time. Where only a url is known, the opening post or the numbered
        one."""
        for forum in plan.forums:
            by_topic: dict[int, list[Wanted]] = {}
            for one in wanted:
                if (topic := _topic(forum, one.url)) is not None:
                    by_topic.setdefault(topic, []).append(one)
            for topic, ones in by_topic.items():
                known = iter([w for w in ones if w.native_id])
                while chunk := list(islice(known, CHUNK)):
                    yield self._known(client, forum, topic, chunk)
                for one in (w for w in ones if not w.native_id):
                    yield self._by_url(client, forum, topic, one)

    def _known(self, client: Client, forum: Forum, topic: int, ones: list[Wanted]) -> Page:
        by_id = {int((w.native_id or "").rpartition(":")[2]): w for w in ones}
        try:
            posts = self._posts(client, forum, topic, list(by_id))
            missing = [i for i in by_id if i not in posts]
            if missing and len(missing) < len(by_id):
                posts |= self._posts(client, forum, topic, missing)
            elif missing:
                # None at all: the topic itself decides.
                _stream(client.get(forum.base_url, f"/t/{topic}.json").data)
                posts |= self._posts(client, forum, topic, missing)
        except (NotThereError, AuthError):
            # 403 for one topic: it was made private, and is no longer public.
            return Page(gone=[Gone("deleted", w.native_id, w.url, forum.source) for w in ones])
        crossing = cross([posts[i] for i in by_id if i in posts], Post, lambda p: from_post(p, forum))
        crossing.gone += [
            Gone("deleted", by_id[i].native_id, by_id[i].url, forum.source) for i in by_id if i not in posts
        ]
        return crossing.page()

    def _posts(self, client: Client, forum: Forum, topic: int, ids: list[int]) -> dict[int, Any]:
        params: list[tuple[str, str | int]] = [("post_ids[]", i) for i in ids]
        data = client.get(forum.base_url, f"/t/{topic}/posts.json", [*params, ("include_raw", "true")]).data
        return {p["id"]: _told_topic(p, data) for p in _stream(data) if p.get("id") in ids}

    def _by_url(self, client: Client, forum: Forum, topic: int, one: Wanted) -> Page:
        number = _post_number(one.url)
        try:
            data = client.get(forum.base_url, f"/t/{topic}.json", {"include_raw": "true"}).data
            post = next((p for p in _stream(data) if p.get("post_number") == number), None)
            if post is None:
                post = client.get(forum.base_url, f"/posts/by_number/{topic}/{number}.json").data
        except (NotThereError, AuthError):
            return Page(gone=[Gone("deleted", None, one.url, forum.source)])
        crossing = cross([_told_topic(post, data)], Post, lambda p: from_post(p, forum))
        crossing.gone = [replace(gone, url=one.url) for gone in crossing.gone]
        return crossing.page()


def _title(record: Record, titles: Mapping[int, str]) -> str:
    return titles.get(int(record.native_id.rpartition(":")[2]), "")


def _stream(data: Any) -> list[dict[str, Any]]:
    """The posts of a topic's answer. What is not among them may be erased, so the list must be one beyond doubt."""
    stream = data.get("post_stream") if isinstance(data, dict) else None
    posts = stream.get("posts") if isinstance(stream, dict) else None
    if not isinstance(posts, list) or not all(isinstance(p, dict) and type(p.get("id")) is int for p in posts):
        raise UnavailableError("a topic was asked for and something else came")
    return posts


def _told_topic(post: Any, topic: Any) -> Any:
    """A post as `/posts.json` would show it: with its topic's title and number of posts."""
    if not isinstance(post, dict) or not isinstance(topic, dict):
        return post
    told = {"topic_title": topic.get("title"), "posts_count": topic.get("posts_count")}
    return {**{name: value for name, value in told.items() if value is not None}, **post}


def _path(forum: Forum, url: str) -> re.Match[str] | None:
    parts = urlsplit(url)
    return re.fullmatch(r"/t/(?:[^/]+/)?(\d+)(?:/(\d+))?/?", parts.path) if parts.netloc == forum.host else None


def _topic(forum: Forum, url: str) -> int | None:
    match = _path(forum, url)
    return int(match[1]) if match else None


def _post_number(url: str) -> int:
    match = re.search(r"/t/(?:[^/]*[^/\d][^/]*/)\d+/(\d+)/?$", urlsplit(url).path)
    return int(match[1]) if match else 1


SOURCE = Discourse()
