"""W8: settings that let a crash lose or destroy what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.shared import ROLE_SETTINGS
from queen.doctor.system import role_settings, set_role, set_system

_SWITCHES: Final = {
    "fsync": "nothing is written through to the disk: a crash of the machine can destroy the whole database",
    "full_page_writes": "a page that was half written in a crash cannot be mended",
}


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each switch that is off, and for commits that do not wait."""
    for name, meaning in _SWITCHES.items():
        if name in seen.facts.settings and not seen.facts.settings.on(name):
            yield Finding(
                "crit",
                f"{name} is off: {meaning}",
                {"setting": name, "value": "off", "source": seen.facts.settings[name].source},
                f"Turn {name} on. The rate that it saved was never safe.",
                object=name,
                fix=_on_command_line(seen, name) or set_system(seen.facts, {name: "on"}),
            )
    if seen.facts.settings.text("synchronous_commit") == "off":
        yield _lazy_commits(seen)


def _lazy_commits(seen: Seen) -> Finding:
    window_ms = 3 * seen.facts.settings.seconds("wal_writer_delay", 0.2) * 1000
    return Finding(
        "warn",
        f"synchronous_commit is off: a crash loses what was acknowledged in the last {window_ms:.0f} ms",
        {
            "setting": "synchronous_commit",
            "value": "off",
            "source": seen.facts.settings["synchronous_commit"].source,
            "loss_window_ms": round(window_ms),
        },
        "Turn it on, and batch more instead: in batches of 100 the wait for the disk is a fifth of the time.",
        object="synchronous_commit",
        fix=set_role(
            seen.facts,
            {"synchronous_commit": "on"},
            role_settings(seen.rows("role"), own=True),
            "For our role in this database, wherever it was turned off; sessions that are open keep the old value.",
        ),
    )


def _on_command_line(seen: Seen, name: str) -> Fix | None:
    """No file or statement outranks the command line of the server."""
    if seen.facts.settings[name].source != "command line":
        return None
    return Fix("E", (f"start PostgreSQL without -c {name}=off",))


CHECK = Check(
    id="W8",
    group="wal",
    title="Durability is switched off",
    why="A push that was acknowledged must survive a crash; with these settings it may not.",
    false_positive="full_page_writes off on a file system that never tears a page, such as ZFS; synchronous_commit off "
    "as a choice, for messages that may be lost.",
    explain="""\
fsync makes commits reach the disk, full_page_writes makes half-written pages mendable. Both must be on, or a crash of
the machine can destroy the database as a whole.

synchronous_commit = off is milder: nothing is destroyed, but what was acknowledged within three times wal_writer_delay
before a crash is lost. The value looked at is the one that sessions of our role get, wherever it is set; the fix
turns it on for our role in this database. "local" and "remote_write" are not held against a server: they wait for its
own disk.""",
    evaluate=evaluate,
    queries={"role": ROLE_SETTINGS},
)
