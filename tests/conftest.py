"""What all tests share: the project's root, a database built once, and a small data folder of made-up posts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flywheel import pipeline

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """signals.db, built from the shipped data."""
    out = tmp_path_factory.mktemp("shipped") / "signals.db"
    pipeline.build(ROOT / "data", out)
    return out


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real posts and recordings beside the project; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, the folder of real posts beside the project")
    return SHARED


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


DataFolder = Callable[..., Path]


@pytest.fixture
def data_folder(tmp_path: Path) -> DataFolder:
    """Makes a data folder with the project's vocabulary and the given lines: data_folder(rows, codings=[…])."""

    def make(rows: Iterable[dict[str, Any] | str | bytes], **families: Iterable[dict[str, Any] | str]) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for vocabulary in (ROOT / "data").glob("*.yml"):
            shutil.copy(vocabulary, folder)
        write_lines(folder / "signals" / "some.jsonl", rows)
        write_lines(folder / "codings.jsonl", families.pop("codings", []))
        for family, lines in families.items():
            write_lines(folder / f"{family}.jsonl", lines)
        return folder

    return make
