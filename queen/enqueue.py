"""Push inside a transaction of your own database session: the message is there when the transaction commits.

    with connection.transaction():
        connection.execute("insert into orders …")
        queen.sql_push(connection, "orders", {"order": 7}, partition="shop-3")

Takes connections of psycopg and connections and sessions of SQLAlchemy, blocking or not, and looks at what they can do
instead of importing them. It sends one statement, the call of a function of Queen's schema, and reads nothing back: so
it works with any row factory and any cursor, and what the database refuses is raised as the driver raises it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from queen import errors, model, wire

_CALL = "select {}.enqueue_many({}::text, {}::text[], {}::text[], {}::text[], {}::double precision)"
_PYFORMAT = ("pyformat", "format")
_NUMBERED = "numeric_dollar"


def sql_push(
    connection: Any,
    queue: str,
    payload: Any,
    *,
    partition: str = model.DEFAULT_PARTITION,
    transaction_id: str | None = None,
    delay_seconds: float | None = None,
    schema: str = "queen",
) -> Any:
    """Store one message in the transaction that `connection` has open. Returns its transaction id.

    With a connection or session that is awaited, await this too. `payload` is any value that is JSON; one that is
    `msgspec.Raw` goes as it is. `schema` is the setting database.schema of the servers. Raises InvalidRequest for what
    can never work, before anything is sent.
    """
    ids = [transaction_id or model.new_transaction_id()]
    sent = _send(connection, schema, _arguments(queue, [partition], [payload], ids, delay_seconds))
    return ids[0] if sent is None else _after(sent, ids[0])


def sql_push_many(
    connection: Any,
    queue: str,
    payloads: Iterable[Any],
    *,
    partition: str | Sequence[str] = model.DEFAULT_PARTITION,
    transaction_ids: Sequence[str | None] | None = None,
    delay_seconds: float | None = None,
    schema: str = "queen",
) -> Any:
    """Store several messages of one queue by one statement. Returns their transaction ids, in order.

    `partition` is one name for all, or one for each. All else is as for `sql_push`.
    """
    values = list(payloads)
    partitions = [partition] if isinstance(partition, str) else list(partition)
    given = list(transaction_ids) if transaction_ids is not None else [None] * len(values)
    if len(given) != len(values) or (not isinstance(partition, str) and len(partitions) != len(values)):
        raise errors.InvalidRequest(
            f"{len(values)} payloads, and another number of partitions or transaction ids",
            hint="give one entry per payload, or one partition for all",
        )
    ids = [one or model.new_transaction_id() for one in given]
    sent = _send(connection, schema, _arguments(queue, partitions, values, ids, delay_seconds))
    return ids if sent is None else _after(sent, ids)


def _arguments(
    queue: str, partitions: list[str], payloads: list[Any], ids: list[str], delay_seconds: float | None
) -> tuple[object, ...]:
    wire.check_name("queue", queue, "queue")
    for name in partitions:
        wire.check_name("partition", name, "partition")
    for name in ids:
        wire.check_name("transactionId", name, "transaction_id")
    if delay_seconds is not None and not 0 <= delay_seconds <= wire.DELAY_S_MAX:
        raise errors.InvalidRequest(
            f"delay_seconds must be from 0 to {wire.DELAY_S_MAX}", hint="leave it out for a message that is due at once"
        )
    try:
        texts = [wire.encode(payload).decode() for payload in payloads]
    except (TypeError, ValueError) as error:
        raise errors.InvalidRequest(f"a payload is not JSON: {error}", hint="use what JSON knows") from error
    return queue, partitions, texts, ids, delay_seconds


def _send(connection: Any, schema: str, arguments: tuple[object, ...]) -> Awaitable[object] | None:
    """Execute the call; what is left to await, or None."""
    if callable(getattr(connection, "exec_driver_sql", None)):
        sent = _by_sqlalchemy(connection, schema, arguments)
    elif callable(getattr(connection, "connection", None)) and hasattr(connection, "get_bind"):
        found = connection.connection()  # A session's own connection, in its transaction.
        sent = (
            _awaited(found, schema, arguments)
            if inspect.isawaitable(found)
            else _by_sqlalchemy(found, schema, arguments)
        )
    elif callable(getattr(connection, "execute", None)) and callable(getattr(connection, "cursor", None)):
        sent = connection.execute(_statement(schema, "%s"), arguments)
    else:
        raise TypeError(f"sql_push takes a connection of psycopg or SQLAlchemy, not {type(connection).__name__}")
    return sent if inspect.isawaitable(sent) else None


def _by_sqlalchemy(connection: Any, schema: str, arguments: tuple[object, ...]) -> Any:
    style = connection.dialect.paramstyle
    if connection.dialect.name != "postgresql" or style not in (*_PYFORMAT, _NUMBERED):
        raise TypeError(f"sql_push cannot use the dialect {connection.dialect.name} with parameters as {style}")
    return connection.exec_driver_sql(_statement(schema, "%s" if style in _PYFORMAT else "$"), arguments)


async def _awaited(connection: Awaitable[Any], schema: str, arguments: tuple[object, ...]) -> None:
    await _by_sqlalchemy(await connection, schema, arguments)


async def _after(sent: Awaitable[object], result: Any) -> Any:
    await sent
    return result


def _statement(schema: str, mark: str) -> str:
    name = '"{}"'.format(schema.replace('"', '""').replace("%", "%%" if mark == "%s" else "%"))
    marks = [mark if mark == "%s" else f"{mark}{n}" for n in range(1, 6)]
    return _CALL.format(name, *marks)
