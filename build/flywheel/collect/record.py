"""The normalised record: one shape for a post of any source, and the page that carries records to the
store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from flywheel.signal import canonical_url

Kind = Literal["issue", "pull_request", "discussion", "question", "post", "comment"]
KINDS: frozenset[str] = frozenset(("issue", "pull_request", "discussion", "question", "post", "comment"))

# Why a page, and with it a window, ended. Only `complete` lets the cursor of a query advance.
#   complete    everything the source has for the window was read
#   split       more than the source will list; the window is halved and asked again
#   capped      the same, in a window of one second: it cannot be halved
#   incomplete  the source stopped early, repeated itself, or contradicted itself
#   error       the source called the request wrong
#   gone        what was asked (a repository, a forum) is no longer there
Verdict = Literal["complete", "split", "capped", "incomplete", "error", "gone"]

# Why a post is no longer to be had: deleted by its author or simply not there, removed or hidden by others, on
# request, moved to another address. The words of data/tombstones.jsonl.
Why = Literal["deleted", "removed", "request", "moved"]

_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class Record:
    """One post as its source shows it. Texts may still hold secrets and `author` is the plain name: both are
    seen to by the store, which scrubs the one and keeps only a keyed hash of the other."""

    source: str  # the codebook's name: github, hackernews, stackoverflow, reddit, hf_hub, hf_forum, discourse …
    native_id: str  # permanent at the source, unique within it: a number or node id, never a path or a title;
    # `url:…` where only the address is known (a dump): such a row is one with the row of the post's real id
    url: str  # link; made canonical here
    kind: Kind
    community: str  # owner/name, subreddit, site or host
    title: str | None = None
    body: str | None = None  # plain text with code between fences (flywheel.clean)
    created: str | None = None  # YYYY-MM-DDTHH:MM:SSZ, or a month or day where only that is known
    edited: str | None = None  # last change the source tells of, same form
    score: int | None = None
    n_replies: int | None = None
    thread: str | None = None  # canonical url of the opening post
    author: str | None = field(default=None, repr=False)
    state: str | None = None  # open, closed, merged, locked …, as the source calls it
    license: str | None = None  # the licence of the text, where the source states one
    attribution: str | None = None  # what that licence asks to be shown (Stack Exchange: name and profile link)
    ref: str | None = None  # what the source needs to find the post again, where its url does not do

    def __post_init__(self) -> None:
        if not self.native_id or not self.source:
            raise ValueError("a record needs source and native_id")
        if not self.native_id.isascii():
            raise ValueError("native_id: not in ASCII")
        for name in ("url", "thread"):
            if (link := getattr(self, name)) is not None:
                object.__setattr__(self, name, canonical_url(link))  # raises ValueError where it is no link
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} is not one of {', '.join(sorted(KINDS))}")
        if not (self.title or self.body):
            raise ValueError("neither title nor body")
        for name in ("score", "n_replies"):
            if (value := getattr(self, name)) is not None and abs(value) > _LARGEST:
                raise ValueError(f"{name}: {value} is out of range")


@dataclass(frozen=True, slots=True)
class Gone:
    """A post the source has deleted, removed or hidden. Either `native_id` or `url` must name it."""

    why: Why
    native_id: str | None = None
    url: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that could not be read: kept aside with its reason, so that its page can go on."""

    reason: str  # names the field
    raw: str  # the item as JSON; the store takes people's names out and scrubs it
    native_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a source, ready to be stored in one transaction with `cursor`.

    `n_items` = len(records) + len(gone) + len(broken) + unused. `cursor` is where the next page begins, None
    on the last one, whose `verdict` then stands for the window."""

    records: Sequence[Record] = ()
    gone: Sequence[Gone] = ()
    broken: Sequence[Broken] = ()
    unused: int = 0  # read, but of no use here: bots, other posts than those asked for
    cursor: str | None = None
    verdict: Verdict = "complete"
    reason: str = ""
    total: int | None = None  # how many the source says there are in the whole window
    alive: Sequence["Wanted"] = ()  # looked up, still there, and not read again

    @property
    def n_items(self) -> int:
        return len(self.records) + len(self.gone) + len(self.broken) + self.unused


@dataclass(frozen=True, slots=True)
class Wanted:
    """A post to look up again: for the re-check both are known, for `hydrate` only the url."""

    url: str
    native_id: str | None = None
    ref: str | None = None


class Window(NamedTuple):
    """Half-open [since, until) in UTC seconds."""

    since: int
    until: int

    @property
    def can_be_halved(self) -> bool:
        return self.until - self.since > 1

    def halves(self) -> tuple["Window", "Window"]:
        middle = (self.since + self.until) // 2
        return Window(self.since, middle), Window(middle, self.until)


def iso(seconds: float) -> str:
    """UTC seconds as YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_of(moment: datetime) -> str:
    """A time with its zone as YYYY-MM-DDTHH:MM:SSZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> int:
    """The other way round."""
    return int(datetime.fromisoformat(text).timestamp())
