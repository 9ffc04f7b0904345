"""Reddit through PRAW: posts and comments of curated subreddits, newest first, and `/api/info` for looking up
again. Read-only OAuth; without credentials the source is skipped, and nothing is scraped in its place.

PRAW signs in, renews its token and names the endpoints; its requests pass through `_Asking`, which paces and
waits by the rules of the common client, so prawcore neither sleeps nor tries again by itself (but for one new
token after a 401). Answers are read as plain JSON: PRAW's own objects fail on a null author.

A listing ends at about 1000 items whatever there is, and has no dates to ask for: a window whose beginning was
not reached is `capped`. What is deleted shows by marks in author and text, or by being left out of
`/api/info`. https://www.reddit.com/dev/api, https://praw.readthedocs.io"""

import email.utils
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import praw
import prawcore
import requests
from praw.exceptions import PRAWException
from pydantic import BeforeValidator, Field
from requests.adapters import HTTPAdapter

from flywheel.clean import markdown_text, unescape_once
from flywheel.collect.border import Count, Crossing, EpochTime, Item, cross
from flywheel.collect.client import (
    TRIES,
    UNTOLD_WAIT,
    WAITS,
    AuthError,
    BudgetError,
    CallerError,
    Client,
    CollectError,
    NotThereError,
    Outcome,
    UnavailableError,
    classify,
    shown,
)
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso
from flywheel.collect.source import Query, Source

SITE = "https://www.reddit.com"
PAGE = 100
CAP = 950  # a listing that ends after so many items was cut off
MORE = 10  # questions for the folded comments of one thread, 100 comments each
NONE_LEFT = 20  # posts that would all have to be gone at once: then it is the answer that is wrong
VARIABLES = ("praw_client_id", "praw_client_secret")

Part = Literal["posts", "threads", "comments"]
"""`posts` that match; `threads`: the same with all their comments; `comments` of the subreddit that match."""


class Subreddit(Asked):
    name: Annotated[str, Field(pattern=r"^\w+$")]
    parts: tuple[Part, ...] = ("posts",)
    match: str = ""  # regular expression that title or text must match; empty: everything is kept


class Settings(SourcePlan):
    base_url: BaseUrl  # OAuth host
    token_url: BaseUrl  # host that gives tokens
    subreddits: tuple[Subreddit, ...] = ()


# --- items, live or from a dump ----------


