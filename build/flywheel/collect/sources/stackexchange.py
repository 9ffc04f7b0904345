"""Stack Exchange, API 2.3: questions with their answers and comments, of any of its sites.

The key travels in the `Authorization` header alone. `backoff` in a good answer holds back the same method
only, so a method is a lane. Texts are CC BY-SA: licence, author's name and profile link are kept as
attribution. https://api.stackexchange.com/docs"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from flywheel.clean import html_text, markdown_text, unescape_once
from flywheel.collect.border import Count, Crossing, EpochTime, Id, Item, cross
from flywheel.collect.client import Client, UnavailableError
from flywheel.collect.plan import Asked, BaseUrl, SourcePlan
from flywheel.collect.record import Gone, Page, Record, Wanted, Window, iso
from flywheel.collect.source import Query, Source

PAGE = 100
LAST_PAGE = 25  # further pages need a key; windows are kept small instead
VERSION = "/2.3"

# API's name of a site, and the host its posts live on.
HOSTS = {
    "stackoverflow": "stackoverflow.com",
    "ai": "ai.stackexchange.com",
    "datascience": "datascience.stackexchange.com",
    "stats": "stats.stackexchange.com",
}


class Site(Asked):
    site: Annotated[str, Field(pattern=r"^[a-z0-9.]+$")]
    host: str = ""  # where posts live, for a site that is not among HOSTS
    q: str = ""  # free text
    tagged: str = ""  # a tag; several with ; between them, all of which a question must have

    @model_validator(mode="after")
    def _something_is_asked(self) -> "Site":
        if not (self.q or self.tagged):
            raise ValueError("q or tagged: one of them must be given")
        return self

    @property
    def lives_on(self) -> str:
        return self.host or HOSTS.get(self.site, f"{self.site}.stackexchange.com")


class Settings(SourcePlan):
    base_url: BaseUrl
    filter: str = "withbody"  # a custom filter made once with /filters/create adds answers, comments and markdown
    sites: tuple[Site, ...] = ()


class Owner(Item):
    display_name: str | None = None
    link: str | None = None
    user_id: int | None = None
    user_type: str | None = None


class Post(Item):
    creation_date: EpochTime
    last_edit_date: EpochTime | None = None
    score: Count | None = None
    owner: Owner | None = None
    body: str | None = None
    body_markdown: str | None = None
    content_license: str | None = None
    link: str | None = None
    comments: tuple[Any, ...] = ()


class Question(Post):
    question_id: Id
    title: str | None = None
    answer_count: Count | None = None
    closed_date: int | None = None
    closed_reason: str | None = None
    locked_date: int | None = None
    answers: tuple[Any, ...] = ()


class Answer(Post):
    answer_id: Id
    question_id: Id


class Comment(Item):
    comment_id: Id
    post_id: Id
    creation_date: EpochTime
    score: Count | None = None
    owner: Owner | None = None
    body: str | None = None
    body_markdown: str | None = None
    content_license: str | None = None


def text_of(body_markdown: str | None, body: str | None) -> str | None:
    """`body_markdown` is escaped once by the API, `body` is HTML."""
    return (markdown_text(unescape_once(body_markdown)) if body_markdown else html_text(body or "")) or None


def attribution(owner: Owner | None) -> str | None:
    """What CC BY-SA asks for: the author's name and profile; nothing once the account is gone."""
    if owner is None or not owner.display_name or owner.user_type == "does_not_exist":
        return None
    return " ".join(part for part in (unescape_once(owner.display_name), owner.link) if part)


def _author(owner: Owner | None) -> str | None:
    return str(owner.user_id) if owner and owner.user_id else None


def from_question(question: Question, host: str) -> Record:
    url = f"https://{host}/questions/{question.question_id}"
    state = "locked" if question.locked_date else "closed" if question.closed_date else "open"
    return Record(
        source="stackoverflow",
        native_id=f"{host}:{question.question_id}",
        url=url,
        kind="question",
        community=host,
        title=unescape_once(question.title or "") or None,
        body=text_of(question.body_markdown, question.body),
        created=iso(question.creation_date),
        edited=iso(question.last_edit_date) if question.last_edit_date else None,
        score=question.score,
        n_replies=question.answer_count,
        thread=url,
        author=_author(question.owner),
        state=state,
        license=question.content_license,
        attribution=attribution(question.owner),
    )


