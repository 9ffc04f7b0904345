"""GitHub: issues, pull requests and comments of curated repositories by `since`, discussions over GraphQL,
and issue search by `created:` windows.

Lists are walked by the `Link` header, never by counting. Search lists 1000 results, so a window with more is
halved; each query names `is:issue` or `is:pull-request`, without which the API answers 422. Discussions need
a token. https://docs.github.com/rest, https://docs.github.com/graphql"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from flywheel.clean import markdown_text
from flywheel.collect.border import Count, Crossing, Id, IsoTime, Item, cross
from flywheel.collect.client import Answer, Client, NotThereError, UnavailableError, rebased
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso, iso_of, seconds_of
from flywheel.collect.source import Query, Source

CAP = 1000
PAGE = 100
NODES = 100  # ids in one GraphQL question
DISCUSSIONS = (50, 10)  # a page of discussions, and one after "resource limits exceeded"
MOVED = ("/repositories/", "/repos/")

Part = Literal["issues", "comments", "discussions"]


class Repository(Asked):
    name: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    parts: tuple[Part, ...] = ("issues",)


class Search(Asked):
    q: Annotated[str, Field(min_length=3, max_length=200)]
    type: Literal["issue", "pull-request"] = "issue"

    @field_validator("q")
    @classmethod
    def _plain(cls, q: str) -> str:
        if re.search(r"\b(?:is|created|type|sort):", q):
            raise ValueError("is:, type:, sort: and created: are added by the collector")
        return q


class Settings(SourcePlan):
    base_url: BaseUrl
    repositories: tuple[Repository, ...] = ()
    searches: tuple[Search, ...] = ()


class User(Item):
    login: str
    type: str | None = None


class Issue(Item):
    id: Id
    node_id: str | None = None
    html_url: str
    title: str
    body: str | None = None
    user: User | None = None
    created_at: IsoTime
    updated_at: IsoTime
    state: str | None = None
    state_reason: str | None = None
    comments: Count | None = None
    reactions: dict[str, Any] | None = None
    pull_request: dict[str, Any] | None = None
    performed_via_github_app: Any = None


class Comment(Item):
    id: Id
    node_id: str | None = None
    html_url: str
    body: str | None = None
    user: User | None = None
    created_at: IsoTime
    updated_at: IsoTime
    reactions: dict[str, Any] | None = None


class Author(Item):
    login: str


class Total(Item):
    total: Annotated[int, Field(alias="totalCount")]


class Discussion(Item):
    id: str
    number: int
    url: str
    title: str
    body: str | None = None
    author: Author | None = None
    created: Annotated[IsoTime, Field(alias="createdAt")]
    updated: Annotated[IsoTime, Field(alias="updatedAt")]
    closed: bool | None = None
    comments: Total | None = None
    upvotes: Annotated[int | None, Field(alias="upvoteCount")] = None


_ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/(issues|pull|discussions)/(\d+)(?:#issuecomment-(\d+))?")


def _is_bot(user: User | None) -> bool:
    return user is not None and (user.type == "Bot" or user.login.endswith("[bot]"))


def _author(user: User | Author | None) -> str | None:
    return None if user is None or user.login == "ghost" else user.login


def _score(reactions: Mapping[str, Any] | None) -> int | None:
    total = (reactions or {}).get("total_count")
    return total if isinstance(total, int) else None


def _repository(url: str) -> str:
    match = _ADDRESS.match(url)
    if match is None:
        raise ValueError(f"html_url: not an issue, pull request or discussion: {url[:100]}")
    return match[1]


def from_issue(issue: Issue) -> Record | None:
    """An issue or pull request; None for what a bot wrote."""
    if _is_bot(issue.user):
        return None
    merged = bool(issue.pull_request and issue.pull_request.get("merged_at"))
    return Record(
        source="github",
        native_id=f"issue:{issue.id}",
        url=issue.html_url,
        kind="pull_request" if issue.pull_request or "/pull/" in issue.html_url else "issue",
        community=_repository(issue.html_url),
        title=issue.title,
        body=markdown_text(issue.body or "") or None,
        created=iso_of(issue.created_at),
        edited=iso_of(issue.updated_at),
        score=_score(issue.reactions),
        n_replies=issue.comments,
        thread=issue.html_url,
        author=_author(issue.user),
        state="merged" if merged else issue.state,
        ref=issue.node_id,
    )


def from_comment(comment: Comment) -> Record | None:
    if _is_bot(comment.user) or not (body := markdown_text(comment.body or "")):
        return None
    return Record(
        source="github",
        native_id=f"comment:{comment.id}",
        url=comment.html_url,
        kind="comment",
        community=_repository(comment.html_url),
        body=body,
        created=iso_of(comment.created_at),
        edited=iso_of(comment.updated_at),
        score=_score(comment.reactions),
        thread=comment.html_url.partition("#")[0],
        author=_author(comment.user),
        ref=comment.node_id,
    )


def from_discussion(discussion: Discussion) -> Record | None:
    if discussion.author and discussion.author.login.endswith("[bot]"):
        return None
    return Record(
        source="github",
        native_id=f"discussion:{discussion.id}",
        url=discussion.url,
        kind="discussion",
        community=_repository(discussion.url),
        title=discussion.title,
        body=markdown_text(discussion.body or "") or None,
        created=iso_of(discussion.created),
        edited=iso_of(discussion.updated),
        score=discussion.upvotes,
        n_replies=discussion.comments.total if discussion.comments else None,
        thread=discussion.url,
        author=_author(discussion.author),
        state=None if discussion.closed is None else "closed" if discussion.closed else "open",
        ref=discussion.id,
    )


_FIELDS = "id number url title body author{login} createdAt updatedAt closed upvoteCount comments{totalCount}"
_LIST = (
    "query($owner:String!,$name:String!,$first:Int!,$after:String){repository(owner:$owner,name:$name){"
    "discussions(first:$first,after:$after,orderBy:{field:UPDATED_AT,direction:DESC}){"
    "totalCount pageInfo{endCursor hasNextPage} nodes{" + _FIELDS + "}}}}"
)
_NODES = "query($ids:[ID!]!){nodes(ids:$ids){__typename id}}"
_ONE = (
    "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){"
    "discussion(number:$number){" + _FIELDS + "}}}"
)


class GitHub(Source[Settings]):
    name = "github"
    pace = 0.1  # the secondary limit is 900 points a minute; buckets are kept by their own headers
    settings = Settings

    def _token(self, environ: Mapping[str, str]) -> str | None:
        return environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or None

    def headers(self, plan: Settings, environ: Mapping[str, str]) -> dict[str, str]:
        common = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        token = self._token(environ)
        return common | ({"Authorization": f"Bearer {token}"} if token else {})

    def left_out(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[str]:
        if self._token(environ):
            return ()
        names = [r.name for r in plan.repositories if "discussions" in r.parts]
        return [f"discussions of {name}: no_credentials: they need GITHUB_TOKEN" for name in names]

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        parts = [
            (r, part) for r in plan.repositories for part in r.parts if part != "discussions" or self._token(environ)
        ]
        asked = [Query(f"{part}:{r.name}", r, part) for r, part in parts]
        asked += [Query(f"search:is:{s.type}:{s.q}", s, "search") for s in plan.searches]
        return asked

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        asked = query.asked
        if isinstance(asked, Search):
            return self._search(client, plan, asked, window, cursor)
        assert isinstance(asked, Repository)  # noqa: S101 - queries() makes no other
        if query.spec == "discussions":
            return self._discussions(client, plan, asked, window, cursor)
        return self._listing(client, plan, asked, query.spec, window, cursor)

    # --- curated repositories ----------

    def _listing(
        self,
        client: Client,
        plan: Settings,
        repository: Repository,
        part: str,
        window: Window,
        cursor: str | None,
    ) -> Iterator[Page]:
        """Issues (with pull requests) or comments, oldest change first, from `since` on."""
        path = f"/repos/{repository.name}/issues" + ("/comments" if part == "comments" else "")
        params: dict[str, str | int] = {
            "state": "all", "sort": "updated", "direction": "asc", "per_page": PAGE, "since": iso(window.since),
        }  # fmt: skip
        if part == "comments":
            del params["state"]
        link = cursor
        first = cursor is None
        while True:
            answer = self._get(client, plan, path, params, link)
            items = answer.data
            if not isinstance(items, list):
                yield Page(verdict="incomplete", reason="a list was asked for and something else came")
                return
            if first and not items:
                # Now and then the list is empty for a moment: asked once more.
                items = self._get(client, plan, path, params, link).data
            first = False
            crossing = issues(items) if part == "issues" else cross(items, Comment, from_comment)
            link = next_link(answer.headers.get("Link", ""))
            past = bool(crossing.records) and all(seconds_of(r.edited or "") >= window.until for r in crossing.records)
            if link is None or past:
                yield crossing.page()
                return
            yield crossing.page(link)

    def _get(
        self, client: Client, plan: Settings, path: str, params: Mapping[str, str | int], link: str | None
    ) -> Answer:
        if link is None:
            return client.get(plan.base_url, path, params, lane="core", moves_to=MOVED)
        return client.get(plan.base_url, rebased("", link), lane="core", moves_to=MOVED)

    def _discussions(
        self, client: Client, plan: Settings, repository: Repository, window: Window, cursor: str | None
    ) -> Iterator[Page]:
        """Discussions, latest change first, down to the start of the window."""
        owner, _, name = repository.name.partition("/")
        after, sizes = cursor or None, list(DISCUSSIONS)
        while True:
            variables = {"owner": owner, "name": name, "first": sizes[0], "after": after}
            data = client.post(
                plan.base_url, "/graphql", {"query": _LIST, "variables": variables}, lane="graphql"
            ).mapping
            errors = graphql_errors(data)
            if "resource limits" in errors.lower() and len(sizes) > 1:
                sizes.pop(0)
                continue
            found = ((data.get("data") or {}).get("repository") or {}).get("discussions")
            if found is None:
                if "NOT_FOUND" in errors:
                    raise NotThereError(f"{repository.name}: {errors}")
                yield Page(verdict="incomplete", reason=errors or "no discussions in the answer")
                return
            crossing = cross(found.get("nodes") or [], Discussion, from_discussion)
            info = found.get("pageInfo") or {}
            after = info.get("endCursor") if info.get("hasNextPage") else None
            done = any(seconds_of(r.edited or "") < window.since for r in crossing.records)
            if errors:
                yield crossing.page(verdict="incomplete", reason=errors)
                return
            if after is None or done:
                yield crossing.page()
                return
            yield crossing.page(after)

    # --- search ----------

    def _search(
        self, client: Client, plan: Settings, search: Search, window: Window, cursor: str | None
    ) -> Iterator[Page]:
        """Issues by words, made within the window; `created:` takes both ends, so the last second is left
        out."""
        q = f"{search.q} is:{search.type} in:title,body created:{iso(window.since)}..{iso(window.until - 1)}"
        params: dict[str, str | int] = {"q": q, "sort": "created", "order": "asc", "per_page": PAGE}
        link, got, tries = cursor, 0, 0
        while True:
            if link is None:
                answer = client.get(plan.base_url, "/search/issues", params, lane="search")
            else:
                answer = client.get(plan.base_url, rebased("", link), lane="search")
            data = answer.mapping
            total, items = data.get("total_count"), data.get("items")
            if not isinstance(total, int) or not isinstance(items, list):
                yield Page(verdict="incomplete", reason="a search answer without items")
                return
            if data.get("incomplete_results") and tries == 0:
                tries = 1
                continue
            crossing = issues(items)
            if data.get("incomplete_results"):
                verdict = "split" if window.can_be_halved and window.until - window.since > 3600 else "incomplete"
                yield crossing.page(verdict=verdict, reason="the search timed out", total=total)  # type: ignore[arg-type]
                return
            if total > CAP and window.can_be_halved:
                yield crossing.page(verdict="split", reason=f"{total} results", total=total)
                return
            got, tries = got + len(items), 0
            link = next_link(answer.headers.get("Link", ""))
            if link is not None:
                yield crossing.page(link, total=total)
                continue
            if total > CAP:
                yield crossing.page(verdict="capped", reason=f"{total} results in one second", total=total)
            elif cursor is None and got < total:
                yield crossing.page(verdict="incomplete", reason=f"{got} of {total} results", total=total)
            else:
                yield crossing.page(total=total)
            return

    # --- looking up again ----------

    def owns(self, plan: Settings, url: str) -> bool:
        return _ADDRESS.fullmatch(url) is not None

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        """With a token the node ids are asked for a hundred at a time and only what changed hands is read one
        by one; without, every post is read one by one. A post is gone on 404, 410 and 451, and has moved on
        301."""
        alive: set[str] = set()
        if "Authorization" in client.headers:
            refs = [w.ref for w in wanted if w.ref]
            for start in range(0, len(refs), NODES):
                body = {"query": _NODES, "variables": {"ids": refs[start : start + NODES]}}
                data = client.post(plan.base_url, "/graphql", body, lane="graphql").mapping
                nodes = (data.get("data") or {}).get("nodes") or []
                alive |= {node["id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("id"), str)}
        living = [w for w in wanted if w.ref in alive]
        if living:
            yield Page(alive=living)
        for one in wanted:
            if one.ref is None or one.ref not in alive:
                yield self._one(client, plan, one)

    def _one(self, client: Client, plan: Settings, one: Wanted) -> Page:
        match = _ADDRESS.match(one.url)
        if match is None:
            return Page()
        repository, section, number, comment = match.groups()
        try:
            if section == "discussions":
                return self._one_discussion(client, plan, repository, number, one)
            path = f"/repos/{repository}/issues/" + (f"comments/{comment}" if comment else number)
            data = client.get(plan.base_url, path, lane="core", moves_to=MOVED).data
        except NotThereError:
            return Page(gone=[Gone("deleted", one.native_id, one.url, "github")])
        crossing = cross([data], Comment, from_comment) if comment else issues([data])
        if one.native_id and any(r.native_id != one.native_id for r in crossing.records):
            # Transferred to another repository, where it has a new number and a new id.
            crossing.gone.append(Gone("moved", one.native_id, one.url, "github"))
        return crossing.page()

    def _one_discussion(self, client: Client, plan: Settings, repository: str, number: str, one: Wanted) -> Page:
        if "Authorization" not in client.headers:
            return Page()
        owner, _, name = repository.partition("/")
        variables = {"owner": owner, "name": name, "number": int(number)}
        data = client.post(plan.base_url, "/graphql", {"query": _ONE, "variables": variables}, lane="graphql").mapping
        found = ((data.get("data") or {}).get("repository") or {}).get("discussion")
        if found is not None:
            return cross([found], Discussion, from_discussion).page()
        if "NOT_FOUND" in graphql_errors(data):
            return Page(gone=[Gone("deleted", one.native_id, one.url, "github")])
        raise UnavailableError(f"{one.url}: {graphql_errors(data) or 'no discussion in the answer'}")


def issues(items: list[Any]) -> Crossing:
    return cross(items, Issue, from_issue)


def next_link(header: str) -> str | None:
    """The `rel="next"` address of a Link header."""
    match = re.search(r'<([^<>]+)>;[^,]*rel="next"', header)
    return match[1] if match else None


def graphql_errors(data: Any) -> str:
    errors = data.get("errors") if isinstance(data, dict) else None
    if not isinstance(errors, list):
        return ""
    return "; ".join(f"{e.get('type', '')} {e.get('message', '')}".strip() for e in errors[:3] if isinstance(e, dict))


SOURCE = GitHub()
