"""The command line: build, check, export and serve; collect, import, hydrate and forget; train, tag and find copies;
draw posts to be read and take their readings back; refresh.

Exit codes: 0 done, 1 the input has faults (each printed on a line of its own), 2 the call itself is wrong.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from flywheel import serve as server
from flywheel.faults import FaultsError

# numpy, scipy, requests and PRAW take seconds to load. Commands that need them are loaded when they are called, so
# that a second `make serve` does not wait for them.
FURTHER = {
    "collect": "flywheel.collect.commands:collect",
    "import": "flywheel.collect.commands:import_archive",
    "hydrate": "flywheel.collect.commands:hydrate",
    "forget": "flywheel.collect.commands:forget",
    "train": "flywheel.tagging_commands:train_command",
    "tag": "flywheel.tagging_commands:tag_command",
    "classify": "flywheel.tagging_commands:classify",
    "explain": "flywheel.tagging_commands:explain",
    "dedupe": "flywheel.tagging_commands:dedupe_command",
    "fold": "flywheel.tagging_commands:fold_command",
    "sample": "flywheel.gold_commands:sample_command",
    "code": "flywheel.gold_commands:code_command",
    "refresh": "flywheel.refresh:command",
}


class Lazy(click.Group):
    """A group whose further commands are loaded from `module:name` when they are called."""

    def __init__(self, *arguments: Any, further: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.further = further

    def list_commands(self, context: click.Context) -> list[str]:
        return [*super().list_commands(context), *self.further]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.further:
            return super().get_command(context, name)
        module, _, attribute = self.further[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


def find_root(start: Path) -> Path:
    """The folder above `start`, or itself, that holds metadata.yml. Raises click.UsageError where there is none."""
    for folder in (start, *start.parents):
        if (folder / "metadata.yml").is_file():
            return folder
    raise click.UsageError(
        f"no project found: neither {start} nor a folder above it holds metadata.yml. Go into the project or name it "
        "with --root."
    )


def _say(line: str) -> None:
    click.echo(line, err=True)


def _stop(error: FaultsError) -> NoReturn:
    for fault in error.faults:
        click.echo(str(fault), err=True)
    count = len(error.faults)
    click.echo(f"{count} fault{'s' if count > 1 else ''}; nothing was written", err=True)
    sys.exit(1)


@click.group(cls=Lazy, further=FURTHER, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project's folder. Default: the one above the working folder that holds metadata.yml.",
)
@click.version_option(package_name="tinker-flywheel")
@click.pass_context
def main(context: click.Context, root: Path | None) -> None:
    """What developers who fine-tune language models struggle with in public: from posts to a published site.

    \b
    data/ ──build──▶ signals.db ──serve──▶ http://127.0.0.1:8001
    sources ──collect, import, hydrate──▶ store.db (private)
    texts ──train──▶ data/tagger ──tag──▶ data/derived;  texts ──fold──▶ data/duplicates.jsonl
    refresh: all of it once a week, published only where something changed and every check holds
    """
    if context.resilient_parsing or "--help" in sys.argv or "-h" in sys.argv:
        return
    context.obj = root.resolve() if root else find_root(Path.cwd())


def _data_option(function: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--data",
        "folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The folder of public data. Default: data/ of the project.",
    )(function)


@main.command()
@_data_option
@click.option(
    "--store",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A private raw store. Adds titles and excerpts where a source's policy allows; changes no id, label or share.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: signals.db of the project.")
@click.pass_obj
def build(root: Path, folder: Path | None, store: Path | None, out: Path | None) -> None:
    """Builds signals.db from the data folder.

    Checks every line first. With any fault nothing is written and the old file stays; each fault is one line that
    names file, line and field. The same data give the same bytes.
    """
    from flywheel import pipeline

    # Posts hold no cycles, and looking for them among a million takes a tenth of the build.
    gc.disable()
    started = time.perf_counter()
    try:
        built = pipeline.build(folder or root / "data", out or root / "signals.db", store, _say)
    except FaultsError as error:
        _stop(error)
    _say(f"{built.path.name}: {built.n_signals:,} signals, content {built.content_hash}")
    _say(f"built in {time.perf_counter() - started:.1f} s")


@main.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_obj
def check(root: Path, folder: Path | None) -> None:
    """Validates a data folder and reports what a person may want to look at. Writes nothing.

    Lists, among others, spellings of tools that tools.yml does not know, and places whose title names other years
    than their signals have.
    """
    from flywheel import data

    try:
        for line in data.report(data.read(folder or root / "data")):
            click.echo(line)
    except FaultsError as error:
        _stop(error)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), help="Default: export/ of the project.")
@click.option("--database", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: signals.db.")
@click.option(
    "--since",
    type=click.Path(exists=True, path_type=Path),
    help="An earlier export or signals.db, to compare with. Default: the export that is replaced, if there is one.",
)
@click.pass_obj
def export(root: Path, out: Path | None, database: Path | None, since: Path | None) -> None:
    """Writes the data for others to take: every table as CSV and Parquet, the SQLite file, checksums, and what
    describes them (Frictionless, Croissant, schema.org, a Hugging Face card, a datasheet, columns, a changelog).

    The version stands in data/site.yml. Where it says less than what changed since the earlier version, nothing is
    written and the command says which one is due. The same database gives the same bytes.
    """
    import sqlite3

    from flywheel import changelog, export

    database, out = database or root / "signals.db", out or root / "export"
    if not database.is_file():
        raise click.UsageError(f"{database} is not there yet. Build it with: flywheel build")
    replaced = out if (out / export.SUMS).is_file() else None
    try:
        new, _ = changelog.open_edition(database)
        text = changelog.first(new)
        if before := since or replaced:
            old, told = changelog.open_edition(before)
            changelog.check(old, new)
            text = changelog.grown(told, old, new)
        written = export.write(database, out, root, text)
    except (changelog.VersionError, export.NotAnExportError) as error:
        raise click.ClickException(str(error)) from None
    except sqlite3.Error as error:
        raise click.ClickException(f"{since or database}: not a signals.db of this project ({error})") from None
    size = sum(facts.size for facts in written.values())
    _say(
        f"{out}: {len(written) + 1} files, {size / 1e6:.1f} MB, data version {new.version}, content {new.content_hash}"
    )


@main.command()
@click.option("--port", default=8001, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--database", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: signals.db.")
@click.option(
    "--inspected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `datasette inspect` wrote of this very file, so that no table is counted again.",
)
@click.pass_obj
def serve(root: Path, port: int, host: str, database: Path | None, inspected: Path | None) -> None:
    """Serves the site, read-only, and prints where to look first."""
    database = database or root / "signals.db"
    if not database.is_file():
        raise click.UsageError(f"{database} is not there yet. Build it with: flywheel build")
    if not server.is_free(host, port):
        raise click.ClickException(f"port {port} is taken. Choose another: make serve PORT={port + 1}")
    shown = f"[{host}]" if ":" in host else host
    for name, address in server.doors(f"http://{shown}:{port}"):
        click.echo(f"{name:>8}  {address}")
    sys.stdout.flush()
    command = server.command(root, database, host, port, inspected)
    os.execv(command[0], command)  # noqa: S606 - the server takes this process's place, so signals reach it


if __name__ == "__main__":
    main()
