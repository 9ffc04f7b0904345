"""What is wrong with an input, and where: one clear sentence a fault, all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one file. `line` counts from 1; `field` is null where the whole line is at fault."""

    file: str
    line: int | None
    field: str | None
    message: str

    def __str__(self) -> str:
        where = self.file + (f", line {self.line}" if self.line else "")
        return f"{where}: {self.field + ': ' if self.field else ''}{self.message}"

    @classmethod
    def of(cls, file: str, line: int | None, problem: Mapping[str, Any], under: str = "") -> Fault:
        """From one entry of pydantic's `ValidationError.errors()`. What was given is shown, cut at 60 characters."""
        name = ".".join(str(part) for part in problem["loc"])
        message = str(problem["msg"]).removeprefix("Value error, ")
        given = problem.get("input")
        if problem["type"] == "missing":
            message = "is missing"
        elif problem["type"] == "extra_forbidden":
            message = "is not a field here"
        elif not isinstance(given, dict | list):
            message += f", not {shown(given)}"
        return cls(file, line, ": ".join(part for part in (under, name) if part) or None, message)


class FaultsError(Exception):
    """An input that cannot be used. Holds every fault that was found, not only the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(map(str, self.faults)))


def shown(value: object, width: int = 60) -> str:
    """A value as a message may show it: quoted, in ASCII, cut; hostile text stays inert in a terminal."""
    text = ascii(value)
    return text if len(text) <= width else f"{text[:width]}… ({len(text)} characters)"
