"""datapackage.json: the Frictionless data package of an export. https://datapackage.org/standard/data-package/"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flywheel.catalogue import Catalogue, Column, Described

if TYPE_CHECKING:
    from flywheel.export import Written


def data_package(catalogue: Catalogue, written: Mapping[str, Written]) -> dict[str, Any]:
    """`written` maps each file's path in the export to its size and hash. CSV files carry a table schema; Parquet and
    SQLite stand beside them as plain files."""
    resources = [_table(table, written) for table in catalogue.tables]
    resources += [
        {"name": _name(path), "type": "file", "path": path, **_facts(path, written)}
        for path in written
        if path.endswith((".parquet", ".db"))
    ]
    package = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "tinker-flywheel",
        "id": f"tinker-flywheel:{catalogue.content_hash}",
        "title": catalogue.title,
        "description": catalogue.description,
        "version": catalogue.version,
        "content_hash": catalogue.content_hash,
        "keywords": list(catalogue.keywords),
        "licenses": [_licence(catalogue.licence, catalogue.licence_url)],
        "contributors": [{"title": _person(author), "roles": ["author"]} for author in catalogue.authors],
        "sources": [
            {"title": source["title"], "licence": source["licence"], "terms": source["terms"]}
            for source in catalogue.sources
        ],
        "resources": resources,
    }
    return package | ({"homepage": catalogue.url} if catalogue.url else {})


def _table(table: Described, written: Mapping[str, Written]) -> dict[str, Any]:
    path = f"csv/{table.name}.csv"
    schema: dict[str, Any] = {
        "fields": [_field(column, table) for column in table.columns],
        "primaryKey": list(table.pk),
        "missingValues": [""],
    }
    if table.references:
        schema["foreignKeys"] = [
            {"fields": [column], "reference": {"resource": other, "fields": [key]}}
            for column, (other, key) in table.references.items()
        ]
    return {
        "name": table.name,
        "type": "table",
        "title": table.title,
        "description": table.description,
        "path": path,
        "scheme": "file",
        **_facts(path, written),
        "encoding": "utf-8",
        "dialect": {"delimiter": ",", "lineTerminator": "\n", "doubleQuote": True, "header": True},
        "licenses": [_licence(table.licence, table.licence_url)],
        "sources": [{"title": table.source}],
        "schema": schema,
    }


def _field(column: Column, table: Described) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.kind, "description": column.description}
    if column.licence:
        field["licence"] = column.licence
    if column.blank:
        # Here the empty text is a value: reading it as null would lose part of the key.
        field["missingValues"] = []
    if table.pk == (column.name,):
        field["constraints"] = {"required": True, "unique": True}
    return field


FORMATS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "db": "application/vnd.sqlite3"}


def _facts(path: str, written: Mapping[str, Written]) -> dict[str, Any]:
    end = path.rsplit(".", 1)[1]
    facts = written[path]
    return {"format": end, "mediatype": FORMATS[end], "bytes": facts.size, "hash": f"sha256:{facts.sha256}"}


def _name(path: str) -> str:
    return path.replace("parquet/", "").replace(".", "-").replace("_", "-")


def _licence(title: str, url: str) -> dict[str, str]:
    return {"name": title.replace(" ", "-"), "title": title, "path": url}


def _person(author: Mapping[str, str]) -> str:
    return author.get("name") or " ".join(author[part] for part in ("given-names", "family-names") if part in author)
