"""V3: tables that change all the time and leave their vacuum to settings made for others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.checks.vacuum.v1_dead_rows import trigger_of
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.system import set_system
from queen.doctor.tables import VACUUM_AT, is_off, options, set_options, wanted_for_vacuum
from queen.store.inspect import Row

_SWITCHES: Final = ("autovacuum", "track_counts")
_DELAY: Final = "autovacuum_vacuum_cost_delay"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table whose own settings are missing, too lax or off, and one for a server without."""
    off = [name for name in _SWITCHES if not seen.facts.settings.on(name)]
    if off:
        yield _server_finding(seen, off)
    for row in seen.rows("tables"):
        if row["relname"] not in VACUUM_AT:
            continue
        own = options(row["reloptions"])
        if is_off(own.get("autovacuum_enabled", "on")):
            yield _switched_off(row)
        elif wrong := _wrong(seen, row, own):
            yield _finding(seen, row, own, wrong)


def _wrong(seen: Seen, row: Row, own: Mapping[str, str]) -> dict[str, str]:
    """The options to set, with their values: those that have no value of their own, or one that is too lax."""
    wanted = wanted_for_vacuum(row["relname"])
    missing = {name: value for name, value in wanted.items() if name not in own and not _needless(seen, name)}
    if not missing and seen.limits["limit"].judge(trigger_of(seen.facts.settings, row)):
        return {name: value for name, value in wanted.items() if name != _DELAY}
    return missing


def _needless(seen: Seen, name: str) -> bool:
    """A server that never pauses needs no table that does not."""
    if name != _DELAY:
        return False
    settings = seen.facts.settings
    delay = settings.number(_DELAY, 2)
    return delay == 0 or (delay < 0 and settings.number("vacuum_cost_delay", 0) == 0)


def _finding(seen: Seen, row: Row, own: Mapping[str, str], wrong: Mapping[str, str]) -> Finding:
    trigger = trigger_of(seen.facts.settings, row)
    lax = [name for name in wrong if name in own]
    fault = "settings of its own that are too lax" if lax else f"no {', '.join(wrong)} of its own"
    return Finding(
        "warn",
        f"{row['name']} has {fault}; autovacuum comes at {trigger:.0f} dead rows",
        {
            "missing": [name for name in wrong if name not in own],
            "own": {name: value for name, value in own.items() if name.startswith("autovacuum")},
            "trigger_rows": round(trigger),
            "rows": max(row["n_live_tup"], 0),
            "dead_rows": row["n_dead_tup"],
        },
        f"Let a count of dead rows ({VACUUM_AT[row['relname']]}) call its vacuum, and let that vacuum not pause.",
        object=row["name"],
        threshold=seen.limits["limit"] if lax else None,
        fix=set_options(row["name"], row["reloptions"], wrong),
    )


def _switched_off(row: Row) -> Finding:
    change = f"ALTER TABLE {row['name']} RESET (autovacuum_enabled)"
    back = f"ALTER TABLE {row['name']} SET (autovacuum_enabled = off)"
    return Finding(
        "crit",
        f"{row['name']}: autovacuum is switched off for this table, with {row['n_dead_tup']} dead rows now",
        {"autovacuum_enabled": "off", "dead_rows": row["n_dead_tup"], "vacuumed_s_ago": row["vacuumed_s_ago"]},
        "Take the switch off the table.",
        object=row["name"],
        fix=Fix("A", (change,), (back,)),
    )


def _server_finding(seen: Seen, off: list[str]) -> Finding:
    names = " and ".join(off)
    return Finding(
        "crit",
        f"{names} {'is' if len(off) == 1 else 'are'} off on this server: no table is ever vacuumed",
        {name: seen.facts.settings.text(name) for name in _SWITCHES},
        "Turn it on. Nothing that Queen stores can do without.",
        object=names,
        fix=set_system(seen.facts, dict.fromkeys(off, "on")),
    )


CHECK = Check(
    id="V3",
    group="vacuum",
    title="Changing tables without vacuum settings of their own",
    why="By default autovacuum comes when a fifth of a table is dead, which is far too late for rows that change "
    "with each message.",
    false_positive="A server whose own settings are made for queues; then the options of the table do no harm either.",
    explain="""\
Some of Queen's tables have few rows that change with each push, pop or ack, or rows that come and go. They are to be
vacuumed by a count of dead rows: autovacuum_vacuum_scale_factor 0, autovacuum_vacuum_threshold 1,000 to 5,000,
autovacuum_vacuum_cost_delay 0. Queen's schema sets that.

This check finds tables where somebody took it away, where the values are so lax that vacuum comes late ("limit" is the
number of dead rows at which it comes), where autovacuum_enabled is off, and servers on which autovacuum or track_counts
is off altogether.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    thresholds={"limit": Threshold(20_000, None, "dead rows before autovacuum comes")},
    needs=(needs.schema, needs.primary),
)
