"""What the data say of themselves, gathered once: metadata.yml for words and licences, `schema` for types and keys,
CITATION.cff for authors, the database for its version, its counts and what data/*.yml says of sources and places.

`describe` is the one reader; data package, Croissant, JSON-LD, datasheet, card and pages are made from what it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flywheel import queries
from flywheel.schema import TABLES, Table

BUILD_INFO = Table(columns=("key", "value"), pk=("key",), references={}, indexes=())
ALL_TABLES: Mapping[str, Table] = {**TABLES, "build_info": BUILD_INFO}
"""Every table that is published, in the order of the schema. Views are left out: they hold nothing of their own."""

TYPES = {int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Column:
    """`kind` is integer, number or string. `licence` is a sentence where the table's licence does not hold. `blank`:
    the empty text is a value here, and there is no null."""

    name: str
    kind: str
    description: str
    licence: str | None
    blank: bool


@dataclass(frozen=True)
class Described:
    """One table: what a row is, its columns in their order, its keys, its number of rows."""

    name: str
    title: str
    description: str
    columns: tuple[Column, ...]
    pk: tuple[str, ...]
    references: Mapping[str, tuple[str, str]]
    n_rows: int
    licence: str
    licence_url: str
    source: str


@dataclass(frozen=True)
class Catalogue:
    """`facts` is the row of the canned query site_facts; `asked` holds the rows of further canned queries by name."""

    title: str
    description: str
    abstract: str
    cited_title: str
    licence: str
    licence_id: str
    licence_url: str
    version: str
    content_hash: str
    url: str
    released: str
    first_month: str
    last_month: str
    authors: tuple[Mapping[str, str], ...]
    keywords: tuple[str, ...]
    references: tuple[Mapping[str, Any], ...]
    tables: tuple[Described, ...]
    sources: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]
    asked: Mapping[str, Sequence[Mapping[str, Any]]]


ASKED = ("agreement", "archive_list", "lead", "place_list")


def describe(connection: sqlite3.Connection, root: Path) -> Catalogue:
    """Reads a finished signals.db and the project's own words. Raises sqlite3.Error where the file is not one."""
    metadata = yaml.safe_load((root / "metadata.yml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    named = queries.load(root / "canned_queries")
    words = metadata["databases"][queries.DATABASE]["tables"]

    def ask(name: str) -> list[dict[str, Any]]:
        return _rows(connection, named[name].sql, {parameter.name: "" for parameter in named[name].parameters})

    (facts,) = ask("site_facts")
    months = _rows(connection, "select min(month) as first, max(month) as last from signals")[0]
    return Catalogue(
        title=metadata["title"],
        description=metadata["description"],
        cited_title=citation["title"],
        abstract=" ".join(citation["abstract"].split()),
        licence=metadata["license"],
        licence_id=citation["license"],
        licence_url=metadata["license_url"],
        version=facts["data_version"],
        content_hash=facts["content_hash"],
        url=str(facts["url"] or "").rstrip("/"),
        released=str(citation.get("date-released") or ""),
        first_month=months["first"] or "",
        last_month=months["last"] or "",
        authors=tuple(citation["authors"]),
        keywords=tuple(citation["keywords"]),
        references=tuple(citation["references"]),
        tables=tuple(_described(connection, name, table, words[name]) for name, table in ALL_TABLES.items()),
        sources=tuple(_rows(connection, "select * from sources order by position")),
        facts=facts,
        asked={name: ask(name) for name in ASKED},
    )


def _described(connection: sqlite3.Connection, name: str, table: Table, words: Mapping[str, Any]) -> Described:
    ((n_rows,),) = connection.execute(f"select count(*) from [{name}]")  # noqa: S608 - our own names
    licences = words.get("column_licences", {})
    columns = []
    for column, kind in table.types().items():
        ((blank,),) = connection.execute(f"select exists (select 1 from [{name}] where [{column}] = '')")  # noqa: S608
        columns.append(Column(column, TYPES[kind], words["columns"][column], licences.get(column), bool(blank)))
    return Described(
        name=name,
        title=words["title"],
        description=words["description"],
        columns=tuple(columns),
        pk=table.pk,
        references={column: (other, ALL_TABLES[other].pk[0]) for column, other in table.references.items()},
        n_rows=n_rows,
        licence=words["license"],
        licence_url=words["license_url"],
        source=words["source"],
    )


def _rows(
    connection: sqlite3.Connection, sql: str, parameters: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    found = connection.execute(sql, dict(parameters or {}))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]
