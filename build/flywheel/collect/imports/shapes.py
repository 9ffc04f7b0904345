"""What the rows of an archive look like, source by source, and which function takes them over the border.

A row belongs to the first shape of its source all of whose fields it has."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flywheel.collect.border import Crossing, broken, cross
from flywheel.collect.imports import discord, hub, plain
from flywheel.collect.imports.read import Row
from flywheel.collect.record import Record
from flywheel.collect.sources import github, hackernews, reddit, stackexchange

Take = Callable[[Row, Crossing], None]


class Shape(NamedTuple):
    fields: frozenset[str]
    take: Take


def _reddit_answer(row: Row, into: Crossing) -> None:
    reddit.crossing_of(row.value, escaped=True, into=into)


def _reddit_post(row: Row, into: Crossing) -> None:
    cross([row.value], reddit.Post, partial(reddit.from_post, escaped=True), into=into)


def _reddit_comment(row: Row, into: Crossing) -> None:
    cross([row.value], reddit.Comment, partial(reddit.from_comment, escaped=True), into=into)


def _github_comment(row: Row, into: Crossing) -> None:
    raw = {"updated_at": row.value.get("created_at"), **row.value}
    cross([raw], github.Comment, github.from_comment, into=into)


def _github_issue(row: Row, into: Crossing) -> None:
    """An issue in full, or flattened: without its number at GitHub it is known by its url."""
    raw = {"id": 1, "updated_at": row.value.get("created_at"), **row.value}

    def known_by_url(issue: github.Issue) -> Record | None:
        record = github.from_issue(issue)
        if record is None or "id" in row.value:
            return record
        return replace(record, native_id=f"url:{record.url}", edited=None)

    cross([raw], github.Issue, known_by_url, "html_url", into)


def _hackernews_hit(row: Row, into: Crossing) -> None:
    cross([row.value], hackernews.Hit, hackernews.from_hit, "objectID", into)


def _hackernews_item(row: Row, into: Crossing) -> None:
    """A Firebase item, or the same with other names for author and comments."""
    raw = {"by": row.value.get("author"), "descendants": row.value.get("num_comments"), **row.value}
    cross([raw], hackernews.FirebaseItem, hackernews.from_firebase, into=into)


def _stackexchange_question(row: Row, into: Crossing) -> None:
    host = urlsplit(str(row.value["link"])).hostname
    if host is None:
        into.broken.append(broken(row.value, "link: not an address", "question_id"))
        return
    crossing = stackexchange.questions([row.value], host)
    into.records += crossing.records
    into.gone += crossing.gone
    into.broken += crossing.broken
    into.unused += crossing.unused


def _shapes(*pairs: tuple[str, Take]) -> tuple[Shape, ...]:
    return tuple(Shape(frozenset(fields.split()), take) for fields, take in pairs)


SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "reddit": _shapes(
        ("kind data", _reddit_answer),
        ("id link_id body", _reddit_comment),
        ("id title selftext created_utc", _reddit_post),
    ),
    "discord": _shapes(
        ("id timestamp content", discord.message),
        ("file text", discord.block),
    ),
    "hf_hub": _shapes(
        ("num events repo", hub.answer),
        ("num url comments", hub.discussion),
    ),
    "github": _shapes(
        ("html_url number title", _github_issue),
        ("html_url issue_url body", _github_comment),
    ),
    "hackernews": _shapes(
        ("objectID created_at_i", _hackernews_hit),
        ("id time type", _hackernews_item),
    ),
    "stackoverflow": _shapes(
        ("question_id link", _stackexchange_question),
    ),
}
COLLECTORS = {"hub": "hf_hub", "stackexchange": "stackoverflow"}  # collectors that go by another name than their source


def shapes_of(source: str) -> tuple[Shape, ...]:
    """The shapes of a source, with the documented line last."""
    line = plain.line_of(source)
    return (*SHAPES.get(source, ()), *_shapes(("url", line), ("html_url", line)))


def take(row: Row, shapes: tuple[Shape, ...], into: Crossing) -> None:
    """Takes one row over the border (of an array, each element); what no shape fits is set aside with its fields
    named."""
    value: Any = row.value
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for one in value:
            take(replace(row, value=one), shapes, into)
        return
    if not isinstance(value, Mapping):
        into.broken.append(broken(value, f"a {type(value).__name__}, not an object"))
        return
    for shape in shapes:
        if shape.fields <= value.keys():
            shape.take(row, into)
            return
    fields = ", ".join(sorted(map(str, value))[:12])
    into.broken.append(broken(value, f"no shape fits its fields: {fields}"[:300]))
