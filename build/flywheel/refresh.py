"""`flywheel refresh`: one weekly run from the sources to the published file, as a table of steps.

Each step calls what the other commands call, leaves its files in a private folder beside the store, and gives a few
facts that the steps after it read. The facts of every finished step are written down before the next begins, so a run
that is killed goes on at the step where it was; and each step begins by throwing away what it may have left, so it
ends as if nothing had happened. Before `publish` nothing below `data/` is touched but by `erase`: tombstones are added,
and lines about what they name go.

| in STORE.refresh/ | holds |
|---|---|
| `run.json` | the run that is under way: its version, its day, the facts of each finished step |
| `readings.db` | what the machine said of each post of the store; spares reading again what did not change |
| `copies.db` | the index of copies (`dedupe_index`), and in its table `pairs` every pair it has found |
| `data/`, `trial.db`, `site/signals.db` | the staged data, its build, and that with its own version in the history |
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import requests
from pydantic import ValidationError

from flywheel import changelog, data, dedupe, dedupe_index, diff, pipeline, queries, relevance, serve, soundness, tag
from flywheel.collect import commands as collecting
from flywheel.collect import hydrate, tombstones
from flywheel.collect.client import SystemClock
from flywheel.collect.plan import read_plan
from flywheel.collect.record import iso
from flywheel.collect.runner import Options, Runner
from flywheel.data import Data, DerivedRow
from flywheel.dedupe import Item
from flywheel.features import Text
from flywheel.signal import signal_id
from flywheel.tagging_commands import LEAST_SHOWN, undecided, write_lines

DERIVED, DUPLICATES, HISTORY, CHANGES = (
    "derived/collected.jsonl",
    "duplicates.jsonl",
    "history.jsonl",
    "changes.jsonl",
)
TOMBSTONES, SITE, CITATION = "tombstones.jsonl", "site.yml", "CITATION.cff"
OWN = (DERIVED, DUPLICATES, HISTORY, CHANGES, SITE, CITATION)
"""What `publish` puts in place below `data/`, in this order; the citation beside it."""

EXIT_UNSOUND = 4
CHUNK = 2_000
START = 60.0
"""Seconds within which the staged site must answer."""

Facts = dict[str, Any]
Notes = Mapping[str, Facts]
"""The facts of each finished step, by its name."""


class RefreshError(Exception):
    """Why a run cannot begin or go on, in one sentence."""


@dataclass(frozen=True)
class Job:
    """What one run is asked: where everything is, and under which name it publishes."""

    root: Path
    places: collecting.Places
    model: Path
    out: Path
    before: Path
    """The published file that the new one is compared with."""
    version: str | None
    """Null: the latest month of the data."""
    options: Options | None
    """Null: no source is asked, the store is taken as it is."""
    accept: tuple[str, ...] = ()
    """Checks of `soundness` that may fail this time."""

    @property
    def work(self) -> Path:
        return self.places.store.with_name(self.places.store.name + ".refresh")

    @property
    def staged(self) -> Path:
        return self.work / "data"

    @property
    def site(self) -> Path:
        return self.work / "site" / "signals.db"

    def public(self, name: str) -> Path:
        """Where a file of `OWN` stands for all to see."""
        return self.places.data.parent / name if name == CITATION else self.places.data / name


# --- collect, erase ----------


def collect(job: Job, notes: Notes) -> Facts:
    """Asks the sources, and looks up again what is young or due. One that fails does not keep the next from it."""
    if job.options is None:
        return {"sources": {}}
    plan = read_plan(job.places.plan)
    with job.places.open() as store:
        report = Runner(store, plan).run(job.options)
    return {"sources": source_verdicts(report.as_dict()), "report": report.as_dict()}


def source_verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    """What each source gave: `complete`, `partly read`, `not read` or `refused`."""

    def verdict(source: Mapping[str, Any]) -> str:
        if source["failed"]:
            return "refused"
        if source["skipped"] and not source["asked"]:
            return "not read"
        windows = Counter(window["verdict"] for window in source["windows"])
        if windows and not windows["complete"]:
            return "not read"
        whole = windows.total() == windows["complete"] and not source["skipped"] and not source["left_out"]
        return "complete" if whole else "partly read"

    return {source["source"]: verdict(source) for source in report["sources"]}


def erase(job: Job, notes: Notes) -> Facts:
    """Posts of the data that the store has buried, and posts of their threads, get their tombstone, and every line
    about them goes: each holds a link and a sentence, and `data/` is public. At once, published or not."""
    with job.places.open() as store:
        gone = {**store.buried(), **tombstones.read(job.places.tombstones)}
    ids = tombstones.reached(job.places.data, gone) if gone else {}
    added = tombstones.append(job.places.tombstones, ids, notes["run"]["day"][:7])
    lines = tombstones.sweep(job.places.data, ids) if ids else 0
    # What was swept is no change from outside. Nothing that ran until here has read these files.
    notes["run"]["inputs"] = _inputs(job)
    return {"tombstones": len(added), "lines": lines}


# --- classify ----------


_READINGS = "create table if not exists readings (id text primary key, key text not null, row text) strict"


class Held(NamedTuple):
    """One post of the store. `created` is an ISO time, day or month, or empty."""

    id: str
    url: str
    source: str
    kind: str
    community: str
    title: str
    body: str
    created: str
    thread: str | None
    frame: str | None
    corpus: str | None
    author: str
    content: str


def held(store: Path) -> Iterator[Held]:
    """Every post of the store, in order of its public id; a post that stands there under two urls once."""
    last = ""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        for row in db.execute(
            """select id, url, source, kind, community, coalesce(title, ''), coalesce(body, ''), coalesce(created, ''),
            thread, frame, corpus, coalesce(author_hash, ''), content_hash from items order by id, source, native_id"""
        ):
            if row[0] != last:
                last = row[0]
                yield Held(*row)


def classify(job: Job, notes: Notes) -> Facts:
    """Reads by machine what is new or changed since it last did, and forgets what the store has erased."""
    model = tag.load(job.model)
    read, ids = 0, set[str]()
    with closing(sqlite3.connect(job.work / "readings.db")) as cache:
        cache.execute("pragma secure_delete = on")
        cache.execute(_READINGS)
        known = dict(cache.execute("select id, key from readings"))

        def unread() -> Iterator[tuple[str, Held]]:
            for post in held(job.places.store):
                ids.add(post.id)
                if known.get(post.id) != (key := f"{model.version} {post.content} {post.community}"):
                    yield key, post

        rest = unread()
        while chunk := list(islice(rest, CHUNK)):
            with cache:
                cache.executemany("insert or replace into readings values (?, ?, ?)", _read(model, chunk))
            read += len(chunk)
        with cache:
            cache.executemany("delete from readings where id = ?", [(one,) for one in known.keys() - ids])
        signals = cache.execute("select count(row) from readings").fetchone()[0]
    return {"posts": len(ids), "read": read, "signals": signals, "model": model.version}


def _read(model: tag.Model, chunk: Sequence[tuple[str, Held]]) -> Iterator[tuple[str, str, str | None]]:
    """A row of `readings` a post; no label where it is no signal. What fails the rule of words is not scored."""
    texts = [Text(post.title, post.body, post.community) for _, post in chunk]
    scored = [number for number, may_be in enumerate(relevance.may_be(texts)) if may_be]
    rows = dict(zip(scored, tag.rows(model, scored, [texts[n] for n in scored]), strict=True))
    for number, (key, post) in enumerate(chunk):
        row = rows.get(number)
        label = {**row, "id": post.id, "model": model.version} if row and row["signal"] else None
        yield post.id, key, json.dumps(label) if label else None


def _labels(job: Job) -> dict[str, dict[str, Any]]:
    """What the machine said of each post that it takes for a signal, by id."""
    with closing(sqlite3.connect(f"file:{job.work / 'readings.db'}?mode=ro", uri=True)) as cache:
        return {id_: json.loads(row) for id_, row in cache.execute("select id, row from readings where row not null")}


# --- dedupe, derive ----------


def find_copies(job: Job, notes: Notes) -> Facts:
    """Compares the signals of the store that are new with those known, and with the read posts that the store holds."""
    found = data.read(job.places.data)
    urls = {post.id: post.url for post in found.posts}
    labels = _labels(job)
    posts = sorted(
        (post for post in held(job.places.store) if post.id in urls or post.id in labels),
        key=lambda post: (post.created or "9", post.id),
    )
    items = [Item(urls.get(p.id, p.url), p.title, p.body, p.community, p.author) for p in posts]
    index, staged = job.work / "copies.db", job.work / "copies.db.next"
    staged.unlink(missing_ok=True)
    pairs = _added(index, staged, items)
    if pairs is None:
        pairs = dedupe_index.build(staged, items)
    # Kept with the index, which gives a pair once only: should the data be lost or taken back, it is still known.
    with closing(sqlite3.connect(staged)) as db, db:
        db.execute("create table if not exists pairs (keep text, [drop] text, method text, similarity real)")
        db.executemany("insert into pairs values (?, ?, ?, ?)", pairs)
    return {"compared": len(items), "pairs": len(pairs)}


def _added(index: Path, staged: Path, items: Sequence[Item]) -> list[dedupe.Pair] | None:
    """The pairs of new items against a copy of the index; null where it must be built again: there is none, it has
    other rules, it holds a post that is gone, or what is template was counted among less than half of the posts."""
    if not index.exists():
        return None
    try:
        known, counted = dedupe_index.holds(index)
        if not known <= {item.id for item in items} or len(items) > 2 * counted:
            return None
        shutil.copyfile(index, staged)
        return dedupe_index.add(staged, items)
    except dedupe_index.CopiesIndexError:
        staged.unlink(missing_ok=True)
        return None


def derive(job: Job, notes: Notes) -> Facts:
    """Stages the data folder, with a derived row for each signal of the store that nobody read, and its copies."""
    shutil.rmtree(job.staged, ignore_errors=True)
    shutil.copytree(job.places.data, job.staged, ignore=shutil.ignore_patterns("tagger", "README.md", "*.new", ".*"))
    if job.public(CITATION).exists():
        shutil.copyfile(job.public(CITATION), job.staged / CITATION)
    original = {name: _sha256(job.staged / name) for name in (*OWN, TOMBSTONES)}
    found = data.read(job.staged)
    rows, left_out = derived_rows(job, found)
    (job.staged / DERIVED).parent.mkdir(exist_ok=True)
    _write_or_leave(job.staged / DERIVED, (json.dumps(row) for row in rows))
    named = {*hydrate.urls_in(job.staged)}
    old = _json_lines(job.staged / DUPLICATES)
    standing = [row for row in old if {row["keep"], row["drop"]} <= named]
    with closing(sqlite3.connect(job.work / "copies.db.next")) as db:
        pairs = [dedupe.Pair(*row) for row in db.execute("select keep, [drop], method, similarity from pairs")]
    new = undecided(
        (pair for pair in pairs if {pair.keep, pair.drop} <= named), known={row["drop"] for row in standing}
    )
    lines = [*map(json.dumps, standing), *(json.dumps(pair._asdict()) for pair in new)]
    if new or len(standing) < len(old):
        write_lines(job.staged / DUPLICATES, lines)
    return {"derived": len(rows), "left_out": dict(left_out), "copies": len(new), "original": original}


def derived_rows(job: Job, found: Data) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Lines of `data/derived/collected.jsonl` in order of the url, and how many posts were left out for which reason.

    What stands there already, of a post that the store neither holds nor has buried, stays: a store that was lost
    takes nothing with it.
    """
    words, labels = found.vocabulary, _labels(job)
    taken = {post.id for post in found.posts}
    for path in sorted((job.staged / "derived").glob("*.jsonl")):
        if path != job.staged / DERIVED:
            taken |= {signal_id(row["url"]) for row in _json_lines(path)}
    vendors = {post.community for post in found.posts if post.tracker == "vendor"}
    with job.places.open() as store:
        gone = found.tombstones | store.buried().keys()
    rows: dict[str, dict[str, Any]] = {}
    left_out: Counter[str] = Counter()
    seen = set[str]()
    for post in held(job.places.store):
        seen.add(post.id)
        if post.id in labels and post.id not in taken and not _erased(post.id, post.thread, gone):
            line = _derived_line(post, labels[post.id], vendors)
            try:
                row = DerivedRow.model_validate(line, context=words)
            except ValidationError as error:
                left_out.update({f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors()})
                continue
            rows[post.id] = {**line, "place": data.place_of(row, words.places.values())}
    for line in _json_lines(job.staged / DERIVED):
        if (id_ := signal_id(line["url"])) not in seen | taken and not _erased(id_, line["thread"], gone):
            rows[id_] = line
    return sorted(rows.values(), key=lambda row: row["url"]), left_out


