"""A plan held against a running server: is a value allowed there, and is it so already? Pure; rows of pg_settings in.

A setting that the server does not have is left out of the plan and told; a value outside the server's own bounds is
refused, for it would keep the server from starting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from queen.errors import TuneRefused
from queen.tune.lines import Line, Note, Plan
from queen.tune.sizes import number_of

_TRUE: Final = frozenset({"on", "true", "yes", "1"})
_FIXED: Final = frozenset({"command line", "environment variable"})
_AUTO: Final = "postgresql.auto.conf"
_FALSE: Final = frozenset({"off", "false", "no", "0"})


@dataclass(frozen=True, slots=True)
class Served:
    """One setting as a server has it. `value` and bounds count `unit`, as in pg_settings."""

    name: str
    value: str
    unit: str | None
    vartype: str
    low: float | None
    high: float | None
    words: tuple[str, ...]
    context: str
    source: str
    sourcefile: str | None
    pending_restart: bool


def served(rows: Iterable[Mapping[str, Any]]) -> dict[str, Served]:
    """Rows of `tuned_settings.sql` by name."""
    return {row["name"]: _served(row) for row in rows}


def check_plan(plan: Plan, settings: Mapping[str, Served]) -> Plan:
    """The plan without what this server does not have. Raises TuneRefused for values that it would not take."""
    bad = [text for line in plan.lines if (text := problem(line, settings)) is not None]
    if bad:
        raise TuneRefused("this server would not take the plan:\n  " + "\n  ".join(bad))
    notes = [*plan.notes, *_outranked(plan, settings)]
    missing = [line.name for line in plan.lines if line.name not in settings]
    if missing:
        notes.append(Note("not on this server", f"it has no {', '.join(missing)}"))
    lines = tuple(line for line in plan.lines if line.name in settings)
    return dataclasses.replace(plan, lines=lines, notes=tuple(notes))


def _outranked(plan: Plan, settings: Mapping[str, Served]) -> list[Note]:
    """Settings that would stay as they are, whatever a file says."""
    notes = []
    for line in plan.lines:
        now = settings.get(line.name)
        if now is None or is_so(line.name, line.value, settings):
            continue
        if now.source in _FIXED:
            text = f"{shown(now)} comes from the {now.source} of the server, which no file outranks: change it there"
            notes.append(Note(line.name, text))
        elif (now.sourcefile or "").endswith(_AUTO):
            text = f"{shown(now)} was set by ALTER SYSTEM, which outranks a file: use it again, or RESET it"
            notes.append(Note(line.name, text))
    return notes


def problem(line: Line, settings: Mapping[str, Served]) -> str | None:
    """Why the server would not take a line, or None. What it does not know is no problem of the value."""
    setting = settings.get(line.name)
    if setting is None:
        return None
    if setting.context == "internal":
        return f"{line.name} cannot be set"
    if setting.vartype == "enum" and line.value.lower() not in setting.words:
        return f"{line.name} = {line.value}: it is one of {', '.join(setting.words)}"
    if setting.vartype == "bool" and line.value.lower() not in _TRUE | _FALSE:
        return f"{line.name} = {line.value}: it is on or off"
    if setting.vartype in ("integer", "real"):
        return _number_problem(line, setting)
    return None


def is_so(name: str, value: str, settings: Mapping[str, Served]) -> bool:
    """Whether the server runs with this value, however it is written."""
    setting = settings.get(name)
    if setting is None or setting.pending_restart:
        return False
    if setting.vartype == "bool":
        return (value.lower() in _TRUE) == (setting.value.lower() in _TRUE)
    if setting.vartype in ("integer", "real"):
        number, now = number_of(value, setting.unit), number_of(setting.value, None)
        # Sizes are kept in whole units: 100kB is 12 pages, or 13.
        return (
            number is not None
            and now is not None
            and abs(number - now) < (0.5 if setting.vartype == "integer" else 1e-9)
        )
    return _words(value) == _words(setting.value)


def open_part(plan: Plan, tables: Mapping[str, Mapping[str, str]], role: Mapping[str, str]) -> Plan:
    """The plan without the parameters of tables and the settings of the role that are so already."""
    return dataclasses.replace(
        plan,
        tables=tuple(
            line for line in plan.tables if not same(line.value, tables.get(line.table, {}).get(line.parameter))
        ),
        roles=tuple(line for line in plan.roles if not same(line.value, role.get(line.setting))),
    )


def same(value: str, other: str | None) -> bool:
    """Whether two texts are the same value: off and false, 10s and 10000ms, 0 and 0.0."""
    if other is None:
        return False
    for words in (_TRUE, _FALSE):
        if value.lower() in words and other.lower() in words:
            return True
    for unit in (None, "ms", "kB"):
        one, two = number_of(value, unit), number_of(other, unit)
        if one is not None and two is not None:
            return one == two
    return value.strip().lower() == other.strip().lower()


def shown(setting: Served) -> str:
    """The value as a person writes it: 16384 pages of 8kB are 128MB."""
    unit = setting.unit
    number = number_of(setting.value, None)
    if unit is None or number is None or number <= 0:
        return setting.value
    from queen.tune.sizes import seconds, size

    as_bytes = number_of(f"1{unit.lstrip('0123456789')}", "B")
    if as_bytes is not None:
        return size(number * as_bytes * int(unit.rstrip("kBMGT") or 1))
    return seconds(number) if unit == "s" else f"{setting.value}{unit}"


def _number_problem(line: Line, setting: Served) -> str | None:
    number = number_of(line.value, setting.unit)
    if number is None:
        return f"{line.name} = {line.value}: not a number in {setting.unit or 'plain figures'}"
    if setting.low is not None and number < setting.low:
        return f"{line.name} = {line.value}: the least is {setting.low:g} {setting.unit or ''}".rstrip()
    if setting.high is not None and number > setting.high:
        return f"{line.name} = {line.value}: the most is {setting.high:g} {setting.unit or ''}".rstrip()
    return None


def _served(row: Mapping[str, Any]) -> Served:
    def number(text: str | None) -> float | None:
        return None if text is None else float(text)

    return Served(
        name=row["name"],
        value=row["setting"] if row["setting"] is not None else "",
        unit=row["unit"],
        vartype=row["vartype"],
        low=number(row["min_val"]),
        high=number(row["max_val"]),
        words=tuple(row["enumvals"] or ()),
        context=row["context"],
        source=row["source"],
        sourcefile=row["sourcefile"],
        pending_restart=bool(row["pending_restart"]),
    )


def _words(value: str) -> list[str]:
    """A list in one form: without quotes and spaces."""
    return [word.strip().strip("\"'").lower() for word in value.split(",")]
