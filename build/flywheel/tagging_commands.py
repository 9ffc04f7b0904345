"""The commands that find copies and tag posts: `classify`, `dedupe`, `explain`, `fold`, `tag`, `train`.

Each reads JSON lines and checks every one before it works, and writes its output beside the old file and renames it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from flywheel import archive_texts
from flywheel.faults import Fault, FaultsError, shown
from flywheel.signal import Post, canonical_url, signal_id

# numpy, scipy and scikit-learn take a second to load: the commands load what they need, so that the others do not.
if TYPE_CHECKING:
    from flywheel.data import Data
    from flywheel.dedupe import Pair
    from flywheel.features import Text
    from flywheel.tag import Model
    from flywheel.train import Trained

Texts = dict[str, tuple[str, str]]
"""Title and body by url."""

_LINE = 64_000_000
_CHUNK = 8_000
"""Posts that a process is sent at once: the model goes with them, which takes as long as tagging 1,000 titles."""
_ALONE = 8_000
"""Up to so many posts a second process costs more to start than it saves."""

_IN = click.argument("source", metavar="IN.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_OUT = click.argument("out", metavar="OUT.jsonl", type=click.Path(dir_okay=False, path_type=Path))
_STORE = click.option(
    "--store",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A private raw store, for texts that are not in the archives beside the project.",
)
_PROCESSES = click.option(
    "--processes", type=click.IntRange(1, 64), default=lambda: min(os.cpu_count() or 1, 8), show_default="all cores"
)


def _model_option(function: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--model",
        "model_folder",
        type=click.Path(file_okay=False, path_type=Path),
        help="The folder of a trained model. Default: data/tagger of the project.",
    )(function)


class InputPost(NamedTuple):
    """One line of input. `id` is given back as it came; what is null or not there is the empty text."""

    id: str | int
    title: str
    body: str
    community: str
    author: str


def read_posts(path: Path) -> list[InputPost]:
    """Lines of `{"id", "title", "body"}`, with `community` and `author` where they are known.

    Raises FaultsError with every fault of the file. Other fields are passed over: they are not ours to judge.
    """
    faults: list[Fault] = []
    posts: list[InputPost] = []
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            try:
                if len(raw) > _LINE:
                    raise ValueError(f"the line has {len(raw):,} bytes, at most {_LINE:,} are allowed")
                row = json.loads(raw)
                if not isinstance(row, dict):
                    raise ValueError("a line is one JSON object")
            except UnicodeDecodeError as error:
                faults.append(Fault(str(path), number, None, f"not UTF-8 at byte {error.start}"))
            except json.JSONDecodeError as error:
                faults.append(Fault(str(path), number, None, f"not JSON: {error.msg} at character {error.pos}"))
            except (ValueError, RecursionError) as error:
                faults.append(Fault(str(path), number, None, str(error)))
            else:
                wrong = {name: wants for name, (kinds, wants) in _FIELDS.items() if type(row.get(name)) not in kinds}
                faults += [
                    Fault(str(path), number, name, f"must be {wants}, not {shown(row.get(name))}")
                    for name, wants in wrong.items()
                ]
                if not wrong:
                    texts = (row.get(name) for name in ("title", "body", "community", "author"))
                    posts.append(InputPost(row["id"], *("" if text is None else str(text) for text in texts)))
    if faults:
        raise FaultsError(faults)
    return posts


_TEXT = ((str, type(None)), "a text")
_FIELDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "id": ((str, int), "a text or a whole number"),
    "title": _TEXT,
    "body": _TEXT,
    "community": _TEXT,
    "author": ((str, int, type(None)), "a text or a whole number"),
}


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Writes lines beside `path` and renames; gives their number. JSON in ASCII, so half characters stay whole."""
    beside = path.with_name(path.name + ".new")
    count = 0
    try:
        with beside.open("w", encoding="ascii") as file:
            for line in lines:
                file.write(line + "\n")
                count += 1
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def stop(error: Exception) -> NoReturn:
    lines = [str(fault) for fault in error.faults] if isinstance(error, FaultsError) else [str(error)]
    for line in lines:
        click.echo(line, err=True)
    click.echo("nothing was written", err=True)
    sys.exit(1)


