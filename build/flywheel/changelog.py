"""What changed between two versions of the data, which number the new one must have, and how the changelog tells it.

The rule (semantic versions, of data):

    major   a table, a column or a word of the vocabulary is gone, or a column's type or key is another: programs break
    minor   a table, a column or a word is new; posts came or went: figures are of other posts
    patch   the same posts and columns, and some cell differs: labels, sentences, shares
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

Change = Literal["major", "minor", "patch"]

WORDS = ("phases", "themes", "asks", "whys", "sources", "places")
"""Tables whose keys other tables are written with."""

LABELS = {"signals": ("theme", "ask", "run", "gist"), "screened": ("verdict", "why", "note")}


class VersionError(Exception):
    """The new version's number says less than what changed."""


@dataclass(frozen=True)
class Edition:
    """What is compared of one signals.db. `columns` maps `table.column` to its type and key; `posts` maps the id of
    each post to its table and its labels there."""

    version: str
    content_hash: str
    tables: frozenset[str]
    columns: Mapping[str, tuple[str, int]]
    words: frozenset[str]
    posts: Mapping[str, tuple[str, Mapping[str, object]]]


def edition(connection: sqlite3.Connection) -> Edition:
    """Reads an edition from a database of this or an earlier schema."""
    tables = [name for (name,) in connection.execute("select name from sqlite_schema where type = 'table' order by 1")]
    tables = [name for name in tables if not name.startswith(("sqlite_", "signals_fts"))]
    columns: dict[str, tuple[str, int]] = {}
    for table in tables:
        for _, column, kind, _, _, key in connection.execute(f"pragma table_info([{table}])"):
            columns[f"{table}.{column}"] = (kind, key)
    info = dict(connection.execute("select key, value from build_info").fetchall())
    words = {
        f"{table}.{slug}"
        for table in WORDS
        if table in tables
        for (slug,) in connection.execute(f"select slug from [{table}]")  # noqa: S608 - our own names
    }
    posts: dict[str, tuple[str, Mapping[str, object]]] = {}
    for table, labels in LABELS.items():
        there = [label for label in labels if f"{table}.{label}" in columns]
        for post, *values in connection.execute(f"select id, {', '.join(there)} from [{table}]"):  # noqa: S608
            posts[post] = (table, dict(zip(there, values, strict=True)))
    return Edition(
        info.get("data_version", ""),
        info.get("content_hash", ""),
        frozenset(tables),
        columns,
        frozenset(words),
        posts,
    )


@dataclass(frozen=True)
class Difference:
    """Names of what is gone, new or another, sorted. `other_labels` maps a label to the posts whose value moved."""

    tables_gone: tuple[str, ...]
    columns_gone: tuple[str, ...]
    columns_changed: tuple[str, ...]
    words_gone: tuple[str, ...]
    tables_new: tuple[str, ...]
    columns_new: tuple[str, ...]
    words_new: tuple[str, ...]
    posts_new: tuple[str, ...]
    signals_new: tuple[str, ...]
    posts_gone: tuple[str, ...]
    signals_gone: tuple[str, ...]
    became_signals: tuple[str, ...]
    no_longer_signals: tuple[str, ...]
    other_labels: Mapping[str, tuple[str, ...]]
    other_content: bool


def compare(old: Edition, new: Edition) -> Difference:
    both = sorted(old.posts.keys() & new.posts.keys())
    moved: dict[str, list[str]] = {}
    for post in both:
        (table, before), (now_in, after) = old.posts[post], new.posts[post]
        if table == now_in:
            for label in before.keys() & after.keys():
                if before[label] != after[label]:
                    moved.setdefault(label, []).append(post)
    columns = old.columns.keys() & new.columns.keys()
    stays = old.tables & new.tables

    def signals(posts: Iterable[str], of: Edition) -> tuple[str, ...]:
        return tuple(post for post in posts if of.posts[post][0] == "signals")

    def only(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(one) - set(other)))

    def of_tables(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name.split(".")[0] in stays)

    came, went = only(new.posts, old.posts), only(old.posts, new.posts)
    return Difference(
        tables_gone=only(old.tables, new.tables),
        columns_gone=of_tables(only(old.columns, new.columns)),
        columns_changed=tuple(sorted(name for name in columns if old.columns[name] != new.columns[name])),
        words_gone=of_tables(only(old.words, new.words)),
        tables_new=only(new.tables, old.tables),
        columns_new=of_tables(only(new.columns, old.columns)),
        words_new=of_tables(only(new.words, old.words)),
        posts_new=came,
        signals_new=signals(came, new),
        posts_gone=went,
        signals_gone=signals(went, old),
        became_signals=tuple(p for p in both if (old.posts[p][0], new.posts[p][0]) == ("screened", "signals")),
        no_longer_signals=tuple(p for p in both if (old.posts[p][0], new.posts[p][0]) == ("signals", "screened")),
        other_labels={label: tuple(moved[label]) for label in sorted(moved)},
        other_content=old.content_hash != new.content_hash,
    )


