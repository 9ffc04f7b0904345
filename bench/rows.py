"""Makes a large data folder from the shipped one: the posts that were read as they are, and copies of the posts that a
machine took for signals under other urls, threads and authors, until there are so many signals.

Nothing holds the copies' texts, so a raw store is made beside them, its titles and texts put together from our own
gists: a search then meets as many words as it would in a real store of that size.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from flywheel.signal import signal_id

SEED = 7


def copied(row: dict[str, Any], copy: int) -> dict[str, Any]:
    """What is said of one post, of another: the number at the end of the url moves on, and so thread and author."""
    changed = dict(row)
    for name in ("url", "thread"):
        if row.get(name):
            changed[name] = moved(row[name], copy)
    if row.get("author") is not None:
        changed["author"] = row["author"] + 1_000_000_000 * copy
    return changed


def moved(url: str, copy: int) -> str:
    if url.startswith(("https://www.reddit.com/", "rd.")):
        return re.sub(r"((?:comments/|rd\.)\w+)", rf"\1z{copy}", url, count=1)
    if found := re.search(r"\d+(?=\D*$)", url):
        return f"{url[: found.start()]}{int(found[0]) + 10_000_000 * copy}{url[found.end() :]}"
    return f"{url}{'&' if '?' in url else '?'}copy={copy}"


def read(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def lines(rows: list[dict[str, Any]], wanted: int) -> Iterator[dict[str, Any]]:
    """The rows again and again, each time as other posts, until there are `wanted`."""
    for number in range(wanted):
        copy, index = divmod(number, len(rows))
        yield copied(rows[index], copy) if copy else rows[index]


def make(folder: Path, out: Path, signals: int) -> Path:
    """Writes a data folder that builds to about so many signals, fewer only by the copies that are folded, and the
    store of its texts beside it; gives the store's path. Archives grow with what was drawn from them."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("derived"))
    coded, derived = read(folder / "signals"), read(folder / "derived")
    taken = [row for row in derived if row["signal"]]
    wanted = max(0, signals - sum(row["pain"] is True for row in coded))
    gists = [row["gist"] for row in coded if row["pain"] and row["gist"]]
    chance = random.Random(SEED)  # noqa: S311 - no secret
    store = out / "store.db"
    (out / "derived").mkdir()
    with closing(sqlite3.connect(store)) as db, (out / "derived" / "many.jsonl").open("w", encoding="utf-8") as file:
        db.execute("create table items (id text, source text, native_id text, url text, title text, body text)")
        for row in derived:
            if not row["signal"]:
                file.write(json.dumps(row) + "\n")
        for row in lines(taken, wanted):
            file.write(json.dumps(row) + "\n")
            key = signal_id(row["url"])
            text = chance.choice(gists), " ".join(chance.choices(gists, k=3))
            db.execute("insert into items values (?, ?, ?, ?, ?, ?)", (key, row["source"], key, row["url"], *text))
        db.execute("create index items_id on items(id)")
        db.commit()
    archives = yaml.safe_load((folder / "archives.yml").read_text(encoding="utf-8"))
    for archive in archives:
        archive["matched"] *= 1 + wanted // len(taken)
    (out / "archives.yml").write_text(yaml.safe_dump(archives, allow_unicode=True), encoding="utf-8")
    return store
