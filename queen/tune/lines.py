"""The pieces of a plan: one setting of the server, of a table, of the role, and what is done outside. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from queen.tune.inputs import Inputs

Needs = Literal["reload", "restart"]


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of the server."""

    name: str
    value: str
    """As written in a file, without quotes: 512MB, 0.9, on, lz4."""
    group: str
    """The heading it stands under."""
    reason: str
    """Why, in one line."""
    formula: str
    """How the value came about, with the numbers put in."""
    needs: Needs
    """What makes the server take it."""


@dataclass(frozen=True, slots=True)
class TableLine:
    """One storage parameter of one of Queen's tables. `messages` means all its children, the present and the next."""

    table: str
    """Without its schema."""
    parameter: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoleLine:
    """One setting of the role that Queen connects with; new sessions have it."""

    setting: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is decided outside PostgreSQL, or was left as it is, and why."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is proposed for one machine and load."""

    inputs: Inputs
    lines: tuple[Line, ...]
    tables: tuple[TableLine, ...]
    roles: tuple[RoleLine, ...]
    notes: tuple[Note, ...]

    def value(self, name: str) -> str | None:
        """The value of a setting of the server, or None if the plan leaves it alone."""
        return next((line.value for line in self.lines if line.name == name), None)
