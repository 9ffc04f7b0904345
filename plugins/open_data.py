"""Hands the data out: /export/, with the files that `flywheel export` writes, and what pages tell of them.

The files are made when they are asked for, from the very database that is served, so nothing has to be exported
before the site starts and no file can be older than the pages. All 43 of them took 0.5 s to make, the largest 0.1 s;
what has to know every hash (data package, Croissant, checksums) is worked out once a process.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasette import NotFound, Response, hookimpl
from datasette.utils import add_cors_headers
from datasette.utils.asgi import AsgiFileDownload
from markdown_it import MarkdownIt
from markupsafe import Markup

from flywheel import export
from flywheel.catalogue import Catalogue, describe
from flywheel.export import Written
from flywheel.formats import markdown, schema_org
from flywheel.formats.croissant import cite_as
from flywheel.formats.datapackage import FORMATS
from flywheel.queries import DATABASE

ROOT = Path(__file__).resolve().parent.parent
TYPES = {**FORMATS, "json": "application/json", "jsonld": "application/ld+json", "md": "text/markdown"}
IN_PAGES = (export.DATABASE, "parquet/signals.parquet", "csv/signals.csv")
# Raw HTML in a document stays text.
READER = MarkdownIt("commonmark", {"html": False}).enable("table")


# A table scrolls in a box of its own that can be reached by keyboard, as on every page.
def _table_open(_: Any, tokens: Any, index: int, *__: Any) -> str:
    number = sum(token.type == "table_open" for token in tokens[: index + 1])
    return f'<div class="wide table-wrapper" tabindex="0" role="region" aria-label="Table {number}">\n<table>\n'


READER.add_render_rule("table_open", _table_open)
READER.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")

_catalogues: dict[tuple[str, str], Catalogue] = {}
_written: dict[tuple[str, str], dict[str, Written]] = {}


async def catalogue(datasette: Any) -> Catalogue:
    database = datasette.get_database(DATABASE)
    key = await _key(database)
    if key not in _catalogues:
        _catalogues[key] = await database.execute_fn(lambda connection: describe(connection, ROOT))
    return _catalogues[key]


async def written(datasette: Any) -> dict[str, Written]:
    database = datasette.get_database(DATABASE)
    key = await _key(database)
    if key not in _written:
        _written[key] = await database.execute_fn(
            lambda connection: export.hash_tables(connection, Path(database.path))
        )
    return _written[key]


async def _key(database: Any) -> tuple[str, str]:
    found = await database.execute("select value from build_info where key = 'content_hash'")
    return str(database.path), str(found.single_value())


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"/export/?$", folder), (r"/export/(?P<path>[\w./-]+)$", file)]


def folder(datasette: Any) -> Any:
    return Response.redirect(datasette.urls.path("/downloads"))


async def file(datasette: Any, request: Any) -> Any:
    path = request.url_vars["path"]
    database = datasette.get_database(DATABASE)
    headers: dict[str, str] = {}
    if datasette.cors:
        add_cors_headers(headers)
    if path == export.DATABASE:
        return AsgiFileDownload(database.path, export.DATABASE, content_type=TYPES["db"], headers=headers)
    if path in export.TABLE_FILES:
        body = await database.execute_fn(lambda connection: export.table_file(connection, path))
        headers["content-disposition"] = f'attachment; filename="{path.rpartition("/")[2]}"'
    elif path in (*export.DOCUMENTS, export.CITATION, export.SUMS):
        hashes = await written(datasette)
        made = export.documents(await catalogue(datasette), hashes, ROOT)
        hashes = hashes | {name: Written.of(content) for name, content in made.items()}
        body = made[path] if path in made else export.sums(hashes)
    else:
        raise NotFound(f"The export has no file {path}")
    kind = TYPES.get(path.rpartition(".")[2], "text/plain")
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    return Response(body, content_type=f"{kind}{charset}", headers=headers)


def script(content: dict[str, Any]) -> Markup:
    """JSON-LD for a page's head. A browser ends the element at `</script` whatever it stands in, so no `<` is left."""
    text = json.dumps(content, ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(f'<script type="application/ld+json">{text}</script>')  # noqa: S704 - no sign of markup is left


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    async def described() -> Catalogue:
        return await catalogue(datasette)

    async def json_ld(report: str = "") -> Markup:
        """The Dataset, or with a title a Report that rests on it."""
        found = await catalogue(datasette)
        return script(
            schema_org.report_in_page(found, report, IN_PAGES) if report else schema_org.in_page(found, IN_PAGES)
        )

    async def datasheet() -> Markup:
        return rendered(markdown.datasheet(await catalogue(datasette)))

    async def citation() -> str:
        return cite_as(await catalogue(datasette))

    def manual(name: str) -> Markup:
        return rendered((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))

    env.globals.update(catalogue=described, json_ld=json_ld, datasheet=datasheet, citation=citation, manual=manual)


def rendered(text: str) -> Markup:
    return Markup(READER.render(text))  # noqa: S704 - the reader escapes all HTML
