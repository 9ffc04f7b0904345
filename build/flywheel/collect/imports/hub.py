"""Hugging Face Hub: discussions with their comments, one discussion a line, as public archives hold them."""

from functools import partial
from typing import Any

from flywheel.collect.border import Crossing, Id, IsoTime, Item, cross
from flywheel.collect.imports.read import Row
from flywheel.collect.record import Gone, Record
from flywheel.collect.sources import hub
from flywheel.signal import canonical_url


class Discussion(Item):
    num: Id
    url: str
    title: str
    body: str | None = None
    status: str | None = None
    author: str | None = None
    created_at: IsoTime
    comments: tuple[Any, ...] = ()


class Comment(Item):
    id: str
    content: str
    author: str | None = None
    created_at: IsoTime


def discussion(row: Row, into: Crossing) -> None:
    """The opening post, and each comment on its own."""
    found: list[tuple[Discussion, tuple[str, str, int]]] = []

    def opening(one: Discussion) -> Record | None:
        place = hub.place_of(canonical_url(one.url))
        if place is None:
            raise ValueError("url: not the address of a discussion")
        found.append((one, place))
        if hub.is_bot(one.author):
            return None
        replies = len(one.comments)
        return hub.opening(*place, one.title, one.body or "", one.author, one.created_at, one.status or "", replies)

    cross([row.value], Discussion, opening, into=into)
    for one, place in found:
        thread = hub.address(*place)
        cross(one.comments, Comment, partial(_reply, thread, place[1]), into=into)


def _reply(thread: str, name: str, comment: Comment) -> Record | Gone | None:
    return hub.reply(thread, name, comment.id, comment.content, comment.author, comment.created_at)


def answer(row: Row, into: Crossing) -> None:
    """One `discussions/NUM` answer of the API."""
    crossing = hub.thread_of(row.value)
    into.records += crossing.records
    into.gone += crossing.gone
    into.broken += crossing.broken
    into.unused += crossing.unused
