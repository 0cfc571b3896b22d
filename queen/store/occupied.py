"""Does a database hold Queen's messages already? Asked by tools before they write to a database that is not theirs.

Only looks: the session is read-only, and nothing is created.
"""

from __future__ import annotations

from psycopg import sql

from queen.store.connect import admin

_IS_THERE = "SELECT to_regclass(%s) IS NOT NULL"
_HOLDS = "SELECT EXISTS (SELECT 1 FROM {}.messages)"


def holds_messages(dsn: str, schema: str, *, timeout_s: float = 10.0) -> bool:
    """Whether the schema has a table of messages with at least one in it.

    Raises StoreUnavailable or AccessDenied when the database cannot be asked.
    """
    name = sql.Identifier(schema)
    with admin(dsn, timeout_s) as connection:
        connection.read_only = True
        there = connection.execute(_IS_THERE, [f"{name.as_string(connection)}.messages"]).fetchone()
        if there is None or not there[0]:
            return False
        held = connection.execute(sql.SQL(_HOLDS).format(name)).fetchone()
    return bool(held and held[0])