def _erased(id_: str, thread: str | None, gone: Set[str]) -> bool:
    """Whether a post, or the thread that it stands in, was erased."""
    return id_ in gone or (thread is not None and (thread in gone or signal_id(thread) in gone))


def _derived_line(post: Held, label: Mapping[str, Any], vendors: set[str]) -> dict[str, Any]:
    corpus = post.corpus or "public"
    tracker = None if corpus == "public" else "vendor" if post.community in vendors else "project"
    return {
        "url": post.url,
        "source": post.source,
        "community": post.community,
        "kind": post.kind,
        "set": None,
        "place": None,
        "frame": post.frame or "targeted",
        "weight": 1.0,
        "month": post.created[:7] if len(post.created) >= 7 else None,
        "thread": post.thread,
        "author": None,
        "corpus": corpus,
        "tracker": tracker,
        "seen": "comment" if post.kind == "comment" else "opening" if post.body else "title",
        "relevance": label["relevance"],
        "signal": True,
        "theme": label["theme"],
        "themes": {name: p for name, p in label["themes"].items() if p >= LEAST_SHOWN},
        "ask": label["ask"],
        "unsure": label["unsure"],
        "model": label["model"],
    }


def _json_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _write_or_leave(path: Path, lines: Iterable[str]) -> None:
    """Writes a file; where there is nothing to say, none is made."""
    found = list(lines)
    if found or path.exists():
        write_lines(path, found)


