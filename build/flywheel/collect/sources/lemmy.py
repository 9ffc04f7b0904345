"""Lemmy: posts and comments of an instance by search, newest first.

An instance shows posts of others too; one post has many numbers but one `ap_id`, which is its address where it
was written and its name here. Limits are low and an instance's own. https://join-lemmy.org/api"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from flywheel.clean import markdown_text
from flywheel.collect.border import Count, Crossing, Id, IsoTime, Item, cross
from flywheel.collect.client import CallerError, Client, NotThereError
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso_of, seconds_of
from flywheel.collect.source import Query, Source

PAGE = 50  # the most a search gives
LAST_PAGE = 200

Kind = Literal["Posts", "Comments"]


class Search(Asked):
    q: Annotated[str, Field(min_length=3)]
    match: str  # regular expression that title or text must match: the search is a loose one
    types: tuple[Kind, ...] = ("Posts", "Comments")


class Settings(SourcePlan):
    base_url: BaseUrl
    searches: tuple[Search, ...] = ()


class Body(Item):
    """A post or a comment, as far as both are alike."""

    id: Id
    ap_id: str
    published: IsoTime
    updated: IsoTime | None = None
    deleted: bool = False
    removed: bool = False


class Post(Body):
    name: str
    body: str | None = None
    locked: bool = False


class Comment(Body):
    content: str


class Person(Item):
    actor_id: str | None = None
    bot_account: bool = False


class Community(Item):
    name: str
    actor_id: str


class Tally(Item):
    score: Count | None = None
    comments: Count | None = None


class PostView(Item):
    post: Post
    creator: Person = Person()
    community: Community
    counts: Tally = Tally()


class CommentView(Item):
    comment: Comment
    post: Post
    creator: Person = Person()
    community: Community
    counts: Tally = Tally()


def _community(community: Community) -> str:
    return f"{urlsplit(community.actor_id).hostname}/{community.name}"


def _gone(body: Body) -> Gone | None:
    if body.deleted or body.removed:
        return Gone("deleted" if body.deleted else "removed", body.ap_id, body.ap_id, "lemmy")
    return None


def from_post(view: PostView) -> Record | Gone | None:
    post = view.post
    if gone := _gone(post):
        return gone
    if view.creator.bot_account:
        return None
    return Record(
        source="lemmy",
        native_id=post.ap_id,
        url=post.ap_id,
        kind="post",
        community=_community(view.community),
        title=post.name,
        body=markdown_text(post.body or "") or None,
        created=iso_of(post.published),
        edited=iso_of(post.updated) if post.updated else None,
        score=view.counts.score,
        n_replies=view.counts.comments,
        thread=post.ap_id,
        author=view.creator.actor_id,
        state="locked" if post.locked else None,
        ref=f"post {post.id}",
    )


def from_comment(view: CommentView) -> Record | Gone | None:
    comment = view.comment
    if gone := _gone(comment):
        return gone
    body = markdown_text(comment.content)
    if view.creator.bot_account or not body:
        return None
    return Record(
        source="lemmy",
        native_id=comment.ap_id,
        url=comment.ap_id,
        kind="comment",
        community=_community(view.community),
        body=body,
        created=iso_of(comment.published),
        edited=iso_of(comment.updated) if comment.updated else None,
        score=view.counts.score,
        thread=view.post.ap_id,
        author=view.creator.actor_id,
        ref=f"comment {comment.id}",
    )


def crossing_of(answer: Mapping[str, Any], into: Crossing | None = None) -> Crossing:
    """Posts and comments of a search, or the one of a look-up."""
    crossing = Crossing() if into is None else into
    posts, comments = answer.get("posts") or [], answer.get("comments") or []
    cross([*posts, *filter(None, [answer.get("post_view")])], PostView, from_post, "id", crossing)
    return cross([*comments, *filter(None, [answer.get("comment_view")])], CommentView, from_comment, "id", crossing)


class Lemmy(Source[Settings]):
    name = "lemmy"
    pace = 2.0  # searches are the scarcest bucket, and its size is each instance's own
    settings = Settings

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"{kind}:{s.q}:{s.match}", s, kind) for s in plan.searches for kind in s.types]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        search = query.asked
        assert isinstance(search, Search)  # noqa: S101 - queries() makes no other
        wanted = re.compile(search.match, re.IGNORECASE)
        number, doubted = int(cursor or 1), False
        while True:
            params = {"q": search.q, "type_": query.spec, "sort": "New", "limit": PAGE, "page": number}
            answer = client.get(plan.base_url, "/api/v3/search", params).data
            items = answer.get(query.spec.lower()) if isinstance(answer, dict) else None
            if not isinstance(items, list):
                yield Page(verdict="incomplete", reason=f"an answer without {query.spec.lower()}")
                return
            if not items and number == 1 and not doubted:
                doubted = True  # an index that is being built answers with nothing
                continue
            crossing = crossing_of(answer)
            oldest = min((seconds_of(r.created or "") for r in crossing.records), default=window.until)
            kept = [
                r
                for r in crossing.records
                if window.since <= seconds_of(r.created or "") < window.until
                and wanted.search(f"{r.title or ''}\n{r.body or ''}")
            ]
            crossing.unused += len(crossing.records) - len(kept)
            crossing.records = kept
            if not items or oldest < window.since:
                yield crossing.page()
                return
            if number >= LAST_PAGE:
                yield crossing.page(verdict="capped", reason=f"more than {LAST_PAGE} pages")
                return
            number += 1
            yield crossing.page(str(number))

    # --- looking up again ----------

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        for one in wanted:
            kind, _, number = (one.ref or "").partition(" ")
            if kind not in ("post", "comment"):
                continue
            crossing = Crossing()
            for _ in range(2):  # asked twice before it is called gone
                try:
                    crossing = crossing_of(client.get(plan.base_url, f"/api/v3/{kind}", {"id": number}).data)
                    break
                except NotThereError:
                    crossing.gone = [Gone("deleted", one.native_id, one.url, "lemmy")]
                except CallerError as error:
                    if f"couldnt_find_{kind}" not in str(error):
                        raise
                    crossing.gone = [Gone("deleted", one.native_id, one.url, "lemmy")]
            yield crossing.page()


SOURCE = Lemmy()
