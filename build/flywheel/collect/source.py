"""What a collector is: the few questions the runner asks of a source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from flywheel.collect.client import Client
from flywheel.collect.record import Page, Wanted, Window

if TYPE_CHECKING:
    from flywheel.collect.plan import Asked, SourcePlan

SettingsT = TypeVar("SettingsT", bound="SourcePlan")


@dataclass(frozen=True, slots=True)
class Query:
    """One thing asked of a source, window by window. `key` names it for good: the cursor hangs on it, so it
    must change when what is asked changes. `asked` is the plan's entry, with its frame, corpus and reason."""

    key: str
    asked: "Asked"
    spec: Any = None  # whatever the collector needs besides


class Source(ABC, Generic[SettingsT]):
    """A collector. `SOURCE` in `sources/NAME.py` is the one instance; it holds no state between calls."""

    name: ClassVar[str]  # as in data/collect.yml
    pace: ClassVar[float]  # least seconds between two requests to a host, by the source's own word
    settings: type[SettingsT]  # shape of the entry in data/collect.yml

    def missing(self, plan: SettingsT, environ: Mapping[str, str]) -> str | None:
        """Why the source cannot be asked at all (`no_credentials: …`), or None. The run then records it as
        skipped."""
        return None

    def headers(self, plan: SettingsT, environ: Mapping[str, str]) -> dict[str, str]:
        """Headers of every request; credentials go here, never into a url."""
        return {}

    def left_out(self, plan: SettingsT, environ: Mapping[str, str]) -> Sequence[str]:
        """What of the plan cannot be asked, each with its reason; the rest is asked, and the report names these."""
        return ()

    @abstractmethod
    def queries(self, plan: SettingsT, environ: Mapping[str, str]) -> Sequence[Query]:
        """What the plan asks, in the order it is asked."""

    @abstractmethod
    def pages(
        self, client: Client, plan: SettingsT, query: Query, window: Window, cursor: str | None
    ) -> Iterator[Page]:
        """The pages of a window, from `cursor` on (None: from the start). Each page is stored, with the
        cursor it leads to, before the next is asked for. The last page has no cursor and carries the verdict.
        A page with the verdict `split` (and no items) asks for the window to be halved."""

    def owns(self, plan: SettingsT, url: str) -> bool:
        """Whether a canonical url is one that `look_up` can read."""
        return False

    def look_up(self, client: Client, plan: SettingsT, wanted: Sequence[Wanted]) -> Iterator[Page]:
        """Reads posts again, by what is known of them. What the source no longer has must come back in
        `gone`: asked ids minus returned ids, confirmed by a second question. Whatever is in neither is taken
        as not answered."""
        yield from ()