def classified(model: Model, posts: Sequence[tuple[str | int, Text]]) -> list[str]:
    """One chunk of posts as lines of `classify`. Picklable, so that any engine can map it."""
    from flywheel import tag

    return [json.dumps(row) for row in tag.rows(model, [id_ for id_, _ in posts], [text for _, text in posts])]


@click.command()
@_IN
@_OUT
@_model_option
@_PROCESSES
@click.pass_obj
def classify(root: Path, source: Path, out: Path, model_folder: Path | None, processes: int) -> None:
    """Says of each post whether it is a signal, of which theme and phase.

    IN: lines of {"id", "title", "body"}, and "community" where it is known. OUT: for each, in the same order, {"id",
    "relevance", "signal", "theme", "phase", "themes", "ask", "unsure"}. A theme stands there for every post: the one
    it would have if it is a signal. ask is null before a run is done.
    """
    from flywheel import dedupe, tag
    from flywheel.features import Text

    try:
        model = tag.load(model_folder or root / "data" / "tagger")
        posts = read_posts(source)
    except (FaultsError, tag.ModelError) as error:
        stop(error)
    texts = [(post.id, Text(post.title, post.body, post.community)) for post in posts]
    chunks = (texts[at : at + _CHUNK] for at in range(0, len(texts), _CHUNK))
    with dedupe.workers(processes if len(texts) > _ALONE else 1) as each:
        count = write_lines(out, (line for lines in each(partial(classified, model), chunks) for line in lines))
    click.echo(f"{count:,} posts classified by model {model.version}", err=True)


@click.command(name="dedupe")
@_IN
@_OUT
@click.option("--index", type=click.Path(dir_okay=False, path_type=Path), help="The index of copies of a store.")
@click.option("--rebuild", is_flag=True, help="IN is the whole store: count its templates anew and renew the index.")
@click.option(
    "--decided",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A duplicates.jsonl: what it decides about a post, or undoes, is not decided again.",
)
@_PROCESSES
def dedupe_command(
    source: Path, out: Path, index: Path | None, rebuild: bool, decided: Path | None, processes: int
) -> None:
    """Finds copies: one line {"keep", "drop", "method", "similarity"} a pair.

    A pair of method me-too drops nothing: one more author tells the same in the same repository. With --index IN are
    new posts, compared with those that the index holds; a missing index is built from IN.
    """
    from flywheel import dedupe, dedupe_index
    from flywheel.dedupe import Item

    try:
        posts = read_posts(source)
        items = [Item(str(p.id), p.title, p.body, p.community, p.author) for p in posts]
        known = _decided(decided) if decided else set()
        if index is None:
            pairs = dedupe.find_pairs(items, processes=processes)
        elif rebuild or not index.exists():
            pairs = dedupe_index.build(index, items, processes)
        else:
            pairs = dedupe_index.add(index, items)
    except (FaultsError, dedupe_index.CopiesIndexError) as error:
        stop(error)
    new = undecided(pairs, known)
    write_lines(out, (json.dumps(pair._asdict()) for pair in new))
    copies = sum(pair.method != dedupe.ME_TOO for pair in new)
    click.echo(f"{len(items):,} posts, {copies:,} copies, {len(new) - copies:,} more voices", err=True)


def undecided(pairs: Iterable[Pair], known: set[str]) -> list[Pair]:
    """Pairs about posts of which nothing was decided yet; what was undone by hand stays undone."""
    return [pair for pair in pairs if pair.drop not in known]


def _decided(path: Path) -> set[str]:
    """The posts that a file of pairs decides about, whether the pair stands or was undone."""
    found: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.add(str(json.loads(line)["drop"]))
        except (ValueError, KeyError, TypeError):
            raise FaultsError([Fault(str(path), number, "drop", "is missing")]) from None
    return found


def read_posts_of(root: Path) -> tuple[Data, list[Post]]:
    """The data folder, and its posts with corrections and without what was erased."""
    from flywheel import data, pipeline

    found = data.read(root / "data")
    return found, list(
        pipeline.correct(pipeline.forget(found.posts, found.tombstones), found.corrections, found.vocabulary)
    )


