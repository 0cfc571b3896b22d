"""M8: lines of PostgreSQL's files that are wrong, or without effect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.facts import Setting
from queen.doctor.finding import Finding
from queen.doctor.needs import Ground, Missing
from queen.store.inspect import Row

_NOT_NOW: Final = "could not be applied"  # PostgreSQL's words for a line that waits for a restart: M6's
_VALUE: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_FACTORS: Final = {
    "B": 1, "kB": 1 << 10, "8kB": 1 << 13, "MB": 1 << 20, "16MB": 16 << 20, "GB": 1 << 30, "TB": 1 << 40,
    "us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000,
}  # fmt: skip

_LINES = """
SELECT sourcefile, sourceline, name, setting, applied, error FROM pg_file_settings ORDER BY seqno
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Lines with an error; lines that the command line outranks; lines of queen.conf that a later line replaces."""
    rows = seen.rows("lines")
    for row in rows:
        if row["error"] and not _waits(seen, row):
            yield _error(row)
    last = {row["name"]: row for row in rows if row["applied"] or (row["error"] and _waits(seen, row))}
    for row in last.values():
        setting = seen.facts.settings.get(row["name"])
        if setting is not None and setting.source == "command line" and not same(setting, row["setting"]):
            yield _outranked(row, setting)
    for row in rows:
        later = last.get(row["name"])
        ours = (row["sourcefile"] or "").endswith("/queen.conf") and not row["applied"] and not row["error"]
        if ours and later is not None and later["setting"] != row["setting"]:
            yield _replaced(row, later)


def _waits(seen: Seen, row: Row) -> bool:
    setting = seen.facts.settings.get(row["name"] or "")
    return setting is not None and setting.context == "postmaster" and _NOT_NOW in row["error"]


def _error(row: Row) -> Finding:
    return Finding(
        "warn",
        f"{_place(row)}: {row['name'] or 'the line'}: {row['error']}",
        {"file": row["sourcefile"], "line": row["sourceline"], "value": row["setting"], "error": row["error"]},
        "Mend the line. Until then a reload leaves it out, or all of the file, and PostgreSQL would not start again.",
        object=row["name"],
    )


def _outranked(row: Row, setting: Setting) -> Finding:
    return Finding(
        "warn",
        f"{_place(row)}: {row['name']} = {row['setting']} has no effect: the command line says {setting.value}",
        {"file": row["sourcefile"], "line": row["sourceline"], "value": row["setting"], "in_force": setting.value},
        "Take the line away, or the option from the command that starts PostgreSQL.",
        object=row["name"],
    )


def _replaced(row: Row, later: Row) -> Finding:
    return Finding(
        "info",
        f"{_place(row)}: {row['name']} = {row['setting']} is replaced by {later['setting']} in {_place(later)}",
        {
            "file": row["sourcefile"],
            "line": row["sourceline"],
            "value": row["setting"],
            "in_force": later["setting"],
            "in_force_from": _place(later),
        },
        "Keep one of the two lines.",
        object=row["name"],
    )


def _place(row: Row) -> str:
    return f"{(row['sourcefile'] or '').rsplit('/', 1)[-1]}:{row['sourceline']}"


def same(setting: Setting, text: str) -> bool:
    """Whether a line says what is in force: "1min" is 60 of seconds, and "off" is "false"."""
    match = _VALUE.fullmatch(text.strip())
    if match is None or setting.vartype not in ("integer", "real"):
        words = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}
        said = text.strip().lower() if setting.vartype in ("bool", "enum") else text
        return (words.get(said, said) if setting.vartype == "bool" else said) == setting.value
    unit = _FACTORS.get(setting.unit or "", 1)
    factor = _FACTORS.get(match[2], unit) if match[2] else unit
    return abs(float(match[1]) * factor - float(setting.value) * unit) < max(unit, 1)


def _superuser(ground: Ground) -> Missing | None:
    """A superuser: nobody else may read the lines of the files."""
    if ground.facts.superuser:
        return None
    return Missing("only a superuser may read pg_file_settings", "run it once with a superuser's --database-url")


CHECK = Check(
    id="M8",
    group="memory",
    title="Lines of the configuration without effect",
    why="A value that is not in force cannot help: the plan of queen tune-pg, or a repair, is then only on paper.",
    false_positive="A line that was replaced on purpose, by ALTER SYSTEM for one.",
    explain="""\
PostgreSQL tells every line of its files with what became of it. Three kinds are shown: lines with an error, for which
PostgreSQL would not start again; lines that an option on the server's command line outranks; and, for information,
lines of queen.conf that a later line replaces. Lines that wait for a restart are M6's.

Values of one role or one database are not looked at: they are set on purpose.""",
    evaluate=evaluate,
    queries={"lines": Query(_LINES)},
    needs=(_superuser,),
)
