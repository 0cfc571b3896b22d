"""V5: sessions that keep a transaction open and do nothing, and a role that lets them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import ROLE_SETTINGS, TRANSACTIONS
from queen.doctor.system import role_settings, set_role
from queen.store.inspect import Row

IDLE: Final = "idle in transaction"
"""An aborted transaction is a state of its own: it has let go of its snapshot and of all locks."""
_TIMEOUT: Final = "idle_in_transaction_session_timeout"
_WANTED: Final = "10s"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each session that idles for too long, and one when nothing would end it."""
    for row in seen.rows("transactions"):
        severity = seen.limits["limit"].judge(row["state_s"]) if row["state"] == IDLE else None
        if severity is not None:
            yield _session_finding(seen, row, severity)
    timeout = seen.facts.settings.seconds(_TIMEOUT)
    most = seen.limits["limit"].crit
    if timeout == 0 or (most is not None and timeout > most):
        yield _role_finding(seen, timeout)


def _session_finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    who = f"session {row['pid']}"
    shown = ("pid", "role", "application_name", "client", "state", "state_s", "transaction_s", "has_written", "query")
    name = row["application_name"] or "no name"
    return Finding(
        severity,
        f"{who} ({row['role']}, {name}) has been {row['state']} for {row['state_s']:.0f} s",
        {key: row[key] for key in shown},
        "End it, and mend the program: it must not wait for anything else between two statements of a transaction.",
        object=who,
        threshold=seen.limits["limit"],
        fix=Fix("D", (f"SELECT pg_terminate_backend({int(row['pid'])})",), note="The session's work is rolled back."),
    )


def _role_finding(seen: Seen, timeout: float) -> Finding:
    role = seen.facts.servers_role
    length = f"{timeout:.0f} s" if timeout else "0, which is no limit"
    setting = seen.facts.settings.get(_TIMEOUT)
    before = role_settings(seen.rows("roles"), own=True)
    return Finding(
        "warn",
        f"sessions of role {role} may stay idle in a transaction: {_TIMEOUT} is {length}",
        {_TIMEOUT: length, "source": setting.source if setting else None, "role": role},
        f"Set it to {_WANTED} on the role; Queen's own sessions never idle in a transaction.",
        object=f"role {role}",
        threshold=seen.limits["limit"],
        fix=set_role(seen.facts, {_TIMEOUT: _WANTED}, before, "It counts for sessions that begin from now on."),
    )


CHECK = Check(
    id="V5",
    group="vacuum",
    title="Idle in transaction",
    why="An open transaction that does nothing is the usual holder of the xmin horizon, and of locks besides.",
    false_positive="Somebody who steps through a program with a debugger, or types in psql.",
    explain="""\
A session that is "idle in transaction" has begun a transaction and waits for its program. Meanwhile it keeps its locks,
and what it has seen or written holds the horizon: vacuum removes nothing that died since (V4).

This check lists such sessions of this database, whoever they belong to, and looks whether PostgreSQL would end them by
itself: idle_in_transaction_session_timeout as new sessions of Queen's role have it. 0 means never, and is reported; so
is a value beyond the critical threshold. A transaction that failed and was not rolled back yet, "idle in transaction
(aborted)", holds nothing and is no finding. Other roles need the setting too when their sessions are found here.""",
    evaluate=evaluate,
    queries={"transactions": TRANSACTIONS, "roles": ROLE_SETTINGS},
    thresholds={"limit": Threshold(10, 60, "s")},
    needs=(needs.monitor,),
)