def texts_at_hand(root: Path, store: Path | None) -> Texts:
    """Title and body by url: of the archives beside the project if they are there, and of the store if one is given."""
    folder = archive_texts.folder_beside(root)
    found: Texts = {}
    if archive_texts.at_hand(folder):
        found = {post.url: (post.title, post.body) for post in archive_texts.posts(folder)}
    if store:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            for url, title, body in connection.execute("select url, title, body from items"):
                found[url] = (title or "", body or "")
    return found


@click.command(name="train")
@_STORE
@_model_option
@click.option("--report/--no-report", default=True, help="Whether to measure too, into data/tagger_report.jsonl.")
@click.pass_obj
def train_command(root: Path, store: Path | None, model_folder: Path | None, report: bool) -> None:
    """Learns a model from data/ and the texts at hand, and measures it on posts left out.

    Writes data/tagger, data/predictions.jsonl and data/tagger_report.jsonl. No text of a post is kept: words and
    n-grams that at least five posts hold, and numbers.
    """
    from flywheel import evaluate, tag, train

    try:
        found, posts = read_posts_of(root)
        trained = train.train(posts, texts_at_hand(root, store), found.vocabulary)
        rows = evaluate.report(trained, found.vocabulary, partial(click.echo, err=True)) if report else []
    except (FaultsError, train.TrainingError) as error:
        stop(error)
    folder = model_folder or root / "data" / "tagger"
    tag.save(trained.model, folder)
    click.echo(f"model {trained.model.version} learned from {len(trained.raw):,} posts, in {folder}", err=True)
    write_lines(root / "data" / "predictions.jsonl", map(json.dumps, predictions(trained)))
    if report:
        write_lines(root / "data" / "tagger_report.jsonl", (json.dumps(row.line()) for row in rows))
        for row in rows:
            if row.subject in ("all", "signal") or row.measure == "macro-F1":
                click.echo(
                    f"{row.task:>10} {row.subject:>20} {row.seen:>9} {row.how:>24} {row.measure}: {row.value:.3f}"
                )


def predictions(trained: Trained) -> Iterator[dict[str, Any]]:
    """One line a read post of the population, in order of the url: what models say of it that did not see it.

    As `classify` would say it, `relevance` is 0 where the rule of words keeps a post out.
    """
    from flywheel import relevance, tag

    model, said = trained.model, trained.probabilities
    phases = list(dict.fromkeys(model.phases.values()))
    sums = tag.phase_sums(said.themes, [model.phases[name] for name in model.theme.classes], phases)
    passes = relevance.may_be([example.text for example in trained.raw])
    rows = zip(trained.raw, (said.relevance * passes).round(4).tolist(), sums.round(4).tolist(), strict=True)
    for example, relevant, shares in sorted(rows, key=lambda row: row[0].post.url):
        if example.post.frame == "population":
            yield {"url": example.post.url, "relevance": relevant} | dict(zip(phases, shares, strict=True))


@click.command(name="tag")
@_model_option
@click.pass_obj
def tag_command(root: Path, model_folder: Path | None) -> None:
    """Tags the posts of the archives that nobody read: data/derived/population.jsonl, numbers and no text."""
    from flywheel import data, tag

    folder = archive_texts.folder_beside(root)
    try:
        model = tag.load(model_folder or root / "data" / "tagger")
        found = data.read(root / "data")
        if not archive_texts.at_hand(folder):
            raise tag.ModelError(f"the archives are not in {folder}: there is nothing to tag")
    except (FaultsError, tag.ModelError) as error:
        stop(error)
    read = {post.url for post in found.posts}
    unread = [post for post in archive_texts.posts(folder) if post.url not in read]
    unread = [post for post in unread if signal_id(post.url) not in found.tombstones]
    derived = root / "data" / "derived"
    derived.mkdir(exist_ok=True)
    count = write_lines(derived / "population.jsonl", map(json.dumps, derived_rows(model, unread, found)))
    click.echo(f"{count:,} posts tagged by model {model.version}", err=True)


LEAST_SHOWN = 0.01
"""A theme's probability below this is left out of a derived row."""


_KINDS = {"github": "issue", "hf_hub": "discussion"}
"""What an archive's openings are, where they are not posts."""