def _seconds(value: object) -> object:
    """API answers have floats, old dumps digits in a string."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return int(value) if isinstance(value, float) and abs(value) < 1e12 else value


def _edited(value: object) -> object:
    """False, a time, or True for an edit of long ago."""
    return None if isinstance(value, bool) else _seconds(value)


Seconds = Annotated[EpochTime, BeforeValidator(_seconds)]
Edited = Annotated[EpochTime | None, BeforeValidator(_edited)]
Base36 = Annotated[str, Field(pattern=r"^[0-9a-z]{1,13}$")]


class Post(Item):
    id: Base36
    title: str
    selftext: str | None = None
    author: str | None = None
    subreddit: str | None = None
    permalink: str | None = None
    created_utc: Seconds
    edited: Edited = None
    score: Count | None = None
    num_comments: Count | None = None
    removed_by_category: str | None = None
    locked: bool | None = None


class Comment(Item):
    id: Base36
    link_id: Annotated[str, Field(pattern=r"^t3_[0-9a-z]{1,13}$")]
    body: str | None = None
    author: str | None = None
    subreddit: str | None = None
    permalink: str | None = None
    created_utc: Seconds
    edited: Edited = None
    score: Count | None = None
    removed_by_category: str | None = None


_MARK = re.compile(r"\[\s*(deleted|removed)(?:\s+by\s+[\w -]{1,40})?\s*\]", re.IGNORECASE)
_DELETED_NAMES = frozenset(("[deleted]", "[removed]", "u/[deleted]"))
_BOTS = frozenset(("automoderator", "remindmebot", "sneakpeekbot", "haikusbot", "sokkahaikubot", "exclaim_bot"))
_BOT_FOOTER = re.compile(r"I(?: am|['’]m) a bot,? (?:and this action was performed automatically|beep)", re.IGNORECASE)
_PERMALINK = re.compile(r"/r/(\w+)/comments/(\w+)/[^/?#]*/?(?:(\w+)/?)?$", re.ASCII)


def mark_in(*texts: str | None) -> Literal["deleted", "removed"] | None:
    """What a text that is nothing but a mark says: `[deleted]`, `[removed]`, `[ Removed by Reddit ]`,
    `[deleted by user]`. A name of `[deleted]` beside a text that is still there is an account that is gone."""
    for text in texts:
        if text and (match := _MARK.fullmatch(text.strip())):
            return "deleted" if match[1].lower() == "deleted" else "removed"
    return None


def author_of(name: str | None) -> str | None:
    """The name without its `u/`; None where the account is gone."""
    if not name or name in _DELETED_NAMES:
        return None
    return name.removeprefix("u/")


def is_bot(name: str | None, text: str) -> bool:
    return (author_of(name) or "").lower() in _BOTS or bool(_BOT_FOOTER.search(text.replace("^", "")))


def _withdrawn(item: Post | Comment, *texts: str | None) -> Literal["deleted", "removed"] | None:
    if item.removed_by_category:
        return "deleted" if item.removed_by_category in ("deleted", "author") else "removed"
    return mark_in(*texts)


def _subreddit(item: Post | Comment) -> str:
    found = _PERMALINK.search(item.permalink or "")
    name = item.subreddit or (found[1] if found else "")
    if not re.fullmatch(r"\w{1,30}", name):
        raise ValueError("subreddit: missing, and not in permalink either")
    return name


def _text(markdown: str | None, escaped: bool) -> str:
    return markdown_text(unescape_once(markdown or "") if escaped else markdown or "")


def from_post(post: Post, escaped: bool = False) -> Record | Gone | None:
    """A post; Gone where author, moderators or Reddit took it away; None for what a bot wrote. `escaped`: `<`
    and `&` come as entities (an answer without raw_json=1, and so most dumps)."""
    subreddit = _subreddit(post)
    url = f"{SITE}/r/{subreddit}/comments/{post.id}/"
    if why := _withdrawn(post, post.selftext, post.title):
        return Gone(why, f"t3_{post.id}", url, "reddit")
    body = _text(post.selftext, escaped)
    if is_bot(post.author, body):
        return None
    return Record(
        source="reddit",
        native_id=f"t3_{post.id}",
        url=url,
        kind="post",
        community=f"r/{subreddit}",
        title=unescape_once(post.title) if escaped else post.title,
        body=body or None,
        created=iso(post.created_utc),
        edited=iso(post.edited) if post.edited else None,
        score=post.score,
        n_replies=post.num_comments,
        thread=url,
        author=author_of(post.author),
        state="locked" if post.locked else None,
    )


def from_comment(comment: Comment, escaped: bool = False) -> Record | Gone | None:
    """A comment, likewise; None also for one that only quotes others."""
    subreddit, post = _subreddit(comment), comment.link_id.removeprefix("t3_")
    found = _PERMALINK.search(comment.permalink or "")
    url = f"{SITE}/r/{subreddit}/comments/{post}/_/{comment.id}/"
    if found and found[3] == comment.id:
        url = SITE + quote((comment.permalink or "")[found.start() :], safe="/%")  # a title may be in any script
    if why := _withdrawn(comment, comment.body):
        return Gone(why, f"t1_{comment.id}", url, "reddit")
    body = _text(comment.body, escaped)
    if not body or is_bot(comment.author, body):
        return None
    return Record(
        source="reddit",
        native_id=f"t1_{comment.id}",
        url=url,
        kind="comment",
        community=f"r/{subreddit}",
        body=body,
        created=iso(comment.created_utc),
        edited=iso(comment.edited) if comment.edited else None,
        score=comment.score,
        thread=f"{SITE}/r/{subreddit}/comments/{post}/",
        author=author_of(comment.author),
    )


def children(answer: object) -> Iterator[tuple[str, Any]]:
    """(kind, data) of everything in a listing, a thread (a list of two listings) or a `morechildren` answer, in
    order and at any depth of replies."""
    stack: list[Any] = [answer]
    while stack:
        thing = stack.pop()
        if isinstance(thing, list):
            stack.extend(reversed(thing))
        elif isinstance(thing, Mapping):
            kind, data = thing.get("kind"), thing.get("data")
            if kind == "Listing" and isinstance(data, Mapping):
                stack.append(data.get("children"))
            elif isinstance(kind, str):
                yield kind, data
                if kind == "t1" and isinstance(data, Mapping):
                    stack.append(data.get("replies"))


def crossing_of(answer: object, escaped: bool = False, into: Crossing | None = None) -> Crossing:
    """Everything in an answer over the border; what is neither post nor comment (folded comments, users) counts
    as unused."""
    crossing = Crossing() if into is None else into
    for kind, data in children(answer):
        if kind == "t3":
            cross([data], Post, lambda p: from_post(p, escaped), into=crossing)
        elif kind == "t1":
            alone = {k: v for k, v in data.items() if k != "replies"} if isinstance(data, Mapping) else data
            cross([alone], Comment, lambda c: from_comment(c, escaped), into=crossing)
        else:
            crossing.unused += 1
    return crossing


# --- asking ----------


class _Asking(requests.Session):
    """The session PRAW asks through: one layer that paces, waits and tries again."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self.trust_env = False  # no .netrc, which would replace our header
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(max_retries=0))

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        address = url.decode() if isinstance(url, bytes) else url
        host, failures, waits = urlsplit(address).netloc, 0, 0
        kwargs["timeout"] = self._client.timeout
        while True:
            self._client.before_request(host, host)
            try:
                response = super().request(method, address, *args, **kwargs)
                body = response.content
                outcome = classify(response.status_code, response.headers, body, self._client.clock.now())
            except requests.RequestException as error:
                response, outcome = requests.Response(), Outcome("transient", type(error).__name__)
            where = f"{shown(address)}: {outcome.reason}"
            if outcome.meaning == "wait":
                waits += 1
                told = UNTOLD_WAIT * 2.0 ** (waits - 1) if outcome.wait is None else outcome.wait
                self._client.wait_told(host, told, outcome.reason)
                if waits >= WAITS:
                    raise BudgetError(f"{where}; told to wait {waits} times", self._client.clock.now() + told)
            elif outcome.meaning == "transient":
                failures += 1
                if failures >= TRIES:
                    raise UnavailableError(where)
                self._client.wait_told(host, 2.0 ** (failures - 1) - 1.0 + self._client.jitter(), outcome.reason)
            else:
                if date := email.utils.parsedate_tz(response.headers.get("Date", "")):
                    self._client.server_now = float(email.utils.mktime_tz(date))
                if outcome.after_ok is not None:
                    self._client.wait_told(host, outcome.after_ok, "asked for by a good answer")
                # Kept from prawcore, which would sleep on them by itself, past our budget and our clock.
                for name in [n for n in response.headers if n.lower().startswith("x-ratelimit-")]:
                    del response.headers[name]
                return response


