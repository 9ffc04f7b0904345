"""The commands around collecting: `collect`, `import`, `hydrate`, `forget`."""

import json
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from flywheel.collect import hydrate as hydrating
from flywheel.collect import tombstones
from flywheel.collect.imports import run as importing
from flywheel.collect.plan import read_plan
from flywheel.collect.record import Gone, Why
from flywheel.collect.report import as_text
from flywheel.collect.runner import Options, Progress, Runner, RunReport, no_progress
from flywheel.collect.store import KEY_FILE, Store, StoreError, author_key
from flywheel.faults import FaultsError
from flywheel.signal import canonical_url, signal_id

EXIT_CONFIGURATION = 3
"""A source refused our credentials, or said that we asked wrongly."""


def _file(*names: str, help: str, default: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    return click.option(*names, type=click.Path(dir_okay=False, path_type=Path), help=f"{help} Default: {default}.")


store_option = _file("--store", "store_path", help="The private raw store.", default="store.db of the project")
plan_option = _file("--plan", "plan_path", help="What is asked of each source.", default="collect.yml of the data")
report_option = _file("--report", "report_path", help="Writes the report as JSON.", default="none")
data_option = click.option(
    "--data",
    "data_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of public data. Default: data/ of the project.",
)
source_option = click.option("--source", "only", multiple=True, help="Only this source; may be given again.")
budget_option = click.option(
    "--budget", type=click.IntRange(min=1), help="Requests a source may spend, in place of the plan's number."
)


@dataclass(frozen=True)
class Places:
    """Where everything is: what the options say, else its place in the project."""

    store: Path
    data: Path
    plan: Path
    key: Path

    @classmethod
    def of(cls, store: Path | None, data: Path | None, plan: Path | None = None) -> "Places":
        context = click.get_current_context()
        root = context.obj if isinstance(context.obj, Path) else Path.cwd()
        data = data or root / "data"
        return cls(store or root / "store.db", data, plan or data / "collect.yml", root / KEY_FILE)

    @property
    def tombstones(self) -> Path:
        return self.data / "tombstones.jsonl"

    def open(self) -> Store:
        """The store, with every tombstone of the data applied to it."""
        store = Store(self.store, author_key(file=self.key))
        store.bury(tombstones.read(self.tombstones), _today())
        return store


@contextmanager
def one_clear_error() -> Iterator[None]:
    """What is wrong with the input becomes one message and exit code 1."""
    try:
        yield
    except (FaultsError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    except sqlite3.OperationalError as error:  # locked, read-only, disk full
        raise click.ClickException(f"the store cannot be written: {error}") from None


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day like 2026-11-16") from None


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _bars() -> Progress:
    """A bar a source on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return no_progress
    bars: dict[str, Any] = {}

    def progress(source: str, done: int, known: int) -> None:
        if source not in bars:
            bars[source] = click.progressbar(length=known, label=f"{source:<14}", file=sys.stderr)
        bars[source].length = known
        bars[source].update(done - bars[source].pos)
        if done >= known:
            bars[source].render_finish()

    return progress


def _finish(report: RunReport, buried: Mapping[str, Why], places: Places, report_path: Path | None) -> None:
    # What an earlier run erased before it was cut short is made good here, where the data name it.
    named = {signal_id(url) for url in hydrating.urls_in(places.data)} if buried else set()
    erased = report.erased | {one: why for one, why in buried.items() if one in named}
    tombstones.append(places.tombstones, erased, _today()[:7])
    if report_path:
        report_path.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
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
@report_option
@click.option("--verbose", is_flag=True, help="Say why each wait and each second try happens.")
def collect(
    plan_path: Path | None,
    store_path: Path | None,
    data_path: Path | None,
    only: tuple[str, ...],
    since: date | None,
    budget: int | None,
    dry_run: bool,
    no_recheck: bool,
    report_path: Path | None,
    verbose: bool,
) -> None:
    """Keeps the private raw store current from the sources of the plan."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")
    # Stamina tells of each second try in its own way; the client tells it with the reason.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    places = Places.of(store_path, data_path, plan_path)
    with one_clear_error():
        plan = read_plan(places.plan)
        if unknown := set(only) - set(plan.sources):
            raise click.BadParameter(f"{', '.join(sorted(unknown))}: not in {places.plan}", param_hint="--source")
        options = Options(only, since, budget, not no_recheck)
        if dry_run:
            click.echo("\n".join(Runner.preview(plan, places.store, options)))
            return
        with places.open() as store:
            report = Runner(store, plan, progress=_bars()).run(options)
            buried = store.buried()
        _finish(report, buried, places, report_path)


@click.command()
@plan_option
@store_option
@data_option
@source_option
@budget_option
@click.option(
    "--from",
    "archive",
    type=click.Path(exists=True, path_type=Path),
    help="Take it from this archive (a file or a folder), not from the sources; --source says how it is read.",
)
@report_option
def hydrate(
    plan_path: Path | None,
    store_path: Path | None,
    data_path: Path | None,
    only: tuple[str, ...],
    budget: int | None,
    archive: Path | None,
    report_path: Path | None,
) -> None:
    """Fetches the text of the coded posts, whose urls are in data/, from their sources or from an archive."""
    places = Places.of(store_path, data_path, plan_path)
    with one_clear_error():
        urls = list(dict.fromkeys(hydrating.urls_in(places.data)))
        if archive:
            if len(only) > 1:
                raise click.BadParameter("an archive is of one source", param_hint="--source")
            with places.open() as store:
                told = hydrating.from_archive(store, archive, urls, _today(), *only)
                click.echo(
                    f"{told.as_text()}\n{len(store.missing(urls)):,} of {len(urls):,} posts are still without text"
                )
            if told.faults:
                raise FaultsError(told.faults)
            return
        plan = read_plan(places.plan)
        with places.open() as store:
            report = hydrating.hydrate(Runner(store, plan), urls, only, budget)
            buried = store.buried()
        _finish(report, buried, places, report_path)


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL…")
@store_option
@data_option
def forget(urls: tuple[str, ...], store_path: Path | None, data_path: Path | None) -> None:
    """Erases posts for good: from the store, from the lines of the data, and by a tombstone from every later build."""
    places = Places.of(store_path, data_path)
    with one_clear_error():
        try:
            wanted = [canonical_url(url) for url in urls]
        except ValueError as error:
            raise click.ClickException(f"not the address of a post: {error}") from None
        # The tombstone first: should the rest fail, the next run applies it.
        ids: dict[str, Why] = {signal_id(url): "request" for url in wanted}
        ids |= tombstones.reached(places.data, ids)
        added = tombstones.append(places.tombstones, ids, _today()[:7])
        held = 0
        if places.store.exists():
            with Store(places.store, author_key(file=places.key)) as store:
                held = store.erase([Gone("request", url=url) for url in wanted], _today())
        lines = tombstones.sweep(places.data, ids)
        click.echo(f"{len(added)} new tombstones, {held} posts erased from {places.store}, {lines} lines of data gone")


@click.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path), metavar="FILE")
@click.option("--source", required=True, help="What it holds: reddit, discord, hf_hub, github … or jsonl for any.")
@click.option("--frame", type=click.Choice(["population", "neutral", "targeted"]), help="How its posts were come by.")
@click.option("--corpus", type=click.Choice(["public", "platform"]), default="public", show_default=True)
@store_option
@data_option
@report_option
def import_archive(
    path: Path,
    source: str,
    frame: str | None,
    corpus: str,
    store_path: Path | None,
    data_path: Path | None,
    report_path: Path | None,
) -> None:
    """Takes a public archive or an export into the private raw store: a file, or all files of a folder.

    JSON lines or one JSON document, plain or packed (gz, zst, bz2, xz). What cannot be read is set aside with its
    reason and the import goes on. Importing the same file again changes nothing.
    """
    places = Places.of(store_path, data_path)
    with one_clear_error():
        known = importing.names(places.data / "sources.yml")
        if source not in known:
            raise click.BadParameter(f"{source!r} is none of {', '.join(known)}", param_hint="--source")
        with places.open() as store:
            report = importing.import_path(store, path, source, _today(), frame, corpus, _counting())
            if report.news:
                store.save_run(_today(), report.as_dict())
            buried = store.buried()
        # What the data do not name needs no public tombstone: the store has its own.
        named = {signal_id(url) for url in hydrating.urls_in(places.data)} if buried else set()
        tombstones.append(places.tombstones, {i: why for i, why in buried.items() if i in named}, _today()[:7])
        if report_path:
            report_path.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(report.as_text())
        if report.faults:
            raise FaultsError(report.faults)


def _counting() -> Callable[[int], None]:
    """The number of rows so far on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda rows: None
    return lambda rows: click.echo(f"\r{rows:,} rows", nl=False, err=True)


COMMANDS: list[click.Command] = [collect, import_archive, hydrate, forget]