def from_answer(answer: Answer, host: str) -> Record:
    return Record(
        source="stackoverflow",
        native_id=f"{host}:{answer.answer_id}",  # questions and answers share one sequence of ids
        url=f"https://{host}/a/{answer.answer_id}",
        kind="comment",
        community=host,
        body=text_of(answer.body_markdown, answer.body),
        created=iso(answer.creation_date),
        edited=iso(answer.last_edit_date) if answer.last_edit_date else None,
        score=answer.score,
        thread=f"https://{host}/questions/{answer.question_id}",
        author=_author(answer.owner),
        license=answer.content_license,
        attribution=attribution(answer.owner),
    )


def from_comment(comment: Comment, host: str, question_id: int) -> Record:
    question = f"https://{host}/questions/{question_id}"
    return Record(
        source="stackoverflow",
        native_id=f"{host}:c{comment.comment_id}",
        url=f"{question}#comment{comment.comment_id}_{comment.post_id}",
        kind="comment",
        community=host,
        body=text_of(comment.body_markdown, comment.body),
        created=iso(comment.creation_date),
        score=comment.score,
        thread=question,
        author=_author(comment.owner),
        license=comment.content_license,
        attribution=attribution(comment.owner),
    )


def questions(items: list[Any], host: str) -> Crossing:
    """Questions over the border, with the answers and comments that the filter nests in them."""
    crossing = Crossing()
    for raw in items:
        cross([raw], Question, lambda q: from_question(q, host), "question_id", crossing)
        number = raw.get("question_id") if isinstance(raw, dict) else None
        if not isinstance(number, int):
            continue
        answers, comments = _list(raw.get("answers")), _list(raw.get("comments"))
        cross(
            [a for a in answers if _has_text(a)],
            Answer,
            lambda a: from_answer(a, host),
            "answer_id",
            crossing,
        )
        for group in (comments, *(_list(a.get("comments")) for a in answers if isinstance(a, dict))):
            cross(
                [c for c in group if _has_text(c)],
                Comment,
                lambda c, number=number: from_comment(c, host, number),  # type: ignore[misc]
                "comment_id",
                crossing,
            )
    return crossing


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_text(raw: Any) -> bool:
    """A filter may nest answers and comments without their text; those are not asked for."""
    return not isinstance(raw, dict) or bool(raw.get("body") or raw.get("body_markdown"))


