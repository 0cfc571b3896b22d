"""The way back of one statement, from what is in force right before it runs.

What ALTER SYSTEM, ALTER TABLE … SET and ALTER ROLE … SET replace is read from the server: nothing else knows it for
certain. Of other statements the way back is the one that their check gave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from queen.doctor.tables import options
from queen.errors import CannotChange
from queen.store.operate import Operator

_SYSTEM: Final = re.compile(r"ALTER\s+SYSTEM\s+(?:SET|RESET)\s+([\w.]+)\b.*", re.IGNORECASE | re.DOTALL)
_PART: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME: Final = f"({_PART})"
_TABLE: Final = re.compile(
    rf"ALTER\s+TABLE\s+({_PART}(?:\.{_PART})?)\s+(SET|RESET)\s*\((.*)\)", re.IGNORECASE | re.DOTALL
)
_ROLE: Final = re.compile(
    rf"ALTER\s+(?:ROLE|USER)\s+{_NAME}(?:\s+IN\s+DATABASE\s+{_NAME})?\s+(?:SET|RESET)\s+([\w.]+)\b.*",
    re.IGNORECASE | re.DOTALL,
)
# What leaves nothing behind that could be taken back.
_NEUTRAL: Final = re.compile(r"(?:VACUUM|ANALYZE|REINDEX|SELECT\s+pg_reload_conf)\b.*", re.IGNORECASE | re.DOTALL)
# Elements of these lists are quoted one by one in postgresql.auto.conf and in ALTER SYSTEM.
_LISTS: Final = frozenset(
    {
        "shared_preload_libraries",
        "session_preload_libraries",
        "local_preload_libraries",
        "search_path",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_RELOAD: Final = "SELECT pg_reload_conf()"

_AUTO_CONF = """
SELECT setting FROM pg_file_settings
 WHERE name = %s AND sourcefile LIKE '%%/postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1
"""
_RELOPTIONS = "SELECT reloptions FROM pg_class WHERE oid = to_regclass(%s)"
_ROLE_CONFIG = """
SELECT unnest(s.setconfig) AS entry FROM pg_db_role_setting s
 WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = coalesce(%s, current_user))
   AND s.setdatabase = coalesce((SELECT oid FROM pg_database WHERE datname = %s), 0)
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How a statement is taken back. `known`: the server told it; else it is for the check to say."""

    undo: tuple[str, ...]
    known: bool


def way_back(operator: Operator, statement: str) -> Way:
    """The way back of a statement that will run next. Raises CannotChange when what it replaces cannot be read: then
    it must not run."""
    text = statement.strip().rstrip(";")
    if match := _SYSTEM.fullmatch(text):
        return Way(_of_system(operator, match[1].lower()), known=True)
    if (match := _TABLE.fullmatch(text)) and "toast." not in match[3].lower():
        return Way(_of_table(operator, match[1], match[3]), known=True)
    if match := _ROLE.fullmatch(text):
        return Way(_of_role(operator, match[1], match[2], match[3].lower()), known=True)
    return Way((), known=_NEUTRAL.fullmatch(text) is not None)


def plan_of(operator: Operator, apply: Sequence[str], undo: Sequence[str], number: int) -> tuple[str, ...]:
    """The way back of `apply[number]`: the server's; for the first statement that the server knows none of, all that
    the check gave but what the server tells of the others."""
    way = way_back(operator, apply[number])
    if way.known:
        return way.undo
    earlier = any(not _told_by_server(statement) for statement in apply[:number])
    return () if earlier else tuple(statement for statement in undo if not _told_by_server(statement))


def _told_by_server(statement: str) -> bool:
    text = statement.strip().rstrip(";")
    return any(pattern.fullmatch(text) for pattern in (_SYSTEM, _TABLE, _ROLE, _NEUTRAL))


def _of_system(operator: Operator, name: str) -> tuple[str, ...]:
    if name == "all":
        raise CannotChange("ALTER SYSTEM RESET ALL is never run: nothing would tell the values that it takes away")
    try:
        rows = operator.rows(_AUTO_CONF, [name])
    except CannotChange as error:
        raise CannotChange(
            f"what postgresql.auto.conf says of {name} cannot be read: {error.message}",
            hint="GRANT SELECT ON pg_file_settings and EXECUTE ON FUNCTION pg_show_all_file_settings() to the role, "
            "or run it as a superuser",
        ) from error
    if not rows:
        return (f"ALTER SYSTEM RESET {name}", _RELOAD)
    return (f"ALTER SYSTEM SET {name} = {_value(name, rows[0]['setting'])}", _RELOAD)


def _of_table(operator: Operator, table: str, listed: str) -> tuple[str, ...]:
    rows = operator.rows(_RELOPTIONS, [table])
    if not rows:
        raise CannotChange(f"there is no table {table}", gone=True)
    now = options(rows[0]["reloptions"])
    names = [part.split("=")[0].strip().lower() for part in listed.split(",")]
    old = [f"{name} = {now[name]}" for name in names if name in now]
    new = [name for name in names if name not in now]
    undo = [f"ALTER TABLE {table} SET ({', '.join(old)})"] if old else []
    return (*undo, *([f"ALTER TABLE {table} RESET ({', '.join(new)})"] if new else []))


def _of_role(operator: Operator, role: str, database: str | None, name: str) -> tuple[str, ...]:
    rows = operator.rows(_ROLE_CONFIG, [_plain_role(role), _plain(database)])
    found = dict(row["entry"].split("=", 1) for row in rows)
    target = f"ALTER ROLE {role}" + (f" IN DATABASE {database}" if database else "")
    if name not in found:
        return (f"{target} RESET {name}",)
    return (f"{target} SET {name} = {_value(name, found[name])}",)


def _value(name: str, text: str) -> str:
    parts = [part.strip().strip('"') for part in text.split(",")] if name in _LISTS else [text]
    return ", ".join("'" + part.replace("'", "''") + "'" for part in parts)


def _plain_role(name: str) -> str | None:
    return None if name.lower() in ("current_user", "current_role", "session_user") else _plain(name)


def _plain(name: str | None) -> str | None:
    """An identifier as the catalog has it."""
    if name is None or not name.startswith('"'):
        return name.lower() if name else None
    return name[1:-1].replace('""', '"')
