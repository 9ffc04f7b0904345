"""The vocabulary of `data/*.yml`: themes, sources, places, archives, tools, wants, figures of others, the site.

`read(data)` returns one `Vocabulary` or the faults that stopped it. Everything a row may name stands here, so that
a new source, place or theme is a line of YAML and no line of code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flywheel.faults import Fault, FaultsError, shown
from flywheel.signal import Frame

Slug = Field(pattern=r"^[a-z0-9][a-z0-9/-]*$", max_length=60)
Text = Field(min_length=1, max_length=1000)


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Phase(Entry):
    slug: str = Slug
    title: str = Text
    short: str = Text
    description: str = Text


class Theme(Entry):
    slug: str = Slug
    phase: str
    title: str = Text
    question: str = Text
    includes: str = Text
    excludes: str = Text


class Term(Entry):
    slug: str = Slug
    title: str = Text
    description: str = Text


class Source(Entry):
    slug: str = Field(pattern=r"^[a-z_]+$")
    title: str = Text
    hosts: tuple[str, ...]
    community: str
    community_is: str = Text
    text: Literal["full", "excerpt", "link"]
    licence: str = Text
    licence_url: str = Field(default="", pattern=r"^(https://\S+)?$")
    terms: str = Text

    @field_validator("community")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class Match(Entry):
    """Which rows belong to a place: every field that is given must hold."""

    archive: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    community: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    tracker: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()


class Place(Entry):
    slug: str = Slug
    title: str = Text
    short: str = Text
    frame: Frame
    description: str = Text
    match: Match


class Archive(Entry):
    slug: str = Slug
    title: str = Text
    source: str
    matched: int = Field(gt=0)
    holds: str = Text
    obtained: str = Text
    leaves_out: str = Text


class External(Entry):
    slug: str = Slug
    figure: float
    unit: str = Text
    says: str = Text
    how: str = Text
    who: str = Text
    url: str = Field(pattern=r"^https://")


class Want(Entry):
    """What a service could do; the signals behind it answer `ask`, or bear one of `themes` as their main one."""

    slug: str = Slug
    title: str = Text
    ask: str | None = None
    themes: tuple[str, ...] = ()
    could: str = Text


class Site(Entry):
    title: str = Text
    subtitle: str = Text
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    url: str = Field(pattern=r"^(https://\S+)?$")
    repository: str = Field(pattern=r"^(https://\S+)?$")
    contact: str = Field(pattern=r"^(mailto:\S+|https://\S+)?$")
    licence_data: str = Text
    licence_data_url: str = Field(pattern=r"^https://")
    licence_code: str = Text
    takedown_within: str = Text


class Name(Entry):
    name: str = Text
    spellings: tuple[str, ...] = ()


class TaxonomyFile(Entry):
    phases: tuple[Phase, ...] = Field(min_length=1)
    themes: tuple[Theme, ...] = Field(min_length=1)
    asks: tuple[Term, ...] = Field(min_length=1)
    whys: tuple[Term, ...] = Field(min_length=1)


class ToolsFile(Entry):
    tools: tuple[Name, ...]
    models: tuple[Name, ...]


_LISTS: Mapping[str, type[Entry]] = {
    "sources": Source,
    "places": Place,
    "archives": Archive,
    "external": External,
    "wants": Want,
}


def _key(spelling: str) -> str:
    return re.sub(r"[\s._-]+", "", spelling).casefold()


@dataclass(frozen=True)
class Vocabulary:
    """Every list in its order of `data/`, and the look-ups that a reading needs."""

    phases: dict[str, Phase]
    themes: dict[str, Theme]
    asks: dict[str, Term]
    whys: dict[str, Term]
    sources: dict[str, Source]
    places: dict[str, Place]
    archives: dict[str, Archive]
    external: dict[str, External]
    wants: dict[str, Want]
    tools: tuple[Name, ...]
    models: tuple[Name, ...]
    site: Site

    @cached_property
    def _tool_names(self) -> dict[str, str]:
        return {_key(s): tool.name for tool in self.tools for s in (tool.name, *tool.spellings)}

    @cached_property
    def _model_names(self) -> list[tuple[str, str]]:
        keys = [(_key(s), model.name) for model in self.models for s in (model.name, *model.spellings)]
        return sorted(keys, key=lambda pair: -len(pair[0]))

    def tool(self, spelling: str | None) -> str | None:
        """The canonical name of the first tool that a reader named; an unknown spelling passes as it is."""
        if not spelling:
            return None
        return self._tool_names.get(_key(_first(spelling)), _first(spelling))

    def model(self, spelling: str | None) -> str | None:
        """The family of a model's name; a family that is not known passes as it is."""
        if not spelling:
            return None
        key = _key(_first(spelling))
        return next((name for start, name in self._model_names if key.startswith(start)), _first(spelling))

    def phase_of(self, theme: str | None) -> str | None:
        return self.themes[theme].phase if theme else None