class StackExchange(Source[Settings]):
    name = "stackexchange"
    pace = 0.2  # 30 requests a second are the limit, the daily quota is the one that counts
    settings = Settings

    def headers(self, plan: Settings, environ: Mapping[str, str]) -> dict[str, str]:
        key = environ.get("STACKEXCHANGE_KEY")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def queries(self, plan: Settings, environ: Mapping[str, str]) -> Sequence[Query]:
        return [Query(f"{s.site}:tagged={s.tagged}:q={s.q}", s, s) for s in plan.sites]

    def pages(self, client: Client, plan: Settings, query: Query, window: Window, cursor: str | None) -> Iterator[Page]:
        site: Site = query.spec
        number = int(cursor or 1)
        while True:
            path, params = self._request(site, window, number, plan.filter)
            data = client.get(plan.base_url, path, params, lane=path).mapping
            items = data.get("items")
            if not isinstance(items, list):
                yield Page(verdict="incomplete", reason="an answer without items")
                return
            crossing = questions(items, site.lives_on)
            if data.get("quota_remaining") == 0:
                # The day of a quota begins with its first request; nothing says when that was.
                client.wait_told(path, 86400, "the day's quota is spent")
            if not data.get("has_more"):
                yield crossing.page()
                return
            if number >= LAST_PAGE:
                verdict = "split" if window.can_be_halved else "capped"
                yield crossing.page(verdict=verdict, reason=f"more than {LAST_PAGE} pages")  # type: ignore[arg-type]
                return
            number += 1
            yield crossing.page(str(number))

    def _request(self, site: Site, window: Window, number: int, filter_id: str) -> tuple[str, dict[str, str | int]]:
        common: dict[str, str | int] = {
            "site": site.site, "order": "asc", "page": number, "pagesize": PAGE, "filter": filter_id,
        }  # fmt: skip
        if site.q:
            tagged = {"tagged": site.tagged} if site.tagged else {}
            dates = {"fromdate": window.since, "todate": window.until - 1}  # both inclusive
            return f"{VERSION}/search/advanced", {
                **common,
                "sort": "creation",
                "q": site.q,
                **tagged,
                **dates,
            }
        # By activity: edits and answers bring a question back.
        return f"{VERSION}/questions", {
            **common, "sort": "activity", "tagged": site.tagged, "min": window.since, "max": window.until - 1,
        }  # fmt: skip

    def owns(self, plan: Settings, url: str) -> bool:
        return _address(url, self._sites(plan)) is not None

    def _sites(self, plan: Settings) -> dict[str, str]:
        return {host: site for site, host in HOSTS.items()} | {s.lives_on: s.site for s in plan.sites}

    def look_up(self, client: Client, plan: Settings, wanted: Sequence[Wanted]) -> Iterator[Page]:
        sites = self._sites(plan)
        groups: dict[tuple[str, str], dict[int, Wanted]] = {}
        for one in wanted:
            if (address := _address(one.url, sites)) is not None:
                host, method, number = address
                groups.setdefault((host, method), {})[number] = one
        for (host, method), by_id in sorted(groups.items()):
            numbers = sorted(by_id)
            for start in range(0, len(numbers), PAGE):
                batch = numbers[start : start + PAGE]
                crossing, found = self._by_ids(client, plan, sites[host], host, method, batch)
                missing = [n for n in batch if n not in found]
                if missing:
                    # Asked once more, in another order: the same request twice within a minute is not
                    # allowed.
                    again, found_now = self._by_ids(client, plan, sites[host], host, method, missing[::-1])
                    crossing.records += again.records
                    gone = [n for n in missing if n not in found_now]
                    crossing.gone += [
                        Gone("deleted", f"{host}:{_mark(method)}{n}", by_id[n].url, "stackoverflow") for n in gone
                    ]
                yield crossing.page()

    def _by_ids(
        self, client: Client, plan: Settings, site: str, host: str, method: str, numbers: list[int]
    ) -> tuple[Crossing, set[int]]:
        path = f"{VERSION}/{method}/{';'.join(map(str, numbers))}"
        params: dict[str, str | int] = {"site": site, "pagesize": PAGE, "filter": plan.filter}
        data = client.get(plan.base_url, path, params, lane=f"{VERSION}/{method}").mapping
        items = data.get("items")
        id_name = {"questions": "question_id", "answers": "answer_id", "comments": "comment_id"}[method]
        # What is not listed will be erased, so the list must be one beyond doubt.
        if not isinstance(items, list) or not all(isinstance(i, dict) and type(i.get(id_name)) is int for i in items):
            raise UnavailableError(f"{path}: no list of {method} in the answer")
        found = {item[id_name] for item in items}
        if method == "questions":
            return questions(items, host), found
        if method == "answers":
            return cross(items, Answer, lambda a: from_answer(a, host), id_name), found
        return (
            Crossing(),
            found,
        )  # a comment cannot be edited after five minutes: being there is all there is to know


def _mark(method: str) -> str:
    return "c" if method == "comments" else ""


_PATHS = (
    (re.compile(r"^/questions/\d+(?:/[^/]*)?#comment(\d+)_\d+$"), "comments"),
    (re.compile(r"^/questions/\d+/[^/]*/(\d+)(?:#.*)?$"), "answers"),
    (re.compile(r"^/(?:questions|q)/(\d+)"), "questions"),
    (re.compile(r"^/a/(\d+)"), "answers"),
)


def _address(url: str, sites: Mapping[str, str]) -> tuple[str, str, int] | None:
    """(host, API method, id) of a post's url."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host not in sites:
        return None
    path = parts.path + (f"#{parts.fragment}" if parts.fragment else "")
    for pattern, method in _PATHS:
        if match := pattern.match(path):
            return host, method, int(match[1])
    return None


SOURCE = StackExchange()