# --- build, diff ----------


def build(job: Job, notes: Notes) -> Facts:
    """Builds the staged data, with the history as it was, and says whether anything changed."""
    built = pipeline.build(job.staged, job.work / "trial.db")
    published = _content_hash(job.before)
    first = not _json_lines(job.staged / HISTORY)
    return {
        "content": built.content_hash,
        "published": published,
        "changed": first or built.content_hash != published,
        "first": first,
    }


def compare(job: Job, notes: Notes) -> Facts:
    """Compares with the published file, and builds again with this version's own rows in history and changes."""
    if not notes["build"]["changed"]:
        return {}
    known = [row["version"] for row in _json_lines(job.places.data / HISTORY)]
    version = notes["run"]["version"] or _free(_latest_month(job.work / "trial.db"), known)
    if version in known:
        raise RefreshError(f"version {version} is published already; name another with --version")
    found = (
        None if notes["build"]["first"] or not job.before.exists() else diff.compare(job.before, job.work / "trial.db")
    )
    data_version = due(job)
    for path in (job.staged / SITE, job.staged / CITATION):
        if path.exists():
            _raise_version(path, data_version)
    shares = [{**row, "data_version": data_version} for row in _published(job.work / "trial.db", version)]
    if not shares:
        raise RefreshError("no share can be given from these data, so there is nothing to publish")
    rows = diff.lines(version, found, notes["collect"]["sources"])
    for name, more in ((HISTORY, shares), (CHANGES, rows)):
        old = (job.places.data / name).read_text(encoding="utf-8").splitlines() if _there(job, name) else []
        write_lines(job.staged / name, [*old, *map(json.dumps, more)])
    job.site.parent.mkdir(exist_ok=True)
    built = pipeline.build(job.staged, job.site)
    facts: Facts = {
        "version": version,
        "data_version": data_version,
        "content": built.content_hash,
        "signals": built.n_signals,
    }
    if found:
        facts |= {kind: found.count(kind) for kind in ("new", "gone", "relabelled")}
        facts |= {"compared": found.compared, "moved": [asdict(move) for move in found.moved], "places": found.places}
    return facts


