"""`data/tombstones.jsonl`: public ids of posts that were erased, at their source or on request.

A tombstone wins over every other file of `data/`. It holds the id and not the url, since a url may carry the
title of a post that is no more."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from flywheel.collect.record import Why
from flywheel.faults import Fault, FaultsError
from flywheel.signal import signal_id

POSTS = ("signals/*.jsonl", "derived/*.jsonl")
"""Files of `data/` with a line a post, which names its thread."""

LINES = ("codings.jsonl", "corrections.jsonl", "predictions.jsonl", "duplicates.jsonl", *POSTS)
"""Files of `data/` whose lines are about one post each, or about a pair. A sweep that is cut short goes on where it
was, since a post's own line goes last."""


def read(path: Path) -> dict[str, Why]:
    """Public id → why, of every line. An absent file is an empty one."""
    found: dict[str, Why] = {}
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
                found[str(row["id"])] = row["reason"]
            except (ValueError, TypeError, KeyError, AttributeError):
                raise FaultsError([Fault(str(path), number, None, 'not a tombstone: {"id": …, "reason": …}')]) from None
    return found


def append(path: Path, ids: Mapping[str, Why], month: str) -> list[str]:
    """Adds ids that are not there yet, in order; the file is written beside and renamed. Returns those
    added."""
    known = read(path)
    added = sorted(set(ids) - set(known))
    if added:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        text += "" if not text or text.endswith("\n") else "\n"
        text += "".join(json.dumps({"id": one, "month": month, "reason": ids[one]}) + "\n" for one in added)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    return added


def reached(data: Path, gone: Mapping[str, Why]) -> dict[str, Why]:
    """Public id → why of each post of `data/` that is gone, or that stands in a thread that is.

    A post that goes with its thread gets a tombstone of its own, since once its line is swept nothing tells any more
    why it went. Lines that cannot be read are passed over."""
    found: dict[str, Why] = {}
    for path in sorted(path for pattern in POSTS for path in data.glob(pattern)):
        for line in path.read_text(encoding="utf-8").splitlines():
            if cause := _named(line, "url", "thread") & gone.keys():
                for id_ in _named(line, "url"):
                    found[id_] = gone[id_ if id_ in gone else min(cause)]
    return found


def sweep(data: Path, ids: Collection[str]) -> int:
    """Takes every line about these posts, or about posts of their threads, out of `data/`; returns how many went.

    A build passes such lines by anyhow. They go because each holds the post's link and a sentence about it, and
    `data/` is public. A line that cannot be read stays: `flywheel check` names it."""
    gone, wanted = 0, set(ids)
    for path in (path for pattern in LINES for path in sorted(data.glob(pattern))):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not _named(line, "url", "keep", "drop", "thread") & wanted]
        if len(kept) < len(lines):
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.write_text("".join(kept), encoding="utf-8")
            beside.replace(path)
            gone += len(lines) - len(kept)
    return gone


def _named(line: str, *fields: str) -> set[str]:
    """The ids that these fields of a line name."""
    try:
        row = json.loads(line)
        named = {(field, str(row[field])) for field in fields if row.get(field)}
        # A thread is an id on Reddit and an address elsewhere.
        return {one if field == "thread" and "://" not in one else signal_id(one) for field, one in named}
    except (ValueError, AttributeError):
        return set()
