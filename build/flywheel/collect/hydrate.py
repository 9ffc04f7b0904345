"""`flywheel hydrate`: fetches the text of posts whose urls are in `data/`, so that the tagger can learn from
it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from flywheel.collect.client import AuthError, BudgetError, CallerError, NotThereError, UnavailableError
from flywheel.collect.plan import source_named
from flywheel.collect.record import Page, Wanted, iso
from flywheel.collect.runner import ODD_SHAPE, Runner, RunReport, SourceReport
from flywheel.collect.store import Found
from flywheel.signal import canonical_url

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


def kept(pages: Iterable[Page], urls: Iterable[str]) -> Iterator[Page]:
    """The pages of an archive with nothing on them but the posts of `urls`; the rest is counted as unused."""
    wanted = frozenset(urls)
    for page in pages:
        records = [record for record in page.records if record.url in wanted]
        yield replace(page, records=records, unused=page.unused + len(page.records) - len(records))


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
