"""The open-data export of a signals.db: every table as CSV and Parquet, the SQLite file, checksums, and what describes
them, in the words of metadata.yml.

    signals.db              SHA256SUMS            datapackage.json  (Frictionless)
    csv/TABLE.csv           CITATION.cff          croissant.json    (MLCommons Croissant)
    parquet/TABLE.parquet   CHANGELOG.md          dataset.jsonld    (schema.org)
    README.md (the card)    DATASHEET.md          COLUMNS.md

Everything is a function of the database and of the project's words, so that the site can serve at /export/ the very
bytes that `flywheel export` writes, and two exports are equal.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.catalogue import ALL_TABLES, Catalogue, describe
from flywheel.formats.croissant import croissant
from flywheel.formats.datapackage import data_package
from flywheel.formats.files import as_csv, as_parquet
from flywheel.formats.markdown import card, columns, datasheet
from flywheel.formats.schema_org import dataset

SUMS = "SHA256SUMS"
DATABASE = "signals.db"
CHANGELOG = "CHANGELOG.md"
CITATION = "CITATION.cff"


@dataclass(frozen=True, slots=True)
class Written:
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Written:
        return cls(len(content), hashlib.sha256(content).hexdigest())


Make = Callable[[sqlite3.Connection, str], bytes]
FOLDERS: Mapping[str, Make] = {"csv": as_csv, "parquet": as_parquet}
TABLE_FILES = {f"{kind}/{name}.{kind}": (make, name) for kind, make in FOLDERS.items() for name in ALL_TABLES}
"""How each table's file is made, by its path in the export."""

DOCUMENTS: Mapping[str, Callable[[Catalogue, Mapping[str, Written]], str | dict[str, Any]]] = {
    "datapackage.json": data_package,
    "croissant.json": croissant,
    "dataset.jsonld": dataset,
    "README.md": card,
    "DATASHEET.md": lambda catalogue, _: datasheet(catalogue),
    "COLUMNS.md": lambda catalogue, _: columns(catalogue),
}
"""What describes the files, by path. None of them speaks of another, so they need no order."""


def table_file(connection: sqlite3.Connection, path: str) -> bytes:
    """One table as CSV or Parquet. Raises KeyError where the export has no such file."""
    make, name = TABLE_FILES[path]
    return make(connection, name)


def hash_tables(connection: sqlite3.Connection, database: Path) -> dict[str, Written]:
    """Size and hash of the SQLite file and of every table's files, of which one at a time is in memory."""
    with database.open("rb") as file:
        found = {DATABASE: Written(database.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())}
    return found | {path: Written.of(table_file(connection, path)) for path in TABLE_FILES}


def documents(catalogue: Catalogue, written: Mapping[str, Written], root: Path) -> dict[str, bytes]:
    """Every file that describes the others, and CITATION.cff as it is."""
    made = {path: _encoded(make(catalogue, written)) for path, make in DOCUMENTS.items()}
    return made | {CITATION: (root / CITATION).read_bytes()}


def sums(written: Mapping[str, Written]) -> bytes:
    """As `sha256sum -c` reads it."""
    return "".join(f"{facts.sha256}  {path}\n" for path, facts in sorted(written.items())).encode()


def _encoded(content: str | dict[str, Any]) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return text.encode()


class NotAnExportError(Exception):
    """The folder to be replaced holds something else."""


def write(database: Path, out: Path, root: Path, changelog: str | None = None) -> dict[str, Written]:
    """Writes the export beside `out` and puts it in its place when it is whole; returns each file's size and hash.

    Raises NotAnExportError where `out` holds anything that no export wrote, and sqlite3.Error where `database` is not
    a signals.db. In both cases nothing is changed.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SUMS).is_file())):
        raise NotAnExportError(f"{out} holds something that is no export. Name another folder with --out.")
    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    before = out.with_name(f".{out.name}.{os.getpid()}.before")
    try:
        written: dict[str, Written] = {}

        def put(path: str, content: bytes) -> None:
            (beside / path).parent.mkdir(parents=True, exist_ok=True)
            (beside / path).write_bytes(content)
            written[path] = Written.of(content)

        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            catalogue = describe(connection, root)
            put(DATABASE, database.read_bytes())
            for path in TABLE_FILES:
                put(path, table_file(connection, path))
        for path, content in documents(catalogue, dict(written), root).items():
            put(path, content)
        if changelog is not None:
            put(CHANGELOG, changelog.encode())
        (beside / SUMS).write_bytes(sums(written))
        if out.exists():
            out.rename(before)
        try:
            beside.rename(out)
        except OSError:
            if before.exists():
                before.rename(out)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
    return written