def _asked_wrongly(error: Exception) -> CollectError:
    return CallerError(str(error)[:200])


_MEANINGS: tuple[tuple[type[Exception], Callable[[Exception], CollectError]], ...] = (
    (prawcore.Redirect, lambda e: NotThereError("no such subreddit: the answer sent us to the search")),
    (prawcore.NotFound, lambda e: NotThereError("banned, or never there (404)")),
    (prawcore.UnavailableForLegalReasons, lambda e: NotThereError("not to be shown for legal reasons (451)")),
    (prawcore.Forbidden, lambda e: CallerError("private, quarantined, or closed to this application (403)")),
    (prawcore.OAuthException, lambda e: AuthError(f"no token: {str(e)[:200]}")),
    (prawcore.InvalidToken, lambda e: AuthError("the token is refused (401)")),
    (prawcore.BadJSON, lambda e: UnavailableError("a body that is not JSON")),
    (prawcore.ServerError, lambda e: UnavailableError(str(e)[:200])),
    (prawcore.PrawcoreException, _asked_wrongly),
    (PRAWException, _asked_wrongly),
)


@contextmanager
def _understood() -> Iterator[None]:
    """PRAW's exceptions as those of the client."""
    try:
        yield
    except prawcore.RequestException as error:
        if isinstance(error.original_exception, CollectError):
            raise error.original_exception from None
        raise UnavailableError(type(error.original_exception).__name__) from None
    except (prawcore.PrawcoreException, PRAWException) as error:
        response = getattr(error, "response", None)
        if response is not None and str(response.url).endswith("/api/v1/access_token"):
            raise AuthError(f"no token: HTTP {response.status_code}: {str(error)[:200]}") from None
        raise next(make for kind, make in _MEANINGS if isinstance(error, kind))(error) from None


