"""Canned queries: one SQL file a query, its title, description and parameters in a header comment.

A file ``canned_queries/NAME.sql`` is served as query ``NAME``. Its leading ``--`` lines are the header; a
blank line or the first line of SQL ends it, and comments after that are ordinary SQL comments::

    -- title: Of 100 signals, by place
    -- description: Train, evaluate and iterate as shares of all signals with a known theme.
    --   A line that starts with three blanks goes on with the line before.
    -- param place = every place: slug of one place, as in the table places
    -- param q =: words to look for
    -- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

    select ... where :place = '' or place = :place

``title`` and ``description`` are required, and ``param NAME = DEFAULT: MEANING`` for each ``:NAME``.
DEFAULT says in words what holds when the parameter is left out (empty = nothing is filtered). The SQL itself
applies it, because Datasette hands over an empty string for a parameter that was left out. ``fragment`` opens
the chart of datasette-vega ready-made.

Reading is pure: text in, frozen records out. Everything wrong is a `QueryError` that names file and line.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DATABASE = "signals"

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_FIELD = re.compile(r"--\s?(?P<key>title|description|fragment):\s*(?P<value>.*)\Z")
_PARAMETER = re.compile(r"--\s?param\s+(?P<name>\w+)\s*=\s*(?P<default>[^:]*?)\s*:\s*(?P<meaning>.*)\Z")
_CONTINUED = re.compile(r"--\s{3,}(?P<value>\S.*)\Z")
# What can hold a colon without being a parameter: strings, quoted names, comments.
_OPAQUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_REFERENCE = re.compile(r"(?<![\w:]):([A-Za-z_]\w*)")
# Datasette takes `sql` for itself, query_url takes `format`.
_RESERVED = {"sql", "format"}


class UnknownParameterError(ValueError):
    """A canned query was given a parameter that it does not have."""


class QueryError(ValueError):
    """A canned query that cannot be served; the message starts with ``file:line:``."""


@dataclass(frozen=True)
class Parameter:
    """One ``:name`` of a query: what holds when it is left out, and what it means, both in words."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Query:
    """One canned query; ``sql`` is the file without its header."""

    name: str
    title: str
    description: str
    sql: str
    parameters: tuple[Parameter, ...] = ()
    fragment: str = ""


def parse(text: str, path: Path) -> Query:
    """Reads one file's text; ``path`` gives the query's name and the place of an error."""
    if not _NAME.match(path.stem):
        raise QueryError(f"{path}:1: name must be lower-case letters, digits and underscores")
    fields: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    seen_at: dict[str, int] = {}
    last = ""
    lines = text.split("\n")
    end = len(lines)
    for number, line in enumerate(lines, start=1):
        line = line.rstrip()
        if not line.startswith("--"):
            if line or fields or parameters:
                end = number - 1
                break
            continue
        if continued := _CONTINUED.match(line):
            if last not in fields:
                raise QueryError(f"{path}:{number}: only title and description can be continued")
            fields[last] += " " + continued["value"]
            continue
        if field := _FIELD.match(line):
            last, value = field["key"], field["value"]
            if last in fields:
                raise QueryError(f"{path}:{number}: second {last}")
            fields[last] = value
        elif declared := _PARAMETER.match(line):
            last = ""
            name = declared["name"]
            if name in parameters:
                raise QueryError(f"{path}:{number}: parameter {name} is declared twice")
            if name in _RESERVED or name.startswith("_"):
                raise QueryError(f"{path}:{number}: parameter name {name} is reserved")
            if not declared["meaning"]:
                raise QueryError(f"{path}:{number}: parameter {name} says nothing of what it means")
            parameters[name] = Parameter(name, declared["default"], declared["meaning"])
            seen_at[name] = number
        else:
            raise QueryError(f"{path}:{number}: not a header line (end the header with a blank line): {line}")
    for key in ("title", "description"):
        if not fields.get(key):
            raise QueryError(f"{path}:1: no {key}")
    sql = "\n".join(lines[end:]).strip()
    if not sql:
        raise QueryError(f"{path}:{end}: no SQL after the header")
    _check_parameters(lines, end, parameters, seen_at, path)
    return Query(
        path.stem,
        fields["title"],
        fields["description"],
        sql,
        tuple(parameters.values()),
        fields.get("fragment", "").lstrip("#"),
    )


def _check_parameters(
    lines: list[str], end: int, declared: dict[str, Parameter], declared_at: dict[str, int], path: Path
) -> None:
    # Opaque spans keep their newlines, so that a reference keeps its line.
    code = _OPAQUE.sub(lambda match: "\n" * match[0].count("\n") or " ", "\n".join(lines[end:]))
    used = set()
    for number, line in enumerate(code.split("\n"), start=end + 1):
        for name in _REFERENCE.findall(line):
            if name not in declared:
                raise QueryError(f"{path}:{number}: :{name} is not declared in the header")
            used.add(name)
    for name, number in declared_at.items():
        if name not in used:
            raise QueryError(f"{path}:{number}: parameter {name} is not used")


def collect(queries: Iterable[tuple[Path, Query]]) -> dict[str, Query]:
    """Queries by name, in the order given; two of one name are an error."""
    by_name: dict[str, Query] = {}
    found_at: dict[str, Path] = {}
    for path, query in queries:
        if query.name in by_name:
            raise QueryError(f"{path}:1: query {query.name} is also in {found_at[query.name]}")
        by_name[query.name] = query
        found_at[query.name] = path
    return by_name


def load(folder: Path) -> dict[str, Query]:
    """Every ``*.sql`` under ``folder``, subfolders too, by name in alphabetical order of the paths."""
    if not folder.is_dir():
        raise QueryError(f"{folder}:1: no such folder")
    paths = sorted(folder.rglob("*.sql"))
    return collect((path, parse(path.read_text(encoding="utf-8"), path)) for path in paths)
