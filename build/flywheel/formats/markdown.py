"""The files that people read: the Hugging Face card (README.md), the datasheet and the column list.

Their words stand in card.md and datasheet.md beside this file, with ${names} for what the database knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import yaml

from flywheel.catalogue import Catalogue, Described
from flywheel.formats.croissant import cite_as

if TYPE_CHECKING:
    from flywheel.export import Written

HERE = Path(__file__).parent
# Upper bounds of the Hub's size categories, in rows.
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


def card(catalogue: Catalogue, written: Mapping[str, Written]) -> str:
    """README.md with the front matter of the Hugging Face Hub: one configuration a table, from its Parquet file.

    https://huggingface.co/docs/hub/datasets-cards
    """
    filled = [table for table in catalogue.tables if table.n_rows]
    front = {
        "pretty_name": f"{catalogue.title}: {catalogue.facts['subtitle']}",
        "license": catalogue.licence_id.lower(),
        "language": ["en"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "task_categories": ["text-classification"],
        "size_categories": [next(name for bound, name in SIZES.items() if catalogue.facts["n_signals"] < bound)],
        "tags": [keyword.replace(" ", "-") for keyword in catalogue.keywords],
        "configs": [
            {"config_name": table.name, "data_files": f"parquet/{table.name}.parquet"}
            | ({"default": True} if table.name == "signals" else {})
            for table in filled
        ],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{_fill('card.md', catalogue)}"


def datasheet(catalogue: Catalogue) -> str:
    """DATASHEET.md: the questions of Gebru et al., https://arxiv.org/abs/1803.09010, answered."""
    return _fill("datasheet.md", catalogue)


def columns(catalogue: Catalogue) -> str:
    """COLUMNS.md: every table, what a row is, and each column with its type, meaning, reference and licence."""
    head = f"# Columns\n\n{catalogue.title}, data version {catalogue.version}, content {catalogue.content_hash}.\n"
    return head + "".join(map(_columns_of, catalogue.tables))


def _columns_of(table: Described) -> str:
    rows = [
        (
            f"`{column.name}`",
            column.kind,
            column.description + (f" Licence: {column.licence}" if column.licence else ""),
            "`{}.{}`".format(*table.references[column.name]) if column.name in table.references else "",
        )
        for column in table.columns
    ]
    return (
        f"\n## {table.name}\n\n{table.title}, {table.n_rows:,} rows. {table.description}\n\n"
        f"Key: {', '.join(f'`{column}`' for column in table.pk)}. Licence: [{table.licence}]({table.licence_url}).\n\n"
        f"{_table(('column', 'type', 'meaning', 'refers to'), rows)}"
    )


def _fill(name: str, catalogue: Catalogue) -> str:
    facts, asked = catalogue.facts, catalogue.asked
    words = {
        **{name: f"{value:,}" if isinstance(value, int) else value for name, value in facts.items()},
        "description": catalogue.description,
        "first_month": catalogue.first_month,
        "last_month": catalogue.last_month,
        "cite": cite_as(catalogue),
        "n_screened": f"{sum(t.n_rows for t in catalogue.tables if t.name == 'screened'):,}",
        "n_codings": f"{sum(t.n_rows for t in catalogue.tables if t.name == 'codings'):,}",
        "tables": _table(
            ("table", "rows", "what it holds"),
            ((f"`{table.name}`", f"{table.n_rows:,}", table.title) for table in catalogue.tables),
        ),
        "places": _table(
            ("place", "signals", "what its figures may be used for", "what was read"),
            ((p["title"], f"{p['signals']:,}", p["enters"], p["description"]) for p in asked["place_list"]),
        ),
        "archives": _table(
            ("archive", "match", "read", "how it was come by", "leaves out"),
            (
                (a["title"], f"{a['matched']:,}", f"{a['posts_read']:,}", a["obtained"], a["leaves_out"])
                for a in asked["archive_list"]
            ),
        ),
        "agreement": _table(
            ("same answer to", "of 100", "posts read twice"),
            (
                (row["question"], "" if row["share"] is None else f"{100 * row['share']:.0f}", f"{row['n']:,}")
                for row in asked["agreement"]
            ),
        ),
        "sources": _table(
            ("source", "licence of its posts", "what we publish"),
            ((s["title"], s["licence"], s["terms"]) for s in catalogue.sources),
        ),
        "apart": _table(
            ("column", "licence"),
            ((f"`{t.name}.{c.name}`", c.licence) for t in catalogue.tables for c in t.columns if c.licence),
        ),
        "ask_us": f"Ask: {facts['contact']}" if facts["contact"] else "This version names no address to ask at.",
        "correct_us": f"Corrections: {facts['repository']}" if facts["repository"] else "",
        "site": f"The site is {catalogue.url}." if catalogue.url else "This version names no site.",
    }
    return Template((HERE / name).read_text(encoding="utf-8")).substitute(words)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str | None]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
