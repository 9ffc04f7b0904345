"""The commands around collecting: `collect`, `hydrate`, `forget`."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from flywheel.collect import hydrate as hydrating
from flywheel.collect import tombstones
from flywheel.collect.plan import PlanError, read_plan
from flywheel.collect.record import Gone, iso
from flywheel.collect.report import as_text
from flywheel.collect.runner import Options, Runner, RunReport
from flywheel.collect.store import Store, StoreError, author_key
from flywheel.signal import canonical_url, signal_id

EXIT_CONFIGURATION = 3
"""A source refused our credentials, or said that we asked wrongly."""

store_option = click.option(
    "--store", "store_path", type=click.Path(dir_okay=False, path_type=Path), default=Path("store.db"),
    show_default=True, help="The private raw store.",
)  # fmt: skip
data_option = click.option(
    "--data", "data_path", type=click.Path(file_okay=False, path_type=Path), default=Path("data"),
    show_default=True, help="Where tombstones.jsonl and the coded posts are.",
)  # fmt: skip
plan_option = click.option(
    "--plan", "plan_path", type=click.Path(dir_okay=False, path_type=Path), default=Path("data/collect.yml"),
    show_default=True, help="What is asked of each source.",
)  # fmt: skip
source_option = click.option("--source", "only", multiple=True, help="Only this source; may be given again.")
budget_option = click.option(
    "--budget", type=click.IntRange(min=1), help="Requests a source may spend, in place of the plan's number."
)


@contextmanager
def one_clear_error() -> Iterator[None]:
    """What is wrong with the input becomes one message and exit code 1."""
    try:
        yield
    except (PlanError, StoreError, tombstones.TombstoneError) as error:
        raise click.ClickException(str(error)) from None


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day like 2026-11-16") from None


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _bars() -> Callable[[str, int, int], None]:
    """A bar a source on a terminal, nothing elsewhere."""
    bars: dict[str, Any] = {}

    def progress(source: str, done: int, known: int) -> None:
        if not sys.stderr.isatty():
            return
        if source not in bars:
            for finished in bars.values():
                finished.render_finish()
            bars[source] = click.progressbar(length=known, label=f"{source:<14}", file=sys.stderr)
        bars[source].length = known
        bars[source].update(done - bars[source].pos)
        if done >= known:
            bars[source].render_finish()

    return progress


def _open(store_path: Path, data_path: Path) -> Store:
    store = Store(store_path, author_key())
    store.bury(tombstones.read(data_path / "tombstones.jsonl"), _today())
    return store


def _finish(report: RunReport, data_path: Path, report_path: Path | None) -> None:
    tombstones.append(data_path / "tombstones.jsonl", report.erased, "gone at the source", _today())
    if report_path:
        report_path.write_text(
            json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    click.echo(as_text(report))
    if any(source.failed for source in report.sources):
        raise SystemExit(EXIT_CONFIGURATION)


@click.command()
@plan_option
@store_option
@data_option
@source_option
@click.option("--since", callback=_day, metavar="DAY", help="Read everything from this day on again.")
@budget_option
@click.option("--dry-run", is_flag=True, help="Say what would be asked; ask nothing, write nothing.")
@click.option("--no-recheck", is_flag=True, help="Do not look up again what earlier runs found.")
@click.option(
    "--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), help="Report as JSON."
)
@click.option("--verbose", is_flag=True, help="Say why each wait and each second try happens.")
def collect(
    plan_path: Path, store_path: Path, data_path: Path, only: tuple[str, ...], since: date | None,
    budget: int | None, dry_run: bool, no_recheck: bool, report_path: Path | None, verbose: bool,
) -> None:  # fmt: skip
    """Keeps the private raw store current from the sources of the plan."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")
    with one_clear_error():
        plan = read_plan(plan_path)
        if unknown := set(only) - set(plan.sources):
            raise PlanError(f"--source {', '.join(sorted(unknown))}: not in {plan_path}")
        options = Options(only, since, budget, not no_recheck)
        if dry_run:
            click.echo("\n".join(Runner.preview(plan, store_path, options)))
            return
        with _open(store_path, data_path) as store:
            report = Runner(store, plan, progress=_bars()).run(options)
        _finish(report, data_path, report_path)


@click.command()
@plan_option
@store_option
@data_option
@source_option
@budget_option
@click.option(
    "--from", "archive", type=click.Path(exists=True, path_type=Path), help="Take it from an archive."
)
@click.option(
    "--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), help="Report as JSON."
)
def hydrate(
    plan_path: Path, store_path: Path, data_path: Path, only: tuple[str, ...], budget: int | None,
    archive: Path | None, report_path: Path | None,
) -> None:  # fmt: skip
    """Fetches the text of the coded posts, whose urls are in data/."""
    with one_clear_error():
        plan = read_plan(plan_path)
        urls = list(dict.fromkeys(hydrating.urls_in(data_path)))
        with _open(store_path, data_path) as store:
            report = hydrating.hydrate(Runner(store, plan), urls, only, budget)
        _finish(report, data_path, report_path)


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL…")
@store_option
@data_option
def forget(urls: tuple[str, ...], store_path: Path, data_path: Path) -> None:
    """Erases posts for good: from the store, and by a tombstone from every later build."""
    with one_clear_error():
        try:
            wanted = [canonical_url(url) for url in urls]
        except ValueError as error:
            raise click.ClickException(f"not the address of a post: {error}") from None
        # The tombstone first: should the rest fail, the next run applies it.
        added = tombstones.append(
            data_path / "tombstones.jsonl",
            [signal_id(url) for url in wanted],
            "forgotten on request",
            _today(),
        )
        held = 0
        if store_path.exists():
            with Store(store_path, author_key()) as store:
                held = len(wanted) - len(store.missing(wanted))
                store.erase(
                    [Gone("forgotten", url=url) for url in wanted], iso(datetime.now(UTC).timestamp())[:10]
                )
        click.echo(f"{len(added)} new tombstones, {held} posts erased from {store_path}")


COMMANDS: list[click.Command] = [collect, hydrate, forget]
