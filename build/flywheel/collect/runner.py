"""One run of `flywheel collect`: which windows to ask, page after page into the store, what was deleted, a
report.

A query is asked for the times it was not yet read completely, and again for the last `overlap_hours` before
them, since search indexes lag and posts are edited. Windows are written down before they are asked and taken
up again where they stopped. Time that was read before is asked without a window of its own: it can only add
or change posts."""

import logging
import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flywheel.collect.client import (
    AuthError,
    BudgetError,
    CallerError,
    Client,
    Clock,
    CollectError,
    NotThereError,
    Redacting,
    SystemClock,
    UnavailableError,
)
from flywheel.collect.plan import Plan, SourcePlan, source_named
from flywheel.collect.record import Page, Verdict, Wanted, Why, Window, iso
from flywheel.collect.source import Query, Source
from flywheel.collect.store import Counts, Found, Store

log = logging.getLogger("flywheel.collect")

LAG = 600  # seconds: an index shows a new post some minutes late
STEP = 3600  # a window ends on a full hour, so that two runs close to each other ask for the same window
YOUNG = timedelta(days=30)
MOST_PAGES = 10_000  # of one window; a source that pages on for ever is stopped here
REPEATS = 2  # pages in a row with nothing but posts that this window already had

BLIND_HALVINGS = 4  # in a row, where the source asks for halves but does not say how many there are

# What JSON of an odd shape does to a collector. Whatever a server sends, the other windows and sources are read.
ODD_SHAPE = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError)

SECRET_VARIABLES = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "STACKEXCHANGE_KEY",
    "DISCOURSE_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "praw_client_id",
    "praw_client_secret",
    "praw_password",
    "FLYWHEEL_AUTHOR_KEY",
]


@dataclass(slots=True)
class WindowReport:
    query: str
    since: str
    until: str
    verdict: str
    got: int
    reason: str = ""


@dataclass(slots=True)
class SourceReport:
    """What one source gave. `asked` counts requests; `got` = new + changed + same + gone + quarantined +
    unused + tombstoned."""

    source: str
    asked: int = 0
    counts: Counts = field(default_factory=Counts)
    rechecked: int = 0
    windows: list[WindowReport] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # parts of the plan that could not be asked, with the reason
    skipped: str = ""  # why it was not asked, or not to the end
    failed: str = ""  # what someone must look at
    resume_after: str = ""
    waited: float = 0.0

    @property
    def news(self) -> bool:
        c = self.counts
        return bool(c.new or c.changed or c.newly_gone or c.newly_quarantined)


