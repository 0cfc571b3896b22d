"""V6: transactions of Queen's role that take long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.checks.vacuum.v5_idle_in_transaction import IDLE
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import ROLE_SETTINGS, TRANSACTIONS
from queen.doctor.system import role_settings, set_role
from queen.store.inspect import Row

_IDLE_S: Final = 10.0  # from here on V5 has it
_SINCE_17: Final = ("transaction_timeout", "60s")
_BEFORE_17: Final = ("statement_timeout", "30s")


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each long transaction, and one more when no time-out of the role would have ended it."""
    found = [(row, severity) for row in seen.rows("transactions") if (severity := _severity(seen, row)) is not None]
    for row, severity in found:
        yield _finding(seen, row, severity)
    if found and not _guarded(seen):
        yield _role_finding(seen, len(found))


def _severity(seen: Seen, row: Row) -> Severity | None:
    ours = row["role"] in (seen.facts.role, seen.facts.schema_owner)
    idle = row["state"] == IDLE and row["state_s"] >= _IDLE_S
    return seen.limits["limit"].judge(row["transaction_s"]) if ours and not idle else None


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    pid = int(row["pid"])
    shown = ("pid", "role", "application_name", "client", "state", "transaction_s", "has_written", "query")
    act = "pg_cancel_backend" if row["state"] == "active" else "pg_terminate_backend"
    name = row["application_name"] or "no name"
    return Finding(
        severity,
        f"session {pid} ({row['role']}, {name}) is in a transaction for {row['transaction_s']:.0f} s",
        {key: row[key] for key in shown},
        "Find out what it does: Queen's own transactions take milliseconds. End it if it is not a migration.",
        object=f"session {pid}",
        threshold=seen.limits["limit"],
        fix=Fix("D", (f"SELECT {act}({pid})",), note="The transaction's work is rolled back."),
    )


def _wanted(seen: Seen) -> tuple[str, str]:
    return _SINCE_17 if seen.facts.version >= 170000 else _BEFORE_17


def _guarded(seen: Seen) -> bool:
    """Whether new sessions of the servers have the time-out. statement_timeout of our own session is the doctor's, so
    what role and database say counts, and the server's file is not known."""
    name, _ = _wanted(seen)
    if seen.facts.version >= 170000 and seen.facts.settings.number(name) > 0:
        return True
    return role_settings(seen.rows("roles")).get(name, "0") not in ("0", "0ms", "0s")


def _role_finding(seen: Seen, count: int) -> Finding:
    name, value = _wanted(seen)
    role = seen.facts.servers_role
    before = role_settings(seen.rows("roles"), own=True)
    return Finding(
        "info",
        f"nothing ends such a transaction: role {role} has no {name}",
        {"role": role, name: "not set", "long_transactions": count},
        f"Set {name} to {value} on the role; migrations and dumps switch it off for themselves.",
        object=f"role {role}",
        fix=set_role(seen.facts, {name: value}, before, "It counts for sessions that begin from now on."),
    )


CHECK = Check(
    id="V6",
    group="vacuum",
    title="Long transactions of Queen's role",
    why="They hold the xmin horizon as an idle one does: rows that died since cannot be removed.",
    false_positive="A migration, or a report that somebody runs with Queen's role.",
    explain="""\
Queen's own transactions take milliseconds. A longer one of its role is a statement that is stuck, a program that uses
the role for something else, or a person. It holds the horizon (V4) and often locks.

The check lists such transactions of the role that the doctor connects with and of the schema's owner; those that idle
are left to V5. When one is found it also says whether a time-out of the role would end the next one:
transaction_timeout from PostgreSQL 17 on, statement_timeout before. A time-out in the server's own file is not seen
before 17.""",
    evaluate=evaluate,
    queries={"transactions": TRANSACTIONS, "roles": ROLE_SETTINGS},
    thresholds={"limit": Threshold(30, 300, "s")},
    needs=(needs.monitor,),
)
