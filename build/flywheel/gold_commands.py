"""The commands of the gold sample: `sample` draws posts to be read, `code` takes their readings back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from flywheel import archive_texts, data, gold
from flywheel.faults import FaultsError
from flywheel.gold import Candidate
from flywheel.signal import signal_id
from flywheel.tagging_commands import stop


@click.command(name="sample")
@click.argument("count", metavar="N", type=click.IntRange(min=1))
@click.argument("out", metavar="OUT.csv|OUT.jsonl", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", required=True, type=int, help="Any whole number. The same seed draws the same posts.")
@click.option("--again", is_flag=True, help="Draw from posts that were read already, for an independent reading.")
@click.option(
    "--store",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Draw from this private raw store. Default: the archives beside the project.",
)
@click.pass_obj
def sample_command(root: Path, count: int, out: Path, seed: int, again: bool, store: Path | None) -> None:
    """Draws N posts to be read next, at random, in proportion from each archive, onto a sheet.

    The sheet tells nothing of how a post was found or what anyone said of it. Fill in its blank columns: pain (yes, no,
    cannot tell), theme, also (joined by ;), why, ask, run (yes, no), sure (high, low), and coder, a label of up to 20
    letters and digits for yourself. Rows left blank are not taken for readings. It holds the texts of posts: keep it to
    yourself.
    """
    if out.suffix not in (".csv", ".jsonl"):
        raise click.UsageError(f"{out.name}: a sheet ends in .csv or .jsonl")
    if (root / "data").resolve() in out.resolve().parents:
        raise click.UsageError(f"{out}: a sheet holds texts of posts, and data/ is published. Write it elsewhere.")
    if store is None and not archive_texts.at_hand(archive_texts.folder_beside(root)):
        raise click.UsageError("no archives beside the project: name a raw store with --store")
    try:
        found = data.read(root / "data")
    except FaultsError as error:
        stop(error)
    read = {post.url for post in found.posts}
    read |= {post.url for post in found.unread if any(coding.id == post.id for coding in found.codings)}
    pool = (
        post
        for post in (_stored(store) if store else _archived(root))
        if (post.url in read) == again and signal_id(post.url) not in found.tombstones
    )
    drawn = gold.draw(pool, count, seed)
    if not drawn:
        raise click.ClickException("there is no post to draw from")
    try:
        gold.write_sheet(out, list(gold.sheet_rows(drawn)))
    except FileExistsError:
        raise click.ClickException(
            f"{out} is there already and may hold somebody's work; choose another name"
        ) from None
    click.echo(f"{len(drawn):,} posts drawn with seed {seed}, on {out}", err=True)


def _archived(root: Path) -> Iterator[Candidate]:
    for post in archive_texts.posts(archive_texts.folder_beside(root)):
        yield Candidate(post.url, post.archive, post.seen, post.title, post.body)


def _stored(store: Path) -> Iterator[Candidate]:
    """Posts of a store that match tuning vocabulary and were not searched for by theme."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        for url, source, kind, title, body in connection.execute(
            "select url, source, kind, title, body from items where frame is not 'targeted'"
        ):
            if archive_texts.VOCABULARY.search(f"{title or ''}\n{body or ''}"):
                seen = "comment" if kind == "comment" else "opening" if body else "title"
                yield Candidate(url, source, seen, title or "", body or "")


@click.command(name="code")
@click.argument("sheet", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--by",
    "reader",
    required=True,
    type=click.Choice(["person", "language-model"]),
    help="What kind of reader filled it in.",
)
@click.pass_obj
def code_command(root: Path, sheet: Path, reader: str) -> None:
    """Takes a filled-in sheet as one more reading of each post: appends it to data/codings.jsonl.

    Every row is checked first; with any fault nothing is written, and each fault names file, line and field. Texts stay
    on the sheet.
    """
    if sheet.suffix not in (".csv", ".jsonl"):
        raise click.UsageError(f"{sheet.name}: a sheet ends in .csv or .jsonl")
    try:
        lines, blank = gold.read_sheet(sheet, data.read(root / "data"), reader.replace("-", " "))
    except FaultsError as error:
        stop(error)
    if lines:
        gold.append(root / "data" / "codings.jsonl", lines)
    click.echo(f"{len(lines):,} readings added to codings.jsonl, {blank:,} rows not filled in yet", err=True)
