"""`make bench`: builds and pages (time, memory, answers at 1 and at 8 clients), then tagging and copies.

Prints tables and writes them, with the command, into docs/benchmarks.md. One part: `python -m bench tagging`.
"""

from __future__ import annotations

import argparse
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import site, tagging

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all where none is named")
    parser.add_argument(
        "--million", action="store_true", help="also with 1,000,000 signals, and copies among 1,000,000 posts"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name, part in PARTS.items():
        if name in (chosen.part or PARTS):
            part(chosen.million)


def builds_and_pages(million: bool) -> None:
    write("Builds and pages", *site.section(million, partial(print, flush=True)))


def tagging_and_copies(million: bool) -> None:
    about = (
        f"`make bench`, on {os.cpu_count()} cores; with 1,000,000 posts: `python -m bench tagging --million`. How good "
        "relevance, themes and phases are stands in `data/tagger_report.jsonl`, which `flywheel train` measures on "
        "posts left out (docs/tagging.md). All else is measured when this is run, beside whatever else is running."
    )
    print(about)
    write("Tagging and copies", about, tagging.section(ROOT, million, partial(print, flush=True)))


PARTS: Mapping[str, Callable[[bool], None]] = {"site": builds_and_pages, "tagging": tagging_and_copies}


def write(title: str, about: str, lines: Sequence[str]) -> None:
    """A section of docs/benchmarks.md: what was measured and how, then a table."""
    write_section(title, "\n".join([textwrap.fill(about, width=118), "", *lines]))


def write_section(title: str, body: str) -> None:
    """Puts a section of docs/benchmarks.md in the place of the one of the same title, or at the end."""
    path = ROOT / "docs" / "benchmarks.md"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Measured\n"
    section = f"## {title}\n\n{body.strip()}\n"
    old = re.compile(rf"## {title}\n.*?(?=\n## |\Z)", re.DOTALL)
    found = old.sub(lambda _: section, text) if old.search(text) else f"{text.rstrip()}\n\n{section}"
    path.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