ASKS_FOR: Mapping[str, Change] = {
    **dict.fromkeys(("tables_gone", "columns_gone", "columns_changed", "words_gone"), "major"),
    **dict.fromkeys(("tables_new", "columns_new", "words_new", "posts_new", "posts_gone"), "minor"),
    **dict.fromkeys(("became_signals", "no_longer_signals", "other_labels", "other_content"), "patch"),
}


def weight(difference: Difference) -> Change | None:
    """What the difference asks for; None where the two are equal."""
    found = {ASKS_FOR[f.name] for f in fields(difference) if f.name in ASKS_FOR and getattr(difference, f.name)}
    order: tuple[Change, ...] = ("major", "minor", "patch")
    return next((change for change in order if change in found), None)


def following(version: str, change: Change | None) -> str:
    """The least version that may follow: following("1.2.3", "minor") == "1.3.0"."""
    major, minor, patch = parts(version)
    if change is None:
        return version
    return {"major": f"{major + 1}.0.0", "minor": f"{major}.{minor + 1}.0", "patch": f"{major}.{minor}.{patch + 1}"}[
        change
    ]


def parts(version: str) -> tuple[int, int, int]:
    """The three numbers, by which versions stand in order."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def check(old: Edition, new: Edition) -> None:
    """Raises VersionError where the new version's number is lower than the rule asks."""
    change = weight(compare(old, new))
    least = following(old.version, change)
    if parts(new.version) < parts(least):
        raise VersionError(
            f"since {old.version} there is a {change} change, so this is {least} or later; data/site.yml says "
            f"{new.version}. Change `version` there and in CITATION.cff, and build again."
            if change
            else f"data/site.yml says {new.version}, which is older than {old.version}; the data are the same"
        )


def first(new: Edition) -> str:
    """The changelog of a version that was compared with none."""
    return (
        f"# Changelog\n\n## {new.version}\n\nContent `{new.content_hash}`, {len(new.posts):,} posts. Compared with no "
        "earlier version.\n"
    )


def entry(old: Edition, new: Edition) -> str:
    """One version's part of the changelog. Posts that went are counted and not named."""
    lines = [line for line in _lines(compare(old, new)) if line]
    told = "".join(f"- {line}\n" for line in lines) or "- The same content.\n"
    return f"## {new.version}\n\nContent `{new.content_hash}`; before: {old.version}, `{old.content_hash}`.\n\n{told}"


def grown(old_text: str, old: Edition, new: Edition) -> str:
    """An earlier changelog with the new version on top; unchanged where version and content are."""
    if (old.version, old.content_hash) == (new.version, new.content_hash):
        return old_text
    head, _, rest = (old_text or first(old)).partition("\n\n")
    return f"{head}\n\n{entry(old, new)}\n{rest}"


NAMED = 50
"""As many names as a line of the changelog holds; a count stands for the rest."""


def _lines(found: Difference) -> Iterable[str]:
    named = {
        "tables_gone": "Tables gone",
        "columns_gone": "Columns gone",
        "columns_changed": "Columns with another type or key",
        "words_gone": "Words of the vocabulary gone",
        "tables_new": "New tables",
        "columns_new": "New columns",
        "words_new": "New words of the vocabulary",
    }
    for field, words in named.items():
        if names := getattr(found, field):
            yield f"{words}: {_some(names)}."
    if found.posts_new:
        yield f"{_posts(found.posts_new)} came, {len(found.signals_new):,} of them signals."
    if found.posts_gone:
        yield f"{_posts(found.posts_gone)} went, {len(found.signals_gone):,} of them signals."
    if found.became_signals:
        yield f"{_posts(found.became_signals)} became signals: {_some(found.became_signals)}."
    if found.no_longer_signals:
        yield f"{_posts(found.no_longer_signals)} no longer signals: {_some(found.no_longer_signals)}."
    for label, posts in found.other_labels.items():
        yield f"{_posts(posts)} with another `{label}`: {_some(posts)}."
    if found.other_content and not any(getattr(found, f.name) for f in fields(found) if f.name != "other_content"):
        yield "Other cells differ: shares, dates, links or counts."


def _posts(posts: tuple[str, ...]) -> str:
    return f"{len(posts):,} post{'' if len(posts) == 1 else 's'}"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:NAMED]) + more


def open_edition(path: Path) -> tuple[Edition, str]:
    """The edition and the changelog of an export folder, or the edition of a signals.db and an empty changelog. Raises
    OSError or sqlite3.Error where it cannot be read."""
    database = path / "signals.db" if path.is_dir() else path
    changelog = path / "CHANGELOG.md" if path.is_dir() else None
    connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    try:
        text = changelog.read_text(encoding="utf-8") if changelog and changelog.is_file() else ""
        return edition(connection), text
    finally:
        connection.close()
