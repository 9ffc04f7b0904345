"""`data/collect.yml`: what is asked of each source, read into typed settings with errors that name the line.

The file has a few keys of its own (`Plan`) and under `sources` one entry per collector. The shape of an entry
is the collector's own (`Source.settings` in its file), built on `SourcePlan`."""

import importlib
import pkgutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flywheel.collect import sources as source_package
from flywheel.collect.client import Budget
from flywheel.collect.source import Source
from flywheel.faults import Fault, FaultsError


def _base_url(value: str) -> str:
    if not value.startswith(("https://", "http://")) or "@" in value or "?" in value:
        raise ValueError("is no https:// or http:// address without user and query")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(Strict):
    """What every query says of itself: evidence rule 1, and why it is asked."""

    frame: Literal["population", "neutral", "targeted"]
    corpus: Literal["public", "platform"]
    why: Annotated[str, Field(min_length=10)]


class SourcePlan(Strict):
    """What every entry under `sources` may say."""

    enabled: bool = True
    since: date | None = None  # where the first run begins, if not at the plan's `since`
    requests: Annotated[int, Field(ge=1)] = 1000  # budget of one run
    wait: Annotated[float, Field(ge=0)] = 900.0  # seconds of told waits in one run
    pace: Annotated[float, Field(ge=0)] | None = None  # seconds between requests to a host, if not the collector's
    overlap_hours: Annotated[int, Field(ge=0)] = 48
    timeout: Annotated[float, Field(gt=0)] = 30.0  # seconds between two bytes of an answer

    def budget(self) -> Budget:
        return Budget(requests=self.requests, wait=self.wait)


class Plan(Strict):
    since: date
    contact: str = ""
    sources: Mapping[str, SourcePlan]


class _Frame(Strict):
    """The plan before its entries are read by their collectors."""

    since: date
    contact: str = ""
    sources: dict[str, dict[str, Any]]


def source_names() -> list[str]:
    """The collectors there are: one file each in `flywheel/collect/sources`."""
    return sorted(module.name for module in pkgutil.iter_modules(source_package.__path__))


def source_named(name: str) -> Source[Any]:
    """The collector in `flywheel/collect/sources/NAME.py`."""
    source = importlib.import_module(f"{source_package.__name__}.{name}").SOURCE
    assert isinstance(source, Source)  # noqa: S101 - a file that is no collector is a defect, not bad input
    return source


def read_plan(path: Path) -> Plan:
    """Reads a plan. Raises FaultsError; each fault names file, line and key."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise FaultsError([Fault(str(path), None, None, f"cannot be read: {error}")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", error))
        raise FaultsError([Fault(str(path), mark.line + 1 if mark else None, None, f"not YAML: {problem}")]) from None
    try:
        frame = _Frame.model_validate(raw)
    except ValidationError as error:
        raise FaultsError(_faults(path, node, (), error)) from None
    known, entries = source_names(), dict[str, SourcePlan]()
    faults: list[Fault] = []
    for name, entry in frame.sources.items():
        if name not in known:
            message = f"no such collector (there are {', '.join(known)})"
            faults.append(Fault(str(path), _line(node, ("sources", name)), f"sources.{name}", message))
            continue
        try:
            entries[name] = source_named(name).settings.model_validate(entry)
        except ValidationError as error:
            faults += _faults(path, node, ("sources", name), error)
    if faults:
        raise FaultsError(faults)
    return Plan.model_construct(since=frame.since, contact=frame.contact, sources=entries)


def _faults(path: Path, node: yaml.Node | None, above: tuple[str | int, ...], error: ValidationError) -> list[Fault]:
    return [
        Fault.of(str(path), _line(node, (*above, *one["loc"])), cast(dict[str, Any], one), ".".join(map(str, above)))
        for one in error.errors(include_url=False)
    ]


def _line(node: yaml.Node | None, loc: tuple[str | int, ...]) -> int:
    """Line of a key, or of the nearest thing above it that is in the file."""
    line = 1
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if step not in pairs:
                return line
            key, node = pairs[step]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
