"""Fixes that change settings: of the whole server, of one role, of one database. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from queen.doctor.facts import Facts, Setting
from queen.doctor.finding import Fix
from queen.store.inspect import Row

RELOAD: Final = "SELECT pg_reload_conf()"
_AUTO: Final = "postgresql.auto.conf"


def set_system(facts: Facts, wanted: Mapping[str, str], note: str = "") -> Fix:
    """A fix by ALTER SYSTEM, of class C when one of the settings needs a restart, else of class B.

    What an earlier ALTER SYSTEM had set comes back by undo; else the line is taken away, so that the server's own file
    counts again. Values are as pg_settings keeps them, in the setting's own unit, or with a unit.
    """
    settings = facts.settings
    restart = any(name in settings and settings[name].context == "postmaster" for name in wanted)
    apply = tuple(f"ALTER SYSTEM SET {name} = {literal(value)}" for name, value in wanted.items())
    undo = tuple(_back(name, settings.get(name)) for name in wanted)
    return Fix("C" if restart else "B", (*apply, RELOAD), (*undo, RELOAD), note)


def set_role(facts: Facts, wanted: Mapping[str, str], before: Mapping[str, str], note: str = "") -> Fix:
    """A fix of class A: what new sessions of Queen's servers in this database begin with. `before`: what was set so
    already, from pg_db_role_setting."""
    target = f"ALTER ROLE {identifier(facts.servers_role)} IN DATABASE {identifier(facts.database)}"
    undo = tuple(
        f"{target} SET {name} = {literal(before[name])}" if name in before else f"{target} RESET {name}"
        for name in wanted
    )
    return Fix("A", tuple(f"{target} SET {name} = {literal(value)}" for name, value in wanted.items()), undo, note)


def role_settings(rows: Sequence[Row], *, own: bool = False) -> dict[str, str]:
    """The rows of shared.ROLE_SETTINGS as names and values, the more particular ones last, as PostgreSQL takes them.
    `own`: only those of the servers' role in this database, which `set_role` would change."""
    found: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row["of_role"], row["in_database"])):
        if not own or (row["of_role"] and row["in_database"]):
            found.update(entry.split("=", 1) for entry in row["setconfig"] or ())
    return found


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text, quoted. None of our texts holds a backslash, so standard_conforming_strings does not matter."""
    return "'" + value.replace("'", "''") + "'"


def grant_monitor(facts: Facts) -> str:
    """The line that lets our role see what pg_monitor may see."""
    return f"GRANT pg_monitor TO {identifier(facts.role)};"


def with_library(loaded: str, name: str) -> str:
    """A value for shared_preload_libraries: those that are loaded, and one more."""
    return ", ".join(literal(one.strip().strip('"')) for one in (*filter(None, loaded.split(",")), name))


def _back(name: str, now: Setting | None) -> str:
    # An override by session or command line hides what the file says: taking our line away is all that is known then.
    if now is not None and (now.sourcefile or "").endswith(_AUTO):
        return f"ALTER SYSTEM SET {name} = {literal(_with_unit(now))}"
    return f"ALTER SYSTEM RESET {name}"


def _with_unit(setting: Setting) -> str:
    # Units such as 8kB are pages: a bare number is in them anyway.
    plain = setting.unit is None or setting.unit[0].isdigit() or setting.value.startswith("-")
    return setting.value if plain else f"{setting.value}{setting.unit}"
