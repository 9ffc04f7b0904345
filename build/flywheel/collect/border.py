"""The border: raw items of an API or a dump become records here, one by one.

A source describes its items as a pydantic model of the fields it needs (`Item`; unknown fields are ignored)
and gives a pure function from that model to a Record, a Gone, or None for an item that is of no use. An item
that fits neither is set aside with the reason, and the page goes on."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flywheel.collect.record import Broken, Gone, Page, Record, Verdict


class Item(BaseModel):
    """Base of all border models: strict in what it names, blind to the rest."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _time(value: object) -> datetime:
    if not isinstance(value, str) or len(value) < 10:
        raise ValueError("not an ISO date and time")
    moment = datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # A time that cannot be turned into UTC (year 1, year 9999) is wrong, whatever it says.
    return _in_reach(moment.astimezone(UTC))


def _in_reach(moment: datetime) -> datetime:
    if not 1990 <= moment.year <= 2100:
        raise ValueError("a year out of reach")
    return moment


IsoTime = Annotated[datetime, BeforeValidator(_time)]
"""`2026-01-21T23:29:42.524Z`, UTC where no zone is given."""
EpochTime = Annotated[int, Field(strict=True, ge=631152000, le=4133980800)]
"""UTC seconds, 1990 to 2100; floats and strings are refused."""
Count = Annotated[int, Field(ge=-(2**53), le=2**53)]
Id = Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]

Model = TypeVar("Model", bound=Item)


@dataclass(slots=True)
class Crossing:
    """What came of the items of one page; `page()` closes it."""

    records: list[Record] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    unused: int = 0

    def take(self, outcome: "Record | Gone | None") -> None:
        if outcome is None:
            self.unused += 1
        elif isinstance(outcome, Gone):
            self.gone.append(outcome)
        else:
            self.records.append(outcome)

    def page(
        self,
        cursor: str | None = None,
        verdict: Verdict = "complete",
        reason: str = "",
        total: int | None = None,
    ) -> Page:
        return Page(self.records, self.gone, self.broken, self.unused, cursor, verdict, reason, total)


def cross(
    raws: Iterable[object],
    model: type[Model],
    convert: Callable[[Model], Record | Gone | None],
    id_field: str = "id",
    into: Crossing | None = None,
) -> Crossing:
    """Takes raw items over the border. `id_field` names the raw field to remember a broken item by."""
    crossing = Crossing() if into is None else into
    for raw in raws:
        try:
            crossing.take(convert(model.model_validate(raw)))
        except ValidationError as error:
            crossing.broken.append(broken(raw, why(error), id_field))
        except (ValueError, OverflowError) as error:
            crossing.broken.append(broken(raw, str(error), id_field))
    return crossing


def why(error: ValidationError) -> str:
    """`created_at: not an ISO date and time; id: field required`: no input values, they may be secrets."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'item'}: {e['msg']}" for e in error.errors(include_input=False)
    )[:400]


def broken(raw: object, reason: str, id_field: str = "id") -> Broken:
    native_id = raw.get(id_field) if isinstance(raw, Mapping) else None
    text = json.dumps(without_people(raw), ensure_ascii=False, sort_keys=True, default=str)
    return Broken(reason, text[:20000], str(native_id)[:200] if native_id is not None else None)


# Fields that name people, in any source we read.
_PEOPLE = frozenset(
    {
        "user",
        "author",
        "owner",
        "login",
        "username",
        "name",
        "display_name",
        "display_username",
        "by",
        "creator",
    }
    | {
        "author_fullname",
        "avatar_template",
        "avatar_url",
        "assignee",
        "assignees",
        "closed_by",
        "editor",
        "nick",
    }
    | {
        "last_editor",
        "profile_image",
        "nickname",
        "primary_group_name",
        "mentioned_users",
        "_highlightResult",
    }
)


def without_people(raw: Any) -> Any:
    """The same item without the fields that name people, at any depth a source really uses (20)."""
    return _strip(raw, 20)


def _strip(raw: Any, depth: int) -> Any:
    if depth == 0:
        return None
    if isinstance(raw, Mapping):
        return {str(k): _strip(v, depth - 1) for k, v in raw.items() if k not in _PEOPLE}
    if isinstance(raw, list):
        return [_strip(v, depth - 1) for v in raw]
    return raw
