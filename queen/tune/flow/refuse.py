"""What keeps a plan from being applied: a standby, a backup, a restart that is due, a source that outranks us, rights.

Looks only; every refusal says what is in the way and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from queen.errors import TuneRefused
from queen.tune.flow.journal import Change, Shelf
from queen.tune.flow.live import FIXED, Live
from queen.tune.flow.places import Way

TAKES_RESTART: Final = "setting could not be applied"
"""PostgreSQL's words for a good value that needs a restart, and for a bad value of any setting."""

PRIVATE: Final = "queen-embedded"
"""The name of a private cluster, whose role `queen` is its only user."""


def refuse(live: Live, changes: Sequence[Change], shelf: Shelf, protocol_pid: int) -> None:
    """Raises TuneRefused where a change would be unsafe now. `protocol_pid`: the backend as the protocol names it."""
    waiting = shelf.waiting()
    if waiting is not None:
        raise TuneRefused(
            "an earlier apply still waits for its confirmation", hint="queen tune-pg --confirm, or --rollback"
        )
    if live.facts["backend_pid"] != protocol_pid:
        raise TuneRefused(
            "this session goes through a pooler, where no lock holds",
            hint="name the way around it: database.direct_url",
        )
    if live.facts["in_recovery"]:
        raise TuneRefused("this server is a standby", hint="apply on the primary; a standby has settings of its own")
    if live.facts["backup"]:
        raise TuneRefused("a backup of this server is being taken", hint="wait until it has ended")
    server = [change for change in changes if change.wanted.kind == "server"]
    if server:
        _refuse_server(live, server)
    _refuse_objects(live, changes)


def _refuse_server(live: Live, changes: Sequence[Change]) -> None:
    if live.pending:
        raise TuneRefused(
            f"the server waits for a restart already, for {', '.join(live.pending)}",
            hint="restart it first, or take that change back",
        )
    marked = {name for name, setting in live.settings.items() if setting.pending_restart}
    broken = [line for line in live.files or () if line.error and line.name not in marked]
    if broken:
        raise TuneRefused(f"{broken[0].file}, line {broken[0].number}: {broken[0].error}", hint="mend that first")
    for change in changes:
        if change.source in FIXED:
            raise TuneRefused(
                f"{change.wanted.name} is set by the {change.source}, which no file and no ALTER SYSTEM changes",
                hint="take it from there, and apply again",
            )


def _refuse_objects(live: Live, changes: Sequence[Change]) -> None:
    tables = {change.wanted.object for change in changes if change.wanted.kind == "table"}
    if gone := sorted(tables - live.tables.keys()):
        raise TuneRefused(
            f"this database has no table {', '.join(gone)}", hint="queen db migrate makes them; or --only server,role"
        )
    if not_ours := tables & live.not_owned:
        raise TuneRefused(
            f"this role does not own {', '.join(sorted(not_ours))}", hint="apply as their owner, or --only server,role"
        )
    of_role = [change for change in changes if change.wanted.kind == "role"]
    if not of_role:
        return
    if live.role_row.get("bootstrap") and live.facts["cluster_name"] != PRIVATE:
        raise TuneRefused(
            f"{live.role} is the superuser of the whole server; time-outs for it would hit every administrator",
            hint="name the role that Queen connects with: --role NAME, or --only server,table",
        )
    if not live.role_row.get("may_alter"):
        raise TuneRefused(f"role {live.role} is not there, or not this role's to change", hint="--only server,table")
    shadowed = [change.wanted.name for change in of_role if change.source == "role in this database"]
    if shadowed:
        raise TuneRefused(
            f"{', '.join(shadowed)}: set for role {live.role} in this database, which wins over the role's own",
            hint=f"ALTER ROLE {live.role} IN DATABASE {live.facts['database']} RESET {shadowed[0]}",
        )


def refuse_overridden(live: Live, changes: Sequence[Change], way: Way) -> None:
    """Raises TuneRefused for a line of ALTER SYSTEM: it is read after every other file."""
    for change in changes:
        line = live.in_files(change.wanted.name)
        if line is not None and line.automatic:
            raise TuneRefused(
                f"{change.wanted.name} in {way.file} would be overridden: {line.file}, line {line.number}, sets it",
                hint=f"ALTER SYSTEM RESET {change.wanted.name}, or apply with --way alter-system",
            )
