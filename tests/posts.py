"""Made-up posts, as lines of data/ would hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def coded(number: int = 1, **fields: Any) -> dict[str, Any]:
    """One good line of signals/*.jsonl: a made-up issue found by a neutral search. `fields` change it."""
    row: dict[str, Any] = {
        "url": f"https://github.com/someone/tuner/issues/{number}",
        "source": "github",
        "community": "someone/tuner",
        "kind": "issue",
        "date": "2025-03-04",
        "date_of": "opening",
        "state": "open",
        "pain": True,
        "theme": "training-dynamics",
        "also": [],
        "gist": f"Loss turns to nonsense after step {number}.",
        "tool": "trl",
        "model": "Qwen2.5-7B",
        "frame": "neutral",
        "query": "tuning trouble",
        "sure": "high",
        "coder": "A",
    }
    return row | fields


def drawn(number: int = 1, **fields: Any) -> dict[str, Any]:
    """One good line of the population: a made-up Hub discussion."""
    url = f"https://huggingface.co/someone/model-{number % 7}/discussions/{number}"
    row = coded(
        number,
        url=url,
        source="hf_hub",
        community=f"someone/model-{number % 7}",
        kind="discussion",
        frame="population",
        set="hf-hub-discussions",
        weight=1.25,
        thread=url,
        author=number % 50,
        n_replies=0,
        seen="opening",
        readings=1,
    )
    del row["query"], row["state"]
    return row | fields


def write_lines(path: Path, rows: Iterable[dict[str, Any] | str | bytes]) -> None:
    """Writes JSON lines; text and bytes go in as they are, so that broken lines can be written too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for row in rows:
            raw = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
            file.write(raw + b"\n")