@dataclass(slots=True)
class RunReport:
    started: str
    sources: list[SourceReport] = field(default_factory=list)
    erased: dict[str, Why] = field(default_factory=dict)  # public id → why

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a run."""

    only: tuple[str, ...] = ()  # names of sources; empty: all
    since: date | None = None
    budget: int | None = None  # requests per source
    recheck: bool = True


Progress = Callable[[str, int, int], None]
"""Called with (source, windows done, windows known)."""


def no_progress(source: str, done: int, known: int) -> None:
    pass


@dataclass(slots=True)
class Runner:
    store: Store
    plan: Plan
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = no_progress
    jitter: Callable[[], float] = random.random

    def run(self, options: Options) -> RunReport:
        """Asks every source in turn. One that fails does not keep the next from being asked."""
        now = self.clock.now()
        report = RunReport(iso(now))
        secrets = [self.environ[name] for name in SECRET_VARIABLES if self.environ.get(name)]
        redacting = Redacting(secrets)
        log.addFilter(redacting)
        try:
            for name, entry in self.plan.sources.items():
                if not options.only or name in options.only:
                    report.sources.append(_SourceRun(self, source_named(name), entry, options, now).run(report.erased))
        finally:
            log.removeFilter(redacting)
        if any(s.news for s in report.sources) or report.erased:
            self.store.save_run(iso(now)[:10], report.as_dict())
        return report

    @staticmethod
    def preview(plan: Plan, store_path: Path, options: Options, clock: Clock | None = None) -> list[str]:
        """What a run would ask, without asking or writing: the store is read from a copy in memory."""
        now = (clock or SystemClock()).now()
        lines = []
        with Store.copy_in_memory(store_path) as store:
            for name, entry in plan.sources.items():
                if options.only and name not in options.only:
                    continue
                source = source_named(name)
                why = "switched off in the plan" if not entry.enabled else source.missing(entry, os.environ)
                if why:
                    lines.append(f"{name}: skipped: {why}")
                    continue
                run = _SourceRun(Runner(store, plan), source, entry, options, now)
                lines.append(f"{name}: at most {options.budget or entry.requests} requests")
                lines += [f"  left out: {what}" for what in source.left_out(entry, os.environ)]
                for query in source.queries(entry, os.environ):
                    spans = [f"{iso(p.window.since)} to {iso(p.window.until)}" for p in run.windows(query)]
                    frame = f"{query.asked.frame}, {query.asked.corpus}"
                    lines.append(f"  {query.key} ({frame}): {'; '.join(spans) or 'nothing'}")
                if options.recheck:
                    lines.append(f"  look up again: {len(run.due())}")
        return lines

    def client(self, source: Source[Any], entry: SourcePlan, requests: int | None = None) -> Client:
        """The client of one source, with the waits that earlier runs were told."""
        budget = entry.budget()
        budget.requests = requests or budget.requests
        agent = f"python:tinker-flywheel:{version('tinker-flywheel')} ({self.plan.contact or 'no contact given'})"
        client = Client(
            headers={"User-Agent": agent, **source.headers(entry, self.environ)},
            pace=source.pace if entry.pace is None else entry.pace,
            budget=budget,
            clock=self.clock,
            jitter=self.jitter,
            timeout=(min(5.0, entry.timeout), entry.timeout),
            told=lambda lane, until, why: self.store.save_resume(source.name, lane, until, self.clock.now(), why),
        )
        for lane, left, why in self.store.resumes(source.name, self.clock.now()):
            client.resume(lane, left, why)
        return client


class _SourceRun:
    """One source in one run."""

    def __init__(self, runner: Runner, source: Source[Any], entry: SourcePlan, options: Options, now: float) -> None:
        self.runner, self.store, self.clock = runner, runner.store, runner.clock
        self.source, self.entry, self.options, self.now = source, entry, options, now
        self.day = iso(now)[:10]
        self.report = SourceReport(source.name)
        self.seen: set[str] = set()  # native ids met in this run: no need to look them up again
        self.erased: dict[str, Why] = {}
        self.done = self.known = 0

    def run(self, erased: dict[str, Why]) -> SourceReport:
        report = self.report
        self.erased = erased
        if not self.entry.enabled:
            report.skipped = "switched off in the plan"
            return report
        if why := self.source.missing(self.entry, self.runner.environ):
            report.skipped = why
            return report
        report.left_out = list(self.source.left_out(self.entry, self.runner.environ))
        client = self.runner.client(self.source, self.entry, self.options.budget)
        try:
            queries = self.source.queries(self.entry, self.runner.environ)
            self.known = len(queries)
            for query in queries:
                self._query(client, query)
            if self.options.recheck:
                self._recheck(client)
        except BudgetError as stop:
            report.skipped, report.resume_after = f"stopped: {stop}", iso(stop.resume_after)
            if stop.resume_after > self.clock.now():
                self.store.save_resume(self.source.name, "", stop.resume_after, self.clock.now(), str(stop))
        except AuthError as error:
            report.failed = f"refused: {error}"
        report.asked, report.waited = client.budget.asked, round(client.budget.waited, 1)
        self.store.clear_resumes(self.source.name, self.clock.now())
        return report

    # --- windows ----------

    def _query(self, client: Client, query: Query) -> None:
        todo = deque(self.windows(query))
        self.known += len(todo) - 1  # the query itself was counted for one
        while todo:
            piece = todo.popleft()
            if piece.kept and piece.cursor is None:
                self.store.open_window(self.source.name, query.key, piece.window)
            verdict = self._window(client, query, piece)
            if verdict == "split":
                halves = piece.window.halves()
                self.known += len(halves)
                blind = piece.blind + 1 if piece.total is None else 0
                todo.extend(_Piece(half, piece.kept, None, piece, blind=blind) for half in halves)
            self.done += 1
            self.runner.progress(self.source.name, self.done, self.known)

    def windows(self, query: Query) -> Iterator["_Piece"]:
        """What to ask of a query: windows left open, times not yet read, and the overlap."""
        opened = self.store.open_windows(self.source.name, query.key)
        for window, cursor, _ in opened:
            yield _Piece(window, True, cursor)
        since = self.options.since or self.entry.since or self.runner.plan.since
        start = int(datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp())
        until = int(self.now - LAG) // STEP * STEP
        overlap = self.entry.overlap_hours * 3600
        covered = self.store.covered(self.source.name, query.key)
        forced = self.options.since is not None and not any(w.window.until > start for w in opened)
        if forced and until > start:
            yield _Piece(Window(start, until), not _inside(Window(start, until), covered))
            return
        gaps = list(_gaps(Window(start, until), [*covered, *(w.window for w in opened)]))
        for gap in gaps:
            # The newest one reaches back into what was read, never before the plan's start.
            back = overlap if gap.until == until else 0
            yield _Piece(Window(max(start, gap.since - back), gap.until), True)
        if not opened and (not gaps or gaps[-1].until < until) and until > start:
            yield _Piece(Window(max(start, until - overlap), until), False)

    def _window(self, client: Client, query: Query, piece: "_Piece") -> Verdict:
        """Reads one window to its end. Its verdict is already in the store when this returns."""
        window, got, repeats, met = piece.window, 0, 0, set[str]()
        found = Found(self.source.name, query.key, query.asked.frame, query.asked.corpus)
        verdict: Verdict = "incomplete"
        reason = "the source ended without a last page"
        try:
            for n, page in enumerate(self.source.pages(client, self.entry, query, window, piece.cursor), start=1):
                page = self._checked(page, piece, client)
                ids = {r.native_id for r in page.records}
                repeats = repeats + 1 if ids and ids <= met else 0
                met |= ids
                if page.cursor is not None and (repeats >= REPEATS or n >= MOST_PAGES):
                    page = _ended(page, "incomplete", "the source repeats itself" if repeats else "no end of pages")
                self._write(page, found, window if piece.kept else None)
                got += page.n_items
                if page.cursor is None:
                    verdict, reason = page.verdict, page.reason
                    break
            else:
                self._close(query, piece, verdict, reason)
        except (UnavailableError, CallerError, NotThereError) as error:
            verdict, reason = _VERDICTS[type(error)], str(error)
            self._close(query, piece, verdict, reason)
        except ODD_SHAPE as error:
            verdict, reason = "incomplete", f"an answer of a shape that was not expected ({type(error).__name__})"
            log.warning("%s: %s", query.key, reason, exc_info=log.isEnabledFor(logging.DEBUG))
            self._close(query, piece, verdict, reason)
        if verdict != "split":
            self.report.windows.append(
                WindowReport(query.key, iso(window.since), iso(window.until), verdict, got, reason)
            )
        return verdict

    def _checked(self, page: Page, piece: "_Piece", client: Client) -> Page:
        """The last page of a window, with its verdict doubted. A total that lies (halves that hold more than
        the whole did) would have the window split for ever; a clock of ours that runs ahead would mark time
        as read that is still to come."""
        if page.cursor is not None:
            return page
        if page.verdict == "complete" and client.server_now and piece.window.until > client.server_now + LAG:
            return _ended(page, "incomplete", f"our clock is ahead of the source's ({iso(client.server_now)})")
        if page.verdict != "split":
            return page
        piece.total = page.total
        if page.total is None and piece.blind >= BLIND_HALVINGS:
            return _ended(page, "incomplete", f"halved {BLIND_HALVINGS} times, and still: {page.reason}")
        if not piece.window.can_be_halved:
            return _ended(page, "capped", "more than the source will list in one second")
        if (
            piece.parent
            and page.total
            and piece.parent.total
            and piece.parent.total_of_halves(page.total) > 1.5 * piece.parent.total
        ):
            return _ended(page, "incomplete", f"the source's total ({page.total}) does not shrink with the window")
        return page

    def _close(self, query: Query, piece: "_Piece", verdict: Verdict, reason: str) -> None:
        if piece.kept:
            self.store.close_window(self.source.name, query.key, piece.window, verdict, reason)

    def _write(self, page: Page, found: Found, window: Window | None = None) -> None:
        counts, erased = self.store.write_page(page, found, self.day, self.source.name, window)
        self.report.counts.add(counts)
        self.erased |= erased
        self.seen |= {r.native_id for r in page.records}

    # --- deletions ----------

    def _recheck(self, client: Client) -> None:
        """Looks up again what is young, and an eighth of the rest; what the source no longer has is
        erased."""
        young_from = iso(self.now - YOUNG.total_seconds())[:10]
        share = int(self.now // (7 * 86400)) % 8
        due = [w for w in self.store.due(self.source.name, self.day, young_from, share) if w.native_id not in self.seen]
        found = Found(self.source.name)
        try:
            for page in self.source.look_up(client, self.entry, due):
                self._write(page, found)
                self.store.checked(self.source.name, [w.native_id for w in page.alive if w.native_id], self.day)
                self.report.rechecked += page.n_items + len(page.alive)
        except (UnavailableError, CallerError, NotThereError, *ODD_SHAPE) as error:
            self.report.skipped = f"re-check stopped: {type(error).__name__}: {error}"

    def due(self) -> list[Wanted]:
        young_from = iso(self.now - YOUNG.total_seconds())[:10]
        share = int(self.now // (7 * 86400)) % 8
        due = self.store.due(self.source.name, self.day, young_from, share)
        return [one for one in due if one.native_id not in self.seen]


@dataclass(slots=True)
class _Piece:
    """A window to be read. `kept`: it has a row in the store, since its time was not read before."""

    window: Window
    kept: bool
    cursor: str | None = None
    parent: "_Piece | None" = None
    total: int | None = None
    halves_total: int = 0
    blind: int = 0

    def total_of_halves(self, total: int) -> int:
        self.halves_total += total
        return self.halves_total


_VERDICTS: Mapping[type[CollectError], Verdict] = {
    UnavailableError: "incomplete",
    CallerError: "error",
    NotThereError: "gone",
}


def _ended(page: Page, verdict: Verdict, reason: str) -> Page:
    return Page(page.records, page.gone, page.broken, page.unused, None, verdict, reason, page.total)


def _gaps(whole: Window, covered: Iterable[Window]) -> Iterator[Window]:
    """The parts of `whole` that no window of `covered` reaches."""
    at = whole.since
    for window in sorted(covered):
        if window.since > at:
            yield Window(at, min(window.since, whole.until))
        at = max(at, window.until)
        if at >= whole.until:
            return
    if at < whole.until:
        yield Window(at, whole.until)


def _inside(window: Window, covered: Sequence[Window]) -> bool:
    return any(c.since <= window.since and window.until <= c.until for c in covered)