class _Api:
    """Three questions, asked through PRAW."""

    def __init__(self, client: Client, plan: Settings) -> None:
        client_id, _, secret = b64decode(client.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        self._praw = praw.Reddit(
            client_id=client_id,
            client_secret=secret,
            user_agent=client.headers["User-Agent"],
            oauth_url=plan.base_url,
            reddit_url=plan.token_url,
            check_for_updates=False,
            check_for_async=False,
            username=None,
            password=None,
            refresh_token=None,
            requestor_kwargs={"session": _Asking(client)},
        )
        self._praw.read_only = True

    def get(self, path: str, **params: str | int) -> Any:
        with _understood():
            return self._praw.request(method="GET", path=path, params=params)

    def post(self, path: str, **data: str | int) -> Any:
        with _understood():
            return self._praw.request(method="POST", path=path, data=data)


class Reddit(Source[Settings]):
    name = "reddit"
    pace = 0.7  # 100 requests a minute are allowed, as a mean over ten minutes
    settings = Settings

    def missing(self, plan: Settings, environ: Mapping[str, str]) -> str | None:
        absent = [name for name in VARIABLES if not environ.get(name)]
        if not absent:
            return None
        return f"no_credentials: {' and '.join(absent)} not set; Reddit gives them out on approval only"

    def headers(self, plan: Settings, environ: Mapping[str, str]) -> dict[str, str]:
        # What the token is asked for with. PRAW sends it, and only to token_url.
        pair = ":".join(environ.get(name, "") for name in VARIABLES)
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"{part}:{s.name}:{s.match}", s, part) for s in plan.subreddits for part in s.parts]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        asked = query.asked
        assert isinstance(asked, Subreddit)  # noqa: S101 - queries() makes no other
        api = _Api(client, plan)
        path = f"r/{asked.name}/{'comments' if query.spec == 'comments' else 'new'}"
        wanted = re.compile(asked.match, re.IGNORECASE)
        # In a walk for threads each page brings up to eleven questions a post, so its pages are short.
        limit = 10 if query.spec == "threads" else PAGE
        after, walked = _place(cursor)
        doubted = False
        while True:
            things, then = _listing(api.get(path, limit=limit, **({"after": after} if after else {})))
            if not things and not doubted:
                # So it is after a post that was deleted meanwhile, and now and then for no reason: from the top.
                after, walked, doubted = None, 0, True
                continue
            walked += len(things)
            crossing = _within(crossing_of(things), wanted, window)
            if query.spec == "threads":
                self._comments(api, crossing)
            if things and _created(things[-1]) < window.since:
                yield crossing.page()
                return
            if then is None or not things:
                capped = f"the listing ended after {walked} items, before the window did"
                yield crossing.page(verdict="capped", reason=capped) if walked >= CAP else crossing.page()
                return
            if then == after:
                yield crossing.page(verdict="incomplete", reason="the listing repeats itself")
                return
            after = then
            yield crossing.page(f"{after} {walked}")

    def _comments(self, api: _Api, crossing: Crossing) -> None:
        """Adds the comments of the posts on a page; one question at a time, since Reddit answers 429 to several."""
        for post in list(crossing.records):
            answer = api.get(f"comments/{post.native_id.removeprefix('t3_')}", limit=500, sort="new")
            replies = answer[1:] if isinstance(answer, list) else []
            folded = _folded(replies)
            for _ in range(MORE):
                if not folded:
                    break
                batch, folded = folded[:PAGE], folded[PAGE:]
                more = api.post("api/morechildren/", link_id=post.native_id, children=",".join(batch), sort="new")
                things = _at(more, "json", "data", "things")
                replies.append(things)
                folded += _folded(things)
            found = Crossing()
            crossing_of(replies, into=found)
            crossing.records += found.records
            crossing.gone += [replace(gone, url=None) for gone in found.gone]
            crossing.broken += found.broken
            crossing.unused += found.unused

    # --- looking up again ----------

    def owns(self, plan: Settings, url: str) -> bool:
        return fullname_of(url) is not None

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        api = _Api(client, plan)
        named = {one.native_id or fullname_of(one.url): one for one in wanted}
        names = sorted(name for name in named if name and re.fullmatch(r"t[13]_[0-9a-z]{1,13}", name))
        for start in range(0, len(names), PAGE):
            batch = names[start : start + PAGE]
            found = _info(api, batch)
            if missing := [name for name in batch if name not in found]:
                found |= _info(api, missing)
                missing = [name for name in missing if name not in found]
            if len(missing) == len(batch) >= NONE_LEFT:
                raise UnavailableError(f"api/info knows none of {len(batch)} posts that were there")
            crossing = crossing_of(list(found.values()))
            crossing.gone = [
                replace(g, url=named[g.native_id].url if g.native_id in named else None) for g in crossing.gone
            ]
            crossing.gone += [Gone("deleted", name, named[name].url, "reddit") for name in missing]
            read = {r.native_id for r in crossing.records}
            yield replace(crossing.page(), alive=[named[n] for n in batch if n in found and n not in read])


