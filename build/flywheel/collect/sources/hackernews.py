"""Hacker News: Algolia's `search_by_date` for finding, the Firebase API for looking up again.

Algolia lists 1000 hits of a query whatever the paging, and past them answers 200 with no hits and a
`message`; so a window with more is halved. It matches loosely (prefixes, typing errors), so every hit is
matched again here. https://hn.algolia.com/api, https://github.com/HackerNews/API"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from flywheel.clean import html_text, unescape_once
from flywheel.collect.border import Count, Crossing, EpochTime, Id, Item, cross
from flywheel.collect.client import Client
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso
from flywheel.collect.source import Query, Source

CAP = 1000
ITEMS_PACE = 0.1  # Firebase states no limit, and gives one item a request
SITE = "https://news.ycombinator.com/item?id="
COMMUNITY = "news.ycombinator.com"


class Search(Asked):
    q: Annotated[str, Field(min_length=3)]  # words that must stand together, as a reader would write them
    match: str  # regular expression that title or text must match
    tags: str = "(story,comment)"


class Settings(SourcePlan):
    base_url: BaseUrl  # Algolia
    items_url: BaseUrl  # Firebase
    searches: tuple[Search, ...] = ()


class Hit(Item):
    objectID: str  # noqa: N815 - Algolia's name
    created_at_i: EpochTime
    tags: Annotated[tuple[str, ...], Field(alias="_tags")] = ()
    title: str | None = None
    story_title: str | None = None
    story_text: str | None = None
    comment_text: str | None = None
    text: str | None = None
    author: str | None = None
    points: Count | None = None
    num_comments: Count | None = None
    story_id: int | None = None
    parent_id: int | None = None


class FirebaseItem(Item):
    id: Id
    type: str = "story"
    time: EpochTime | None = None
    by: str | None = None
    title: str | None = None
    text: str | None = None
    score: Count | None = None
    descendants: Count | None = None
    parent: int | None = None
    deleted: bool = False
    dead: bool = False


def from_hit(hit: Hit) -> Record | None:
    """A story or comment; None for job posts and polls."""
    comment = "comment" in hit.tags
    if not comment and "story" not in hit.tags:
        return None
    if not hit.objectID.isdigit():
        raise ValueError("objectID: not a number")
    return Record(
        source="hackernews",
        native_id=hit.objectID,
        url=SITE + hit.objectID,
        kind="comment" if comment else "post",
        community=COMMUNITY,
        title=None if comment else unescape_once(hit.title or "") or None,
        body=html_text(hit.comment_text or hit.story_text or hit.text or "") or None,
        created=iso(hit.created_at_i),
        score=hit.points,
        n_replies=hit.num_comments,
        thread=SITE + str(hit.story_id) if comment and hit.story_id else SITE + hit.objectID,
        author=hit.author,
    )


def from_firebase(item: FirebaseItem) -> Record | Gone | None:
    if item.deleted or item.dead:
        return Gone("deleted" if item.deleted else "removed", str(item.id), SITE + str(item.id), "hackernews")
    if item.type not in ("story", "comment") or item.time is None:
        return None
    comment = item.type == "comment"
    return Record(
        source="hackernews",
        native_id=str(item.id),
        url=SITE + str(item.id),
        kind="comment" if comment else "post",
        community=COMMUNITY,
        title=unescape_once(item.title or "") or None,
        body=html_text(item.text or "") or None,
        created=iso(item.time),
        score=item.score,
        n_replies=item.descendants,
        # A comment's parent need not be its thread; Algolia told the thread when the comment was found.
        thread=None if comment else SITE + str(item.id),
        author=item.by,
    )


class HackerNews(Source[Settings]):
    name = "hackernews"
    pace = 1.0  # 10,000 requests an hour are allowed, then a block; one a second is practice
    settings = Settings

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"search:{s.q}|{s.tags}|{s.match}", s, s) for s in plan.searches]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        search: Search = query.spec
        wanted = re.compile(search.match, re.IGNORECASE)
        number, got = int(cursor or 0), 0
        while True:
            data = client.get(plan.base_url, "/api/v1/search_by_date", self._params(search, window, number)).mapping
            hits, total = data.get("hits"), data.get("nbHits")
            if not isinstance(hits, list) or data.get("message") or not isinstance(total, int):
                yield Page(
                    verdict="split" if window.can_be_halved else "capped",
                    reason=str(data.get("message", "no hits"))[:200],
                )
                return
            crossing = matching(hits, wanted)
            if total > CAP and window.can_be_halved:
                yield crossing.page(verdict="split", reason=f"{total} hits", total=total)
                return
            got += len(hits)
            number += 1
            more = hits and number < int(data.get("nbPages") or 0)
            if more:
                yield crossing.page(str(number), total=total)
                continue
            short = cursor is None and got < min(total, CAP) and data.get("exhaustiveNbHits") is not False
            if total > CAP:
                yield crossing.page(verdict="capped", reason=f"{total} hits in one second", total=total)
            elif short:
                yield crossing.page(verdict="incomplete", reason=f"{got} of {total} hits", total=total)
            else:
                yield crossing.page(total=total)
            return

    def _params(self, search: Search, window: Window, number: int) -> dict[str, str | int]:
        return {
            "query": f'"{search.q}"',
            "tags": search.tags,
            "numericFilters": f"created_at_i>={window.since},created_at_i<{window.until}",
            "hitsPerPage": CAP,
            "page": number,
            "typoTolerance": "false",
            "queryType": "prefixNone",
            "attributesToHighlight": "[]",  # a third of the answer otherwise
            "advancedSyntax": "true",
        }

    def owns(self, plan: Settings, url: str) -> bool:
        return url.startswith(SITE)

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        for one in wanted:
            number = one.native_id or parse_qs(urlsplit(one.url).query).get("id", [""])[0]
            data = client.get(plan.items_url, f"/v0/item/{number}.json", pace=ITEMS_PACE).data
            if data is None:  # never given, or gone: asked a second time before it is erased
                data = client.get(plan.items_url, f"/v0/item/{number}.json", pace=ITEMS_PACE).data
            if data is None:
                yield Page(gone=[Gone("deleted", number, one.url, "hackernews")])
            else:
                yield cross([data], FirebaseItem, from_firebase).page()


def matching(hits: list[Any], wanted: re.Pattern[str]) -> Crossing:
    """Hits over the border; those that do not really hold the words are counted as unused."""
    crossing = cross(hits, Hit, from_hit, "objectID")
    kept = [r for r in crossing.records if wanted.search(f"{r.title or ''}\n{r.body or ''}")]
    crossing.unused += len(crossing.records) - len(kept)
    crossing.records = kept
    return crossing


SOURCE = HackerNews()
