"""The documented JSON line (see `flywheel.collect.imports`): a post of any source, known by its url."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field

from flywheel.clean import html_text, markdown_text, unescape_once
from flywheel.collect.border import Count, Crossing, Item, cross
from flywheel.collect.imports.read import Row
from flywheel.collect.record import KINDS, Gone, Kind, Record, iso_of
from flywheel.collect.sources.reddit import author_of, is_bot, mark_in
from flywheel.signal import canonical_url


class Site(NamedTuple):
    """What the canonical url of a post tells. The groups of the pattern fill community and native id; without the
    latter the post is known by its url alone."""

    pattern: re.Pattern[str]
    source: str
    kind: Kind
    community: str
    native_id: str = ""


_STACK = r"(stackoverflow\.com|(?:[\w-]+\.)?stackexchange\.com|superuser\.com|serverfault\.com)"

# First match wins. Native ids are those of the collectors, so that a post has one row.
SITES: tuple[Site, ...] = tuple(
    Site(re.compile(f"https://{pattern}"), *rest)  # type: ignore[arg-type]
    for pattern, *rest in (
        (r"www\.reddit\.com/r/(\w+)/comments/\w+/[^/]+/(\w+)/", "reddit", "comment", "r/{0}", "t1_{1}"),
        (r"www\.reddit\.com/r/(\w+)/comments/(\w+)/", "reddit", "post", "r/{0}", "t3_{1}"),
        (r"github\.com/([\w.-]+/[\w.-]+)/.*#issuecomment-(\d+)", "github", "comment", "{0}", "comment:{1}"),
        (r"github\.com/([\w.-]+/[\w.-]+)/.*#discussioncomment-\d+", "github", "comment", "{0}"),
        (r"github\.com/([\w.-]+/[\w.-]+)/issues/\d+", "github", "issue", "{0}"),
        (r"github\.com/([\w.-]+/[\w.-]+)/pull/\d+", "github", "pull_request", "{0}"),
        (r"github\.com/([\w.-]+/[\w.-]+)/discussions/\d+", "github", "discussion", "{0}"),
        (
            r"huggingface\.co/(?:\w+/)??([\w.-]+(?:/[\w.-]+)?)/discussions/\d+#(\w+)",
            "hf_hub",
            "comment",
            "{0}",
            "comment:{1}",
        ),
        (
            r"huggingface\.co/datasets/([\w.-]+(?:/[\w.-]+)?)/discussions/(\d+)",
            "hf_hub",
            "discussion",
            "{0}",
            "dataset:{0}#{1}",
        ),
        (
            r"huggingface\.co/spaces/([\w.-]+(?:/[\w.-]+)?)/discussions/(\d+)",
            "hf_hub",
            "discussion",
            "{0}",
            "space:{0}#{1}",
        ),
        (r"huggingface\.co/([\w.-]+(?:/[\w.-]+)?)/discussions/(\d+)", "hf_hub", "discussion", "{0}", "model:{0}#{1}"),
        (r"(news\.ycombinator\.com)/item\?id=(\d+)", "hackernews", "post", "{0}", "{1}"),
        (_STACK + r"/(?:questions|q)/(\d+)(?:/[^/#]*)?", "stackoverflow", "question", "{0}", "{0}:{1}"),
        (_STACK + r"/(?:questions/\d+/[^/]*|a)/(\d+)(?:#\d+)?", "stackoverflow", "comment", "{0}", "{0}:{1}"),
        (r"(discuss\.huggingface\.co)/t/[^/]+/\d+", "hf_forum", "post", "{0}"),
        (r"(discuss\.huggingface\.co)/t/[^/]+/\d+/\d+", "hf_forum", "comment", "{0}"),
        (r"([\w.-]+)/t/[^/]+/\d+", "discourse", "post", "{0}"),
        (r"([\w.-]+)/t/[^/]+/\d+/\d+", "discourse", "comment", "{0}"),
        (r"(discord\.com)/channels/\d+/\d+/(\d+)", "discord", "comment", "{0}", "{1}"),
    )
)
FIXED = frozenset(site.source for site in SITES)  # sources whose posts have addresses of a known form
ANY = "jsonl"  # as --source: each line says its own
ELSEWHERE = "forum"  # the source of a line that no site fits, under ANY


def _created(value: object) -> str | None:
    """A day, a month, or a moment in UTC. Numbers are seconds, or milliseconds from 1e11 on."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d(-\d\d)?", value):
        datetime.fromisoformat(value if len(value) == 10 else f"{value}-01")
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{9,13}(\.\d+)?", value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e14:
            raise ValueError("a year out of reach")
        moment = datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, UTC)
    elif isinstance(value, str):
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    else:
        raise ValueError("neither a date nor a number")
    if not 1990 <= moment.year <= 2100:
        raise ValueError("a year out of reach")
    return iso_of(moment)


