"""A plan as a configuration file: inputs on top, then setting by setting with how it came about and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from queen.tune.inputs import Inputs
from queen.tune.known import GROUPS
from queen.tune.lines import Line, Plan
from queen.tune.sizes import rounded

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*|-?[0-9]+(\.[0-9]+)?[A-Za-z]*")
_WIDE: Final = 118
_REASON_AT: Final = 40

HEAD: Final = "Use: copy it to conf.d/queen.conf beside your postgresql.conf (with include_dir = 'conf.d'), then"


def conf(plan: Plan, title: Sequence[str], *, so: Collection[str] = (), after: Sequence[str] = ()) -> str:
    """The file. `title` opens it; `so` names what the server runs with already; `after` are statements for the end."""
    lines = [f"# {line}".rstrip() for line in title]
    for group in GROUPS:
        members = [line for line in plan.lines if line.group == group]
        if members:
            lines += ["", f"# {group}"]
            for member in members:
                lines += setting_lines(member, member.name in so)
    if after:
        lines += ["", *(f"# {line}".rstrip() for line in after)]
    return "\n".join(lines) + "\n"


def setting_lines(line: Line, is_so: bool = False) -> list[str]:
    """One setting: its formula above, its reason behind."""
    above = [] if line.formula in ("", "fixed") else wrapped(line.formula, "#   ")
    marks = "; so already" if is_so else "; restart" if line.needs == "restart" else ""
    text = f"{line.name} = {quoted(line.value)}"
    return [*above, f"{text:<{_REASON_AT - 1}} # {line.reason}{marks}"]


def quoted(value: str) -> str:
    """A value as a configuration file takes it."""
    return value if _PLAIN.fullmatch(value) else "'" + value.replace("'", "''") + "'"


def input_rows(inputs: Inputs) -> list[tuple[str, str, str]]:
    """(what, value, origin) of everything that the plan was computed from, for people."""
    return [(label, text, inputs.origin(field)) for field, label, text in _inputs(inputs)]


def input_lines(inputs: Inputs) -> list[str]:
    """The same as aligned lines."""
    rows = input_rows(inputs)
    wide, value = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return [f"  {row[0]:<{wide}}  {row[1]:<{value}}  {row[2]}" for row in rows]


def note_lines(plan: Plan) -> list[str]:
    """What was left alone or must be done elsewhere."""
    lines: list[str] = []
    for note in plan.notes:
        lines += wrapped(f"{note.name}: {note.text}", "  ", width=_WIDE - 2)
    return lines


def wrapped(text: str, indent: str, width: int = _WIDE) -> list[str]:
    """Lines of at most `width` characters, all but the first a little further in."""
    import textwrap

    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)


def _inputs(inputs: Inputs) -> Iterator[tuple[str, str, str]]:
    yield "pg_version", "PostgreSQL", str(inputs.pg_version)
    yield "memory_bytes", "memory", rounded(inputs.memory_bytes)
    if inputs.workers_here:
        yield "workers_here", "Queen processes in it", str(inputs.workers_here)
    yield "cpus", "processors", str(inputs.cpus)
    yield "storage", "storage", inputs.storage
    if inputs.wal_space_bytes is not None:
        yield "wal_space_bytes", "room for the log", rounded(inputs.wal_space_bytes)
    yield "target_rate", "target", f"{inputs.target_rate:g} messages/s"
    yield "payload_bytes", "payload", f"{inputs.payload_bytes} B"
    yield "groups", "consumer groups", str(inputs.groups)
    yield "instances", "Queen instances", str(inputs.instances)
    yield "pool_size", "pool of each", str(inputs.pool_size)
    if inputs.pooled_connections is not None:
        yield "pooled_connections", "through a pooler", f"{inputs.pooled_connections} connections"
    yield "other_connections", "other connections", str(inputs.other_connections)
    yield "recovery_s", "recovery may take", f"{inputs.recovery_s} s"
    if inputs.wal_rate_observed is not None:
        yield "wal_rate_observed", "log written", f"{rounded(inputs.wal_rate_observed)}/s"
    if inputs.fpi_share is not None:
        yield "fpi_share", "page images in it", f"{100 * inputs.fpi_share:.0f} % at most"
    if inputs.commit_ms is not None:
        yield "commit_ms", "a safe write of 8 kB", f"{inputs.commit_ms:.2f} ms"
    if inputs.clock_source is not None:
        yield "clock_source", "clock", inputs.clock_source