def derived_rows(model: Model, posts: Sequence[archive_texts.ArchivePost], found: Data) -> Iterator[dict[str, Any]]:
    """One line a machine-read post, in order of the url: what is known of it, and probabilities; no text."""
    from flywheel import tag
    from flywheel.features import Text

    ordered = sorted(posts, key=lambda post: post.url)
    texts = [Text(post.title, post.body, post.community) for post in ordered]
    places = {post.archive: post.place for post in found.posts if post.archive}
    rows = tag.rows(model, [post.url for post in ordered], texts)
    for post, row in zip(ordered, rows, strict=True):
        yield {
            "url": post.url,
            "source": post.source,
            "community": post.community,
            "kind": "comment" if post.seen == "comment" else _KINDS.get(post.source, "post"),
            "set": post.archive,
            "place": places.get(post.archive),
            "frame": "population",
            "weight": 1.0,
            "month": post.day[:7] or None,
            "thread": post.thread,
            "author": None,
            "seen": post.seen,
            "relevance": row["relevance"],
            "signal": row["signal"],
            "theme": row["theme"],
            "themes": {name: p for name, p in row["themes"].items() if p >= LEAST_SHOWN},
            "ask": row["ask"],
            "unsure": row["unsure"],
            "model": model.version,
        }


@click.command(name="fold")
@_STORE
@click.pass_obj
def fold_command(root: Path, store: Path | None) -> None:
    """Finds copies among the read posts whose text is at hand and adds them to data/duplicates.jsonl.

    What that file decides already, or has undone, is left as it is.
    """
    from flywheel import dedupe
    from flywheel.dedupe import Item

    path = root / "data" / "duplicates.jsonl"
    try:
        _, posts = read_posts_of(root)
        texts = texts_at_hand(root, store)
        known = _decided(path) if path.exists() else set()
    except FaultsError as error:
        stop(error)
    posts = sorted((p for p in posts if p.url in texts), key=lambda p: (p.created or p.month or "9", p.id))
    items = [Item(p.url, *texts[p.url], p.community, "" if p.author is None else str(p.author)) for p in posts]
    new = undecided(dedupe.find_pairs(items), known)
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    write_lines(path, [*old, *(json.dumps(pair._asdict()) for pair in new)])
    click.echo(f"{len(items):,} posts compared, {len(new):,} pairs added to {path.name}", err=True)


@click.command()
@click.argument("url")
@_STORE
@_model_option
@click.pass_obj
def explain(root: Path, url: str, store: Path | None, model_folder: Path | None) -> None:
    """Shows what the tagger says of one post and the words that decided, and what a reader said if one read it."""
    from flywheel import relevance, tag
    from flywheel.features import Text

    try:
        model = tag.load(model_folder or root / "data" / "tagger")
        address = canonical_url(url)
        _, posts = read_posts_of(root)
    except (FaultsError, tag.ModelError, ValueError) as error:
        stop(error)
    texts = texts_at_hand(root, store)
    read = next((post for post in posts if post.url == address), None)
    if address not in texts:
        raise click.ClickException(
            f"no text of {shown(address, 200)} is at hand: neither in the archives nor in a store"
        )
    known = (
        {post.url: post.community for post in archive_texts.posts(archive_texts.folder_beside(root))}
        if not read
        else {}
    )
    text = Text(*texts[address], read.community if read else known.get(address, ""))
    row = tag.rows(model, [address], [text])[0]
    click.echo(f"{address}\nmodel {model.version}")
    rule = "passes" if relevance.may_be([text])[0] else "fails"
    click.echo(
        f"relevance {row['relevance']:.2f} (a signal from {model.thresholds.signal:.2f} on); {rule} the rule of words"
    )
    likely = sorted(row["themes"].items(), key=lambda item: -item[1])[:3]
    unsure = ", unsure" if row["unsure"] else ""
    click.echo(f"theme {row['theme']}{unsure}, phase {row['phase']}: " + ", ".join(f"{n} {p:.2f}" for n, p in likely))
    if read:
        label = " ".join(filter(None, (read.verdict, read.theme, read.ask)))
        click.echo(f"a reader said: {label}; that stands, whatever the tagger says (it learned from this post)")
    for title, reasons in zip(("relevance", f"theme {row['theme']}"), tag.explain(model, text), strict=True):
        click.echo(f"what spoke for or against {title}:")
        for reason in reasons:
            click.echo(f"  {reason.weight:+.2f}  {reason.block:<6}  {shown(reason.name)}")


COMMANDS = (classify, dedupe_command, explain, fold_command, tag_command, train_command)