def _first(*names: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(*names))


Moment = Annotated[str | None, BeforeValidator(_created)]


class Line(Item):
    url: Annotated[str, Field(validation_alias=AliasChoices("url", "html_url"))]
    title: str | None = None
    body: Annotated[str | None, _first("body", "content", "text", "selftext")] = None
    created: Annotated[Moment, _first("created", "date", "created_at", "created_utc", "published", "time", "month")] = (
        None
    )
    edited: Moment = None
    id: Annotated[str | int | None, Field(union_mode="left_to_right")] = None
    source: str | None = None
    kind: str | None = None
    community: str | None = None
    score: Count | None = None
    n_replies: Annotated[Count | None, _first("n_replies", "num_comments")] = None
    n_posts: Count | None = None  # of a forum's topic, the opening counted
    thread: str | None = None
    author: str | None = None
    state: str | None = None
    license: str | None = None
    attribution: str | None = None
    markup: Literal["markdown", "html"] | None = None


_TAGS = re.compile(r"</?(?:p|a|i|em|strong|pre|code|div|br|blockquote|ul|ol|li|span|aside)\b[^<>]*>")
_HTML = frozenset(("hackernews", "stackoverflow", "discourse", "hf_forum"))  # whose APIs give HTML
_ESCAPED = frozenset(("reddit",))  # whose dumps have & and < as entities


def line_of(source: str) -> Callable[[Row, Crossing], None]:
    """Reads lines of one source, or of any (`ANY`)."""

    def take(row: Row, into: Crossing) -> None:
        cross([row.value], Line, lambda line: from_line(line, source), into=into)

    return take


def from_line(line: Line, source: str) -> Record | Gone | None:
    """A post; Gone where its text is a mark of removal; None for a bot's. Raises ValueError where the url is not
    one of the source."""
    url = canonical_url(in_ascii(line.url))
    site, groups = site_of(url)
    own = _source(line, site, source, url)
    host = urlsplit(url).netloc
    if site and site.source == own:
        native_id = site.native_id.format(*groups) or f"url:{url}"
        kind, community = site.kind, site.community.format(*groups)
    else:
        native_id = f"url:{url}" if line.id in (None, "", line.url) else f"{host}:{line.id}"
        kind, community = "post", host
    if why := mark_in(line.body, line.title):
        return Gone(why, native_id, url, own)
    title, body = line.title or "", _text(line, own)
    if own in _ESCAPED or own in _HTML:
        title = unescape_once(title)
    if own == "reddit" and is_bot(line.author, body):
        return None
    author = author_of(line.author)
    return Record(
        source=own,
        native_id=native_id,
        url=url,
        kind=_kind(line.kind) or kind,
        community=line.community or community,
        title=title or None,
        body=body or None,
        created=line.created,
        edited=line.edited,
        score=line.score,
        n_replies=line.n_posts - 1 if line.n_replies is None and line.n_posts else line.n_replies,
        thread=line.thread or (url if kind != "comment" else None),
        author=None if author in ("ghost", "deleted") else author,
        state=line.state,
        license=line.license,
        attribution=line.attribution,
    )


def in_ascii(url: str) -> str:
    """The address as it goes over the wire: letters of other scripts in its path are percent-encoded."""
    return "".join(c if c.isascii() else quote(c) for c in url)


def site_of(url: str) -> tuple[Site | None, tuple[str, ...]]:
    for site in SITES:
        if found := site.pattern.fullmatch(url):
            return site, found.groups()
    return None, ()


def _source(line: Line, site: Site | None, asked: str, url: str) -> str:
    """Which source a line is of: its own word, else its address, else what was asked for."""
    said = line.source if line.source and (line.source in FIXED or asked == ANY) else None
    told = site.source if site else None
    if told is None and said and re.fullmatch(r"\w{2,30}", said) and said not in FIXED:
        return said
    if asked == ANY:
        return told or ELSEWHERE
    if asked in FIXED and told != asked:
        raise ValueError(f"url: {f'a post of {told}' if told else 'no address of a post'}, not of {asked}")
    return asked


def _kind(word: str | None) -> Kind | None:
    return word if word in KINDS else None  # type: ignore[return-value]


def _text(line: Line, source: str) -> str:
    body = line.body or ""
    if line.markup == "html" or (line.markup is None and source in _HTML and _TAGS.search(body)):
        return html_text(body)
    return markdown_text(unescape_once(body) if source in _ESCAPED else body)
