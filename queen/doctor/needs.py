"""What a check needs to see, and what to say when it is not there: the reason, and the one line that would enable it.

Not seen is never ok: a check whose need is missing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from queen.doctor.facts import Facts
from queen.doctor.probes.pooler import Pooler
from queen.doctor.probes.server import ServerSample
from queen.doctor.system import grant_monitor, identifier, with_library
from queen.errors import CannotLook

STATS_AGE_MIN_S: Final = 60.0
"""Cumulative counters that are younger say nothing about how a server is used."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a run stands on. `stranger`: the URL of a server that answered and serves another database."""

    facts: Facts
    server: ServerSample | None
    pooler: Pooler | None
    deep: bool = False
    window_s: float = 0.0
    stranger: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a check cannot be made, and what would make it possible."""

    reason: str
    enable: str | None = None


Need = Callable[[Ground], Missing | None]


class NotSeen(CannotLook):
    """Raised by `evaluate` when what it was given does not tell whether all is well: the check is skipped, and `enable`
    is the line that would help."""

    def __init__(self, reason: str, enable: str | None = None) -> None:
        super().__init__(reason, hint=enable)
        self.reason = reason
        self.enable = enable


def schema(ground: Ground) -> Missing | None:
    """Queen's tables."""
    if ground.facts.schema_complete:
        return None
    facts = ground.facts
    if not facts.schema_usable:
        line = f"GRANT USAGE ON SCHEMA {identifier(facts.schema)} TO {identifier(facts.role)}; {_select(facts)}"
        return Missing(f"role {facts.role} may not use the schema {facts.schema}", line)
    return Missing(f"the schema {facts.schema} of Queen is not in database {facts.database}", "queen db migrate")


def tables(ground: Ground) -> Missing | None:
    """Queen's tables, and the right to read them."""
    facts = ground.facts
    if not facts.schema_complete or facts.schema_readable:
        return schema(ground)
    return Missing(f"role {facts.role} may not read the tables of Queen", _select(facts))


def _select(facts: Facts) -> str:
    return f"GRANT SELECT ON ALL TABLES IN SCHEMA {identifier(facts.schema)} TO {identifier(facts.role)};"


def monitor(ground: Ground) -> Missing | None:
    """What pg_monitor may see: other roles' sessions, settings, sizes."""
    if ground.facts.pg_monitor:
        return None
    return Missing(f"role {ground.facts.role} is no member of pg_monitor", grant_monitor(ground.facts))


def extension(name: str, enable: str | None = None) -> Need:
    """An extension of the database."""

    def need(ground: Ground) -> Missing | None:
        if name in ground.facts.extensions:
            return None
        return Missing(f"the extension {name} is not installed", enable or f"CREATE EXTENSION {name};")

    need.__doc__ = f"The extension {name}."
    return need


def statements(ground: Ground) -> Missing | None:
    """pg_stat_statements, loaded and created."""
    name = "pg_stat_statements"
    loaded = ground.facts.settings.text("shared_preload_libraries")
    if name not in loaded:
        value = with_library(loaded, name)
        line = f"ALTER SYSTEM SET shared_preload_libraries = {value};  -- then restart, and CREATE EXTENSION {name};"
        if ground.facts.pg_monitor:  # others do not see the setting
            return Missing(f"{name} is not loaded", line)
    return extension(name)(ground)


def version(least: int) -> Need:
    """A server of at least this major version."""

    def need(ground: Ground) -> Missing | None:
        if ground.facts.major >= least:
            return None
        return Missing(f"needs PostgreSQL {least}, this is {ground.facts.version_text}")

    need.__doc__ = f"PostgreSQL {least} or later."
    return need


def primary(ground: Ground) -> Missing | None:
    """A server that is not in recovery."""
    if not ground.facts.in_recovery:
        return None
    return Missing("this is a standby; the check looks at a primary", "target_session_attrs=read-write in the DSN")


def local(ground: Ground) -> Missing | None:
    """PostgreSQL on this machine."""
    if ground.facts.local:
        return None
    return Missing("PostgreSQL is not proven to run on this machine", "run queen doctor on the database's machine")


def server(ground: Ground) -> Missing | None:
    """A running Queen server."""
    if ground.server is not None:
        return None
    enable = "queen doctor --url http://HOST:6632"
    if ground.stranger is not None:
        return Missing(f"the Queen server at {ground.stranger} serves another database or schema", enable)
    return Missing("no Queen server answered", enable)


def pooler(ground: Ground) -> Missing | None:
    """The admin console of a pooler."""
    if ground.pooler is not None and ground.pooler.admin:
        return None
    enable = "queen doctor --pooler-admin postgresql://…/pgbouncer"
    if ground.pooler is not None and ground.pooler.refused:
        return Missing(f"the console of the pooler did not answer: {ground.pooler.refused}", enable)
    return Missing("no admin console of a pooler is known", enable)


def direct(ground: Ground) -> Missing | None:
    """A session of its own, without a transaction pooler between."""
    if ground.pooler is None or not ground.pooler.transaction_mode:
        return None
    return Missing("the session goes through a transaction pooler", "set database.direct_url to PostgreSQL itself")


def old_statistics(ground: Ground) -> Missing | None:
    """Cumulative counters that have counted for a minute or more."""
    age = ground.facts.stats_age_s
    if age >= STATS_AGE_MIN_S:
        return None
    return Missing(f"statistics are {age:.0f} s old; at least {STATS_AGE_MIN_S:.0f} s are needed", "run it again later")


def deep(ground: Ground) -> Missing | None:
    """The user's leave for dear questions."""
    return None if ground.deep else Missing("reads whole tables or indexes", "queen doctor --deep")


def setting_on(name: str) -> Need:
    """A switch of the server that must be on."""

    def need(ground: Ground) -> Missing | None:
        if ground.facts.settings.on(name):
            return None
        return Missing(f"{name} is off", f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();")

    need.__doc__ = f"The setting {name}, switched on."
    return need
