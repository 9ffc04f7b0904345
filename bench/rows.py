"""Makes a large data folder from the shipped one: copies of its rows under other urls, threads and authors."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def copied(row: dict[str, Any], copy: int) -> dict[str, Any]:
    """The same reading of another post: the number at the end of the url moves on, and with it thread and author."""
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


def lines(folder: Path, wanted: int) -> Iterator[str]:
    rows = [
        json.loads(line)
        for path in sorted((folder / "signals").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    for number in range(wanted):
        copy, index = divmod(number, len(rows))
        yield json.dumps(copied(rows[index], copy) if copy else rows[index])


def make(folder: Path, out: Path, wanted: int) -> None:
    """Writes a data folder of `wanted` posts. Readings stay those of the shipped posts; archives grow with them."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("signals"))
    (out / "signals").mkdir()
    total = 0
    with (out / "signals" / "many.jsonl").open("w", encoding="utf-8") as file:
        for line in lines(folder, wanted):
            file.write(line + "\n")
            total += 1
    copies = -(-total // sum(1 for path in (folder / "signals").glob("*.jsonl") for _ in path.open()))
    archives = yaml.safe_load((folder / "archives.yml").read_text(encoding="utf-8"))
    for archive in archives:
        archive["matched"] *= copies
    (out / "archives.yml").write_text(yaml.safe_dump(archives, allow_unicode=True), encoding="utf-8")
