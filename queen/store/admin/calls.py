"""How the control plane calls a function of `queen/sql/functions`: one round trip, rows with names."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.rows import namedtuple_row

from queen.store.pool import Pool

Row = Any


class Calls:
    """Bound to (pool, schema). Raises what `Pool.connection` raises."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._schema = schema

    async def _call(self, function: str, *arguments: object) -> list[Row]:
        statement = sql.SQL("select * from {}({})").format(
            sql.Identifier(self._schema, function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
        )
        async with self._pool.connection(function) as connection:
            cursor = connection.cursor(row_factory=namedtuple_row)
            await cursor.execute(statement, arguments)
            return await cursor.fetchall()