_VERSION = re.compile(r'(?m)^(version:\s*"?)[\d.]+')
"""Where `site.yml` and `CITATION.cff` tell the version of the data."""


def due(job: Job) -> str:
    """The version that the staged data must have: what `site.yml` says, or the least that the rule of `changelog`
    allows after the published file, whichever is higher."""
    new, _ = changelog.open_edition(job.work / "trial.db")
    if not job.before.exists():
        return new.version
    old, _ = changelog.open_edition(job.before)
    # The trial lacks the version's own rows in history and changes, by which some cell differs in any case.
    least = changelog.following(old.version, changelog.weight(changelog.compare(old, new)) or "patch")
    return max(new.version, least, key=changelog.parts)


def _raise_version(path: Path, version: str) -> None:
    """Everything else in the file, comments too, stays as it is."""
    text = path.read_text(encoding="utf-8")
    raised, found = _VERSION.subn(rf"\g<1>{version}", text)
    if found != 1:
        raise RefreshError(f"{path.name} has {found} lines like version: 1.2.3, and one is wanted")
    path.write_text(raised, encoding="utf-8")


def _there(job: Job, name: str) -> bool:
    return (job.places.data / name).exists()


def _latest_month(path: Path) -> str:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return str(db.execute("select value from build_info where key = 'latest_month'").fetchone()[0]) or "0"


