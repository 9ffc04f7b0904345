"""`data/tombstones.jsonl`: public ids of posts that were erased, at their source or on request.

A tombstone wins over every other file of `data/`. It holds the id and not the url, since a url may carry the
title of a post that is no more."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from flywheel.collect.record import Why
from flywheel.faults import Fault, FaultsError


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
