"""S8: connected to a standby, or to a database that takes no writes."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.system import identifier
from queen.errors import CannotLook
from queen.store.inspect import Row

# Our own session is read-only by itself, so what others get is read where it is set. Later rows win over earlier ones.
_SET = """
SELECT CASE WHEN s.setdatabase = 0 THEN 'role' WHEN s.setrole = 0 THEN 'database' ELSE 'role in database' END AS place,
       split_part(c.option, '=', 2) AS value
  FROM pg_db_role_setting s
 CROSS JOIN LATERAL unnest(s.setconfig) c (option)
 WHERE c.option LIKE 'default_transaction_read_only=%'
   AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND s.setrole IN (0, coalesce((SELECT nspowner FROM pg_namespace WHERE nspname = {schema_name}),
                                 (SELECT oid FROM pg_roles WHERE rolname = current_user)))
 ORDER BY s.setrole <> 0 AND s.setdatabase <> 0, s.setrole <> 0
"""
_FILES = """
SELECT setting AS value, format('%s:%s', sourcefile, sourceline) AS place FROM pg_file_settings
 WHERE name = 'default_transaction_read_only' ORDER BY seqno
"""
_MAY = """
SELECT has_function_privilege('pg_show_all_file_settings()', 'execute')
       AND has_table_privilege('pg_file_settings', 'select') AS files
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding when a server could not write here."""
    if seen.facts.in_recovery:
        yield _standby(seen)
        return
    role = identifier(seen.facts.role)
    row = _last(seen.rows("set")) or _last(seen.rows("files"))
    if row is not None and row["value"].lower() in ("on", "true", "yes", "1"):
        yield _read_only(seen, row)
    elif row is None and not seen.row("may")["files"]:
        raise CannotLook(
            "no standby, but the configuration files of the server cannot be read by this role",
            hint=f"GRANT SELECT ON pg_file_settings TO {role}; "
            f"GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {role};",
        )


def _last(rows: list[Row]) -> Row | None:
    return rows[-1] if rows else None


def _standby(seen: Seen) -> Finding:
    return Finding(
        "crit",
        "this is a standby: it takes no pushes, pops or acks",
        {"in_recovery": True, "host": seen.facts.host},
        "Name all hosts in the DSN and let it choose the primary: host=A,B target_session_attrs=read-write",
        object=seen.facts.host or None,
    )


def _read_only(seen: Seen, row: Row) -> Finding:
    database, role = identifier(seen.facts.database), identifier(seen.facts.servers_role)
    target = {
        "role": f"ROLE {role}",
        "database": f"DATABASE {database}",
        "role in database": f"ROLE {role} IN DATABASE {database}",
    }.get(row["place"])
    name = "default_transaction_read_only"
    return Finding(
        "crit",
        f"{name} is on ({row['place']}): transactions take no writes unless they ask for it",
        {"value": row["value"], "place": row["place"]},
        "Turn it off where it was set.",
        object=row["place"],
        fix=_fix(name, target, row["value"]),
    )


def _fix(name: str, target: str | None, value: str) -> Fix:
    """The session that repairs is under the setting too, so it turns that off for itself first."""
    first = f"SET {name} = off"
    if target is not None:
        return Fix("A", (first, f"ALTER {target} RESET {name}"), (f"ALTER {target} SET {name} = {value}",))
    reload = "SELECT pg_reload_conf()"
    return Fix("B", (first, f"ALTER SYSTEM SET {name} = off", reload), (f"ALTER SYSTEM RESET {name}", reload))


CHECK = Check(
    id="S8",
    group="statements",
    title="A standby, or a database that takes no writes",
    why="queen serve cannot start on it, and one that runs refuses everything with 503.",
    false_positive="The doctor was pointed at a standby on purpose.",
    explain="""\
A standby refuses every write. So does a session whose default_transaction_read_only is on. The doctor's own session is
read-only by its own wish, so this check reads the setting where it is made: for the role, for the database, and in the
configuration files. The files can be read by superusers, or by whom they let; without that, and with nothing set
elsewhere, the check is skipped.""",
    evaluate=evaluate,
    queries={"set": Query(_SET), "files": Query(_FILES, optional=True), "may": Query(_MAY)},
)