def _free(version: str, known: Sequence[str]) -> str:
    """The name itself, or with .2, .3 … where it was published before."""
    names = (version if number == 1 else f"{version}.{number}" for number in range(1, len(known) + 2))
    return next(name for name in names if name not in known)


def _published(path: Path, version: str) -> Iterator[dict[str, Any]]:
    """The lines of `data/history.jsonl` of one version: every published share that may be shown."""
    columns = """measure, subject, "by", value, window, share, low, high, n, n_numerator, threads, clusters, n_places,
    first_month, last_month, enough"""
    names = columns.replace('"', "").replace("\n", " ").split(",")
    day = _day(version, _latest_month(path))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for row in db.execute(
            f"""select {columns} from estimates where variant = '' and method = 'process' and share is not null
            order by measure, subject, "by", value, window"""  # noqa: S608 - our own names
        ):
            yield {"version": version, "day": day, **dict(zip(map(str.strip, names), row, strict=True))}


def _day(version: str, latest_month: str) -> str:
    """The day that a version is dated: the one that names it, else the first of the latest month. No clock."""
    for text in (version[:10], f"{version[:7]}-01", f"{latest_month}-01"):
        try:
            return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
        except ValueError:
            continue
    return "1970-01-01"


def _content_hash(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return str(db.execute("select value from build_info where key = 'content_hash'").fetchone()[0])
    except (sqlite3.DatabaseError, TypeError) as error:
        raise RefreshError(f"{path} is no file that `flywheel build` made: {error}") from None


# --- soundness, publish ----------


def judge(job: Job, notes: Notes) -> Facts:
    """Every check of `soundness` on the staged file, the site among them."""
    if not notes["build"]["changed"]:
        return {"verdicts": []}
    known = queries.load(job.root / "canned_queries").values()
    found = data.read(job.staged)
    facts = notes["diff"]
    compared = diff.Diff([], [], 0, facts["places"]) if "places" in facts else None
    verdicts = soundness.judge(
        soundness.Facts(
            before=soundness.database(job.before, known) if job.before.exists() else None,
            after=soundness.database(job.site, known),
            tombstones=found.tombstones,
            sources=notes["collect"]["sources"],
            diff=compared,
            pages=smoke(job.root, job.site, facts["content"], found.vocabulary.themes),
        ),
        job.accept,
    )
    return {"verdicts": soundness.as_rows(verdicts), "sound": soundness.may_publish(verdicts)}


def smoke(root: Path, database: Path, content_hash: str, themes: Iterable[str]) -> dict[str, str]:
    """Serves a file as the site would and asks for its pages: what is wrong with each, empty where nothing is.

    Each page must answer 200, and those of our own must name the content of this very file.
    """
    own = ["/", "/memo", "/themes", "/method", "/downloads", "/changes", "/search?q=loss"]
    own += [f"/themes/{theme}" for theme in themes]
    further = ["/signals", "/signals/signals", "/signals/estimates.json", "/changes.atom"]
    with _server(root, database) as (base, ended):
        if ended:
            return {"the server": f"ended: {ended}"}
        return {
            **{path: _problem(base + path, content_hash[:8]) for path in own},
            **{path: _problem(base + path, "") for path in further},
        }


def _problem(url: str, wanted: str) -> str:
    try:
        answer = requests.get(url, timeout=START)
    except requests.RequestException as error:
        return type(error).__name__
    if answer.status_code != 200:
        return str(answer.status_code)
    return "" if wanted in answer.text else "does not name the content of the staged file"


@contextmanager
def _server(root: Path, database: Path) -> Iterator[tuple[str, str]]:
    """The address of a server of this file, and the last line that it said if it ended at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base, end = f"http://127.0.0.1:{port}", time.monotonic() + START
    said = database.with_name("server.log")
    with said.open("wb") as log:
        command = serve.command(root, database, "127.0.0.1", port)
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command
        try:
            while process.poll() is None and time.monotonic() < end and _problem(f"{base}/-/versions.json", ""):
                time.sleep(0.1)
            lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
            yield base, (lines or ["without a word"])[-1] if process.poll() is not None else ""
        finally:
            process.terminate()
            process.wait()


def publish(job: Job, notes: Notes) -> Facts:
    """Puts the staged files in place, each by a rename, the database last. Only what changed and is sound."""
    if not notes["build"]["changed"]:
        return {"outcome": "unchanged"}
    if not notes["soundness"]["sound"]:
        return {"outcome": "unsound"}
    for name, before in notes["derive"]["original"].items():
        # A tombstone that came in meanwhile is no part of the staged file: what it erases must not be published.
        if _sha256(job.public(name)) not in (before, _sha256(job.staged / name)):
            raise RefreshError(f"{job.public(name)} was changed while this run went on; start again with --anew")
    for name in OWN:
        if (job.staged / name).exists():
            _promote(job.staged / name, job.public(name))
    _promote(job.work / "copies.db.next", job.work / "copies.db")
    _promote(job.site, job.out)
    return {"outcome": "published"}


def _promote(staged: Path, target: Path) -> None:
    """Copies beside the target and renames. The staged file stays, so that a publication cut short is done again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        shutil.copyfile(staged, beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    """Of what a file holds; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


# --- the run ----------


class Step(NamedTuple):
    name: str
    do: Callable[[Job, Notes], Facts]


STEPS = (
    Step("collect", collect),
    Step("erase", erase),
    Step("classify", classify),
    Step("dedupe", find_copies),
    Step("derive", derive),
    Step("build", build),
    Step("diff", compare),
    Step("soundness", judge),
    Step("publish", publish),
)
"""The whole run. Looking up again what may have been deleted is part of `collect`, source by source; `erase` carries
it into `data/`."""

Point = Callable[[str], None]


def refresh(job: Job, say: Callable[[str], None] = lambda line: None, at: Point = lambda point: None) -> Facts:
    """Runs every step that is not done yet and gives the report. `at` is told each point at which a kill may fall.

    Raises FaultsError, RefreshError, tag.ModelError or StoreError; the run then stays where it was.
    """
    job.work.mkdir(parents=True, exist_ok=True)
    with _alone(job.work / "lock"):
        notes = _notes(job)
        for step in STEPS:
            if step.name in notes:
                say(f"{step.name}: done before")
                continue
            at(f"before {step.name}")
            started = time.perf_counter()
            facts = step.do(job, notes)
            at(f"within {step.name}")
            notes[step.name] = {**facts, "seconds": round(time.perf_counter() - started, 1)}
            _save(job, notes)
            say(f"{step.name}: {_told(facts)}")
        at("before the end")
        found = report(notes)
        shutil.rmtree(job.staged, ignore_errors=True)
        if found["outcome"] != "unsound":  # else it is there to be looked at
            shutil.rmtree(job.site.parent, ignore_errors=True)
        for name in ("trial.db", "copies.db.next", "run.json"):
            (job.work / name).unlink(missing_ok=True)
        return found


def _told(facts: Facts) -> str:
    plain = {
        name: value for name, value in facts.items() if isinstance(value, int | str) and not isinstance(value, bool)
    }
    return ", ".join(f"{name} {value}" for name, value in plain.items()) or "done"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefreshError(f"another refresh of this store is under way ({path} is locked)") from None
        yield


def _notes(job: Job) -> dict[str, Facts]:
    """The facts of the run that was cut short, else those of a new one.

    Where the data or the model changed since, only what was collected counts as done.
    """
    inputs = _inputs(job)
    path = job.work / "run.json"
    notes: dict[str, Facts] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not notes:
        notes = {"run": {"day": iso(SystemClock().now())[:10], "version": job.version, "inputs": inputs}}
        # From here on this is the run, so that its day and version stay should it be cut short.
        _save(job, notes)
    elif notes["run"]["inputs"] != inputs:
        notes = {name: facts for name, facts in notes.items() if name in ("run", "collect")}
        notes["run"]["inputs"] = inputs
    return notes


def _inputs(job: Job) -> str:
    """A hash of what a run reads and does not write: the data but its own files, and the model."""
    digest = hashlib.sha256()
    own = {job.public(name) for name in (*OWN, TOMBSTONES)}
    files = {*job.places.data.rglob("*.jsonl"), *job.places.data.rglob("*.yml"), *job.model.glob("*")}
    for file in sorted(files - own):
        if file.is_file() and not file.name.startswith("."):
            digest.update(f"{file.name} {_sha256(file)}\n".encode())
    return digest.hexdigest()


def _save(job: Job, notes: Notes) -> None:
    path = job.work / "run.json"
    beside = path.with_name("run.json.new")
    beside.write_text(json.dumps(notes) + "\n", encoding="utf-8")
    beside.replace(path)


def report(notes: Notes) -> Facts:
    """What a run says at its end, for people and for the workflow."""
    derive_, diff_ = notes["derive"], notes["diff"]
    return {
        "outcome": notes["publish"]["outcome"],
        "version": diff_.get("version"),
        "data_version": diff_.get("data_version"),
        "day": notes["run"]["day"],
        "content": diff_.get("content", notes["build"]["content"]),
        "before": notes["build"]["published"],
        "sources": notes["collect"]["sources"],
        "posts": notes["classify"]["posts"],
        "read_by_machine": notes["classify"]["read"],
        "derived": derive_["derived"],
        "left_out": derive_["left_out"],
        "copies": derive_["copies"],
        "tombstones": notes["erase"]["tombstones"],
        **{name: diff_.get(name) for name in ("new", "gone", "relabelled", "compared", "moved", "places")},
        "verdicts": notes["soundness"]["verdicts"],
        "seconds": {step.name: notes[step.name]["seconds"] for step in STEPS},
    }


def as_text(found: Facts) -> str:
    """The report as a few lines."""
    lines = [f"{v['level']:>5}  {v['check']}: {v['why']}" for v in found["verdicts"]]
    if found["new"] is not None:
        lines.append(
            f"new {found['new']}, gone {found['gone']}, relabelled {found['relabelled']}; "
            f"{len(found['moved'])} of {found['compared']} shares moved beyond chance"
        )
    lines.append({
        "published": f"published version {found['version']}, data {found['data_version']}, content {found['content']}",
        "unchanged": f"nothing changed: content {found['content']} is published already",
        "unsound": "not published: a check fails; what is published stays",
    }[found["outcome"]])  # fmt: skip
    return "\n".join(lines)


def _version(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not data.VERSION.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no version like 2026-11-24: digit first, then letters, digits, . and -")
    return value


@click.command(name="refresh")
@click.option("--version", callback=_version, help="Name of what is published. Default: the latest month of the data.")
@collecting.store_option
@collecting.data_option
@collecting.plan_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: signals.db of the project.")
@click.option(
    "--before",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The published file to compare with. Default: what stands at --out.",
)
@click.option("--no-collect", is_flag=True, help="Ask no source: take the store as it is, say after an import.")
@collecting.source_option
@collecting.budget_option
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice(soundness.ACCEPTABLE),
    help="Publish although this check fails, for what it found is meant; may be given again.",
)
@click.option("--anew", is_flag=True, help="Forget a run that was cut short.")
@collecting.report_option
@click.pass_obj
def command(
    root: Path,
    version: str | None,
    store_path: Path | None,
    data_path: Path | None,
    plan_path: Path | None,
    out: Path | None,
    before: Path | None,
    no_collect: bool,
    only: tuple[str, ...],
    budget: int | None,
    accept: tuple[str, ...],
    anew: bool,
    report_path: Path | None,
) -> None:
    """Collects, erases what is gone, reads by machine, builds, compares, checks; publishes what changed and is sound.

    A run that is cut short goes on where it was. Exit code 0: published, or nothing changed; 4: not published, since a
    check fails; 1: the input has faults. A source that fails is flagged in the report and stops nothing.
    """
    places = collecting.Places.of(store_path, data_path, plan_path)
    out = out or root / "signals.db"
    options = None if no_collect else Options(only=only, budget=budget)
    job = Job(root, places, root / "data" / "tagger", out, before or out, version, options, accept)
    if anew:
        (job.work / "run.json").unlink(missing_ok=True)
    try:
        with collecting.one_clear_error():
            found = refresh(job, partial(click.echo, err=True))
    except (RefreshError, tag.ModelError, queries.QueryError) as error:
        raise click.ClickException(str(error)) from None
    if report_path:
        report_path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    click.echo(as_text(found))
    if found["outcome"] == "unsound":
        sys.exit(EXIT_UNSOUND)
