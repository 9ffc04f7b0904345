"""Discord: exports of DiscordChatExporter (JSON), and threads as text blocks.

Read from files that someone who may see the channel has made; nothing is asked of Discord. Direct messages are
never taken in, since they are not public. In a forum or thread the message that has the channel's own number is
the opening post and gets its name as title; in a channel every message stands alone.
https://github.com/Tyrrrz/DiscordChatExporter"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError

from flywheel.clean import markdown_text
from flywheel.collect.border import Crossing, IsoTime, Item, broken, cross, why
from flywheel.collect.imports.read import Row
from flywheel.collect.record import Record, iso_of

SITE = "https://discord.com/channels"
UNKNOWN_SERVER = "0"  # text blocks do not name their server: such a link names the post, but opens nothing
WRITTEN = frozenset(("Default", "Reply", "ThreadStarterMessage", "0", "19", "21"))  # not: joined, pinned, called

Snowflake = Annotated[str, Field(pattern=r"^\d{1,20}$")]


class Channel(NamedTuple):
    server: str
    id: str
    community: str  # server/channel, in words
    title: str | None  # of a thread


class Author(Item):
    id: str | None = None
    name: str | None = None
    isBot: bool = False  # noqa: N815 - the exporter's name


class Message(Item):
    id: Snowflake
    type: str = "Default"
    timestamp: IsoTime
    timestampEdited: IsoTime | None = None  # noqa: N815
    content: str = ""
    author: Author = Author()


class Guild(Item):
    id: Snowflake
    name: str = ""


class ExportedChannel(Item):
    id: Snowflake
    type: str = ""
    category: str | None = None
    name: str = ""


class Head(Item):
    guild: Guild
    channel: ExportedChannel


def _word(text: str | None) -> str:
    return re.sub(r"[^\w.-]+", "-", text or "").strip("-.").lower()[:60] or "unnamed"


def message(row: Row, into: Crossing) -> None:
    """One message of an export; `row.head` tells guild and channel."""
    try:
        head = Head.model_validate(row.head)
    except ValidationError as error:
        into.broken.append(broken(row.value, f"before messages: {why(error)}"))
        return
    if head.guild.id == "0" or "Direct" in head.channel.type:
        into.unused += 1
        return
    thread = "Thread" in head.channel.type
    place = head.channel.category if thread and head.channel.category else head.channel.name
    community = f"{_word(head.guild.name)}/{_word(place)}"
    channel = Channel(head.guild.id, head.channel.id, community, head.channel.name if thread else None)
    cross([row.value], Message, lambda m: from_message(m, channel), into=into)


def from_message(message: Message, channel: Channel) -> Record | None:
    """A message; None for bots, for notices of Discord, and for pictures without words."""
    opening = channel.title is not None and message.id == channel.id
    body = _text(message.content)
    if message.author.isBot or message.type not in WRITTEN or not (body or opening):
        return None
    base = f"{SITE}/{channel.server}/{channel.id}"
    return Record(
        source="discord",
        native_id=message.id,
        url=f"{base}/{message.id}",
        kind="post" if opening else "comment",
        community=channel.community,
        title=channel.title if opening else None,
        body=body or None,
        created=iso_of(message.timestamp),
        edited=iso_of(message.timestampEdited) if message.timestampEdited else None,
        thread=f"{base}/{channel.id}" if channel.title is not None else None,
        author=None if message.author.name == "Deleted User" else message.author.id or message.author.name,
    )


_MENTION = re.compile(r"<@[!&]?\d+>")
_EMOJI = re.compile(r"<a?(:\w+:)\d+>")


def _text(content: str) -> str:
    """Markdown without numbers of people and of pictures."""
    return markdown_text(_EMOJI.sub(r"\1", _MENTION.sub("@someone", content)))


# --- text blocks ----------

_THREAD = re.compile(r"# Thread '(?P<title>.*)' in forum #(?P<place>\S+)\n# thread_id=(?P<id>\d+)")
_CHANNEL = re.compile(r"# Archive of #(?P<place>\S+) \(channel id (?P<id>\d+)\)")
_SAID = re.compile(r"^\[(\d{4}-\d\d-\d\dT[^\]\n]{8,30})\] (.*) \(id=(\d+)\)$", re.MULTILINE)
_ADDED = re.compile(r"\[(?:reply to|embed|attachment|sticker)\b")


def block(row: Row, into: Crossing) -> None:
    """A whole thread or channel as one text: a header, then `[time] name (id=…)` and the indented words."""
    raw: Mapping[str, Any] = row.value
    text = raw.get("text")
    head = isinstance(text, str) and (_THREAD.match(text) or _CHANNEL.match(text))
    if not head or not isinstance(text, str):
        into.broken.append(
            broken({"file": raw.get("file")}, "text: does not begin with a thread's or a channel's header")
        )
        return
    title = head.groupdict().get("title")
    channel = Channel(UNKNOWN_SERVER, head["id"], f"server/{_word(head['place'])}", title)
    said = list(_SAID.finditer(text))
    for one, then in zip(said, [*said[1:], None], strict=True):
        words = text[one.end() : then.start() if then else None].split("\n")
        own = [line[4:] for line in words if line.startswith("    ") or not line]
        own = [line for line in own if not _ADDED.match(line)]
        item = {"id": one[3], "timestamp": one[1], "content": "\n".join(own), "author": {"name": one[2]}}
        cross([item], Message, lambda m: from_message(m, channel), into=into)
    if not said:
        into.unused += 1