def _first(spelling: str) -> str:
    return re.split(r", | / |/(?=[A-Z])", spelling)[0].strip()


def read(data: Path) -> Vocabulary:
    """Reads all vocabulary files of a data folder. Raises FaultsError with every fault of every file."""
    faults: list[Fault] = []
    taxonomy = _model(data / "taxonomy.yml", TaxonomyFile, faults)
    tools = _model(data / "tools.yml", ToolsFile, faults)
    site = _model(data / "site.yml", Site, faults)
    lists = {
        name: _by_slug(_models(data / f"{name}.yml", model, faults), data / f"{name}.yml", faults)
        for name, model in _LISTS.items()
    }
    if not (taxonomy and tools and site):
        raise FaultsError(faults)
    terms = {
        name: _by_slug(getattr(taxonomy, name), data / "taxonomy.yml", faults) for name in TaxonomyFile.model_fields
    }
    vocabulary = Vocabulary(**terms, **lists, tools=tools.tools, models=tools.models, site=site)
    faults += _references(data, vocabulary)
    if faults:
        raise FaultsError(faults)
    return vocabulary


def _references(data: Path, vocabulary: Vocabulary) -> list[Fault]:
    """One file may name what another defines; what it names must be there."""
    named: list[tuple[str, str, str, Mapping[str, Entry]]] = [
        *(("taxonomy.yml", f"{t.slug}.phase", t.phase, vocabulary.phases) for t in vocabulary.themes.values()),
        *(("archives.yml", f"{a.slug}.source", a.source, vocabulary.sources) for a in vocabulary.archives.values()),
    ]
    for want in vocabulary.wants.values():
        named += [("wants.yml", f"{want.slug}.themes", x, vocabulary.themes) for x in want.themes]
        named += [("wants.yml", f"{want.slug}.ask", x, vocabulary.asks) for x in (want.ask,) if x]
    for place in vocabulary.places.values():
        named += [("places.yml", f"{place.slug}.match.archive", x, vocabulary.archives) for x in place.match.archive]
        named += [("places.yml", f"{place.slug}.match.source", x, vocabulary.sources) for x in place.match.source]
    return [
        Fault(str(data / file), None, where, f"{shown(value)} is not known")
        for file, where, value, known in named
        if value not in known
    ]


def _yaml(path: Path, faults: list[Fault]) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        faults.append(Fault(str(path), None, None, "the file is missing"))
    except UnicodeDecodeError as error:
        faults.append(Fault(str(path), None, None, f"not UTF-8: {error.reason}"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        faults.append(Fault(str(path), line, None, f"not YAML: {error.problem}"))
    except yaml.YAMLError as error:
        faults.append(Fault(str(path), None, None, f"not YAML: {error}"))
    return None


M = TypeVar("M", bound=Entry)


def _model(path: Path, model: type[M], faults: list[Fault]) -> M | None:
    before = len(faults)
    content = _yaml(path, faults)
    if len(faults) > before:
        return None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults += [Fault.of(str(path), None, problem) for problem in error.errors()]
        return None


def _models(path: Path, model: type[M], faults: list[Fault]) -> list[M]:
    before = len(faults)
    content = _yaml(path, faults)
    if len(faults) > before:
        return []
    if not isinstance(content, list):
        faults.append(Fault(str(path), None, None, "must be a list"))
        return []
    entries = []
    for number, item in enumerate(content, 1):
        name = item.get("slug", number) if isinstance(item, dict) else number
        try:
            entries.append(model.model_validate(item))
        except ValidationError as error:
            faults += [Fault.of(str(path), None, problem, under=f"entry {name}") for problem in error.errors()]
    return entries


def _by_slug(entries: Any, path: Path, faults: list[Fault]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for entry in entries:
        if entry.slug in known:
            faults.append(Fault(str(path), None, "slug", f"{entry.slug!r} stands there twice"))
        known[entry.slug] = entry
    return known