def fullname_of(url: str) -> str | None:
    """t3_… or t1_… of a post's canonical url."""
    found = _PERMALINK.fullmatch(url.removeprefix(SITE)) if url.startswith(SITE) else None
    if found is None:
        return None
    return f"t1_{found[3]}" if found[3] else f"t3_{found[2]}"


def _info(api: _Api, names: Sequence[str]) -> dict[str, Any]:
    """What `/api/info` still has, by fullname."""
    things, _ = _listing(api.get("api/info/", id=",".join(names)))
    return {name: t for t in things if (name := f"{t['kind']}_{_at(t, 'data', 'id')}") in names}


def _at(answer: object, *keys: str) -> Any:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    return answer


def _listing(answer: object) -> tuple[list[dict[str, Any]], str | None]:
    """(things, where the next page begins) of a listing. Raises UnavailableError where it is none."""
    things, then = _at(answer, "data", "children"), _at(answer, "data", "after")
    if not isinstance(things, list):
        raise UnavailableError("an answer that is no listing")
    whole = [t for t in things if isinstance(t, dict) and isinstance(t.get("kind"), str)]
    return whole, then if isinstance(then, str) else None


def _place(cursor: str | None) -> tuple[str | None, int]:
    """(name of the last post that was read, how many were read before)."""
    name, _, walked = (cursor or "").partition(" ")
    return name or None, int(walked or 0)


def _created(thing: Mapping[str, Any]) -> float:
    created = _at(thing, "data", "created_utc")
    return float(created) if isinstance(created, int | float) else float("inf")


def _folded(things: object) -> list[str]:
    """Ids of comments that a thread names but does not show."""
    return [
        str(one)
        for kind, data in children(things)
        if kind == "more"
        for one in (_at(data, "children") or [])
        if re.fullmatch(r"[0-9a-z]{1,13}", str(one))
    ]


def _within(crossing: Crossing, wanted: re.Pattern[str], window: Window) -> Crossing:
    """Only what the window and the words ask for; the rest is counted as unused. A removal mark has effect
    wherever it is seen, but names by its id alone: what was never held here needs no public tombstone."""
    since, until = iso(window.since), iso(window.until)
    kept = [
        record
        for record in crossing.records
        if since <= (record.created or "") < until and wanted.search(f"{record.title or ''}\n{record.body or ''}")
    ]
    crossing.unused += len(crossing.records) - len(kept)
    crossing.records = kept
    crossing.gone = [replace(gone, url=None) for gone in crossing.gone]
    return crossing


SOURCE = Reddit()
