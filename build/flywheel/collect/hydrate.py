"""`flywheel hydrate`: fetches the text of posts whose urls are in `data/`, so that the tagger can learn from
it."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from flywheel.collect.border import Crossing
from flywheel.collect.client import AuthError, BudgetError, CallerError, NotThereError, UnavailableError
from flywheel.collect.imports import plain, read, shapes
from flywheel.collect.imports.run import ImportReport, pages_of
from flywheel.collect.plan import source_named
from flywheel.collect.record import Page, Wanted, iso
from flywheel.collect.runner import ODD_SHAPE, Runner, RunReport, SourceReport
from flywheel.collect.store import Found, Store
from flywheel.signal import canonical_url, signal_id

FIRST_ROWS = 50
FILES = ("signals/*.jsonl", "derived/*.jsonl")


def urls_in(data: Path) -> Iterator[str]:
    """Canonical urls of the coded and derived posts, file by file. A line without one is passed over:
    `flywheel check` is what judges `data/`."""
    for pattern in FILES:
        for file in sorted(data.glob(pattern)):
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    try:
                        yield canonical_url(json.loads(line)["url"])
                    except (ValueError, TypeError, KeyError):
                        continue


def kept(page: Page, ids: frozenset[str]) -> Page:
    """A page of an archive with nothing on it but the posts that `ids` (public ids) name."""
    records = [record for record in page.records if signal_id(record.url) in ids]
    gone = [one for one in page.gone if one.url and signal_id(canonical_url(one.url)) in ids]
    return Page(records, gone, unused=page.n_items - len(records) - len(gone))


def from_archive(store: Store, path: Path, urls: Iterable[str], day: str, source: str = "") -> ImportReport:
    """Takes from an archive the posts of `urls` that the store does not hold yet. Without a source, each file is read
    as the source whose shapes fit its first rows best."""
    ids = frozenset(signal_id(url) for url in store.missing(urls))
    report = ImportReport(source or "archive")
    for file in read.files_of(path):
        found = Found(None, f"hydrate:{file.name}")
        for _, page in pages_of(file, source or fitting(file), report):
            counts, erased = store.write_page(kept(page, ids), found, day)
            report.counts.add(counts)
            report.erased |= erased
    return report


def fitting(file: Path) -> str:
    """The source whose shapes take the most of the first rows of a file; `jsonl`, any source's documented line, where
    that is as good as any."""
    rows = list(islice(read.rows(file), FIRST_ROWS))

    def taken(source: str) -> int:
        crossing = Crossing()
        for row in rows:
            if not row.error:
                shapes.take(row, shapes.shapes_of(source), crossing)
        return len(crossing.records) + len(crossing.gone)

    return max((plain.ANY, *sorted(shapes.SHAPES)), key=taken)


def hydrate(runner: Runner, urls: Iterable[str], only: tuple[str, ...] = (), budget: int | None = None) -> RunReport:
    """Looks up every url that a source of the plan can read and the store does not hold yet."""
    now = runner.clock.now()
    report = RunReport(iso(now))
    missing = runner.store.missing(urls)
    for name, entry in runner.plan.sources.items():
        if only and name not in only:
            continue
        source, one = source_named(name), SourceReport(name)
        report.sources.append(one)
        wanted = [Wanted(url) for url in missing if source.owns(entry, url)]
        why = "switched off in the plan" if not entry.enabled else source.missing(entry, runner.environ)
        if why or not wanted:
            one.skipped = why or "nothing to fetch"
            continue
        client = runner.client(source, entry, budget)
        try:
            for page in source.look_up(client, entry, wanted):
                counts, erased = runner.store.write_page(page, Found(name, "hydrate"), iso(now)[:10], name)
                one.counts.add(counts)
                report.erased |= erased
        except BudgetError as stop:
            one.skipped, one.resume_after = f"stopped: {stop}", iso(stop.resume_after)
        except (UnavailableError, CallerError, NotThereError, *ODD_SHAPE) as error:
            one.skipped = f"stopped: {type(error).__name__}: {error}"
        except AuthError as error:
            one.failed = f"refused: {error}"
        one.asked, one.waited = client.budget.asked, round(client.budget.waited, 1)
    return report
