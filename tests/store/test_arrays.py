"""Binary arrays: what goes to PostgreSQL is what was meant, and what comes back is what was sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.store import arrays

TEXTS: list[list[str | None]] = [
    [],
    ["a"],
    [""],
    [None],
    ["a", None, "", "c"],
    ["\U0001f41d" * 3, 'quo"te', "back\\slash", "{curly}", "comma,", "NULL", "null", " ", "\n\t\x01"],
    ["x" * 4095, "y" * 4096, "z" * 4097],
    ["5,000 bytes ".ljust(5000, "."), None, "ä" * 2500],
    [str(n) for n in range(1000)],
]
NUMBERS: list[list[int]] = [[], [0], [1, 2, 3], [-(2**31), 2**31 - 1], list(range(1000))]
UUIDS: list[list[uuid.UUID | None]] = [[], [None], [uuid.UUID(int=0), None, uuid.UUID(int=2**128 - 1)]]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def _as_text(dsn: str, value: arrays.Array, kind: str) -> str | None:
    """What PostgreSQL makes of a parameter, in its own words."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        arrays.register(connection)
        row = connection.execute(f"select (%s::{kind})::text, pg_typeof(%s)::text", (value, value)).fetchone()
        assert row is not None
        assert row[1] == kind
        return str(row[0])


def _same(dsn: str, value: arrays.Array, kind: str, expected: Sequence[object]) -> None:
    """psycopg's own adapters, item by item, are the judge."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(f"select %s::{kind}::text", (list(expected),)).fetchone()
        assert row is not None
    assert _as_text(dsn, value, kind) == row[0]


@pytest.mark.parametrize("values", TEXTS, ids=lambda values: f"{len(values)} {str(values)[:15]}")
def test_texts_arrive(module_dsn: str, values: list[str | None]) -> None:
    sent = arrays.texts([None if one is None else one.encode() for one in values])
    _same(module_dsn, sent, "text[]", values)


@pytest.mark.parametrize("values", [*NUMBERS, [-(2**63), 2**63 - 1]], ids=lambda values: str(values)[:20])
def test_bigints_arrive(module_dsn: str, values: list[int]) -> None:
    _same(module_dsn, arrays.bigints(values), "bigint[]", values)
    _same(module_dsn, arrays.bigints_or_null(values), "bigint[]", values)


def test_bigints_with_nulls_arrive(module_dsn: str) -> None:
    for values in ([None], [None, 1, None, -(2**63)], [7, None]):
        _same(module_dsn, arrays.bigints_or_null(values), "bigint[]", values)


@pytest.mark.parametrize("values", NUMBERS, ids=lambda values: str(values)[:20])
def test_ints_arrive(module_dsn: str, values: list[int]) -> None:
    _same(module_dsn, arrays.ints(values), "integer[]", values)


@pytest.mark.parametrize("values", UUIDS, ids=len)
def test_uuids_arrive(module_dsn: str, values: list[uuid.UUID | None]) -> None:
    _same(module_dsn, arrays.uuids([None if one is None else one.bytes for one in values]), "uuid[]", values)


def _read(dsn: str, expression: str, *, register: Callable[[Any], None] = arrays.register) -> Any:
    async def fetch() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            register(connection)
            cursor = psycopg.AsyncRawCursor(connection)
            await cursor.execute(f"select {expression}".encode(), (), binary=True)
            row = await cursor.fetchone()
            assert row is not None
            return row[0]

    return asyncio.run(fetch())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'{}'::text[]", []),
        ("array['a', '', 'ä']", [b"a", b"", "ä".encode()]),
        ("array[repeat('x', 5000), 'y']", [b"x" * 5000, b"y"]),
        ("array_agg(n::text order by n) from generate_series(1, 1000) n", [str(n).encode() for n in range(1, 1001)]),
        ("null::text[]", None),
        ("'{}'::bigint[]", ()),
        ("array[-1, 9223372036854775807, 0]::bigint[]", (-1, 2**63 - 1, 0)),
        ("null::bigint[]", None),
        ("'{}'::timestamptz[]", ()),
        (
            "array['2000-01-01 00:00:00.000001+00', '1999-12-31 23:59:59+00', '2030-06-01 12:00:00+00']::timestamptz[]",
            (1, -1_000_000, (datetime(2030, 6, 1, 12, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)),
        ),
    ],
    ids=lambda value: str(value)[:25],
)  # fmt: skip
def test_what_comes_back(module_dsn: str, expression: str, expected: object) -> None:
    assert _read(module_dsn, expression) == expected


def test_there_and_back(module_dsn: str) -> None:
    values = [f"{n} \U0001f41d".encode() * n for n in range(300)]

    async def echo() -> Any:
        async with await psycopg.AsyncConnection.connect(module_dsn, autocommit=True) as connection:
            arrays.register(connection)
            cursor = psycopg.AsyncRawCursor(connection)
            await cursor.execute(b"select $1, $2", (arrays.texts(values), arrays.bigints([3, -4])), binary=True)
            return await cursor.fetchone()

    assert tuple(asyncio.run(echo())) == (values, (3, -4))


@given(st.lists(st.binary(max_size=50)))
def test_reading_undoes_writing_of_texts(values: list[bytes]) -> None:
    assert arrays.read_texts(arrays.texts(values)) == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_reading_undoes_writing_of_numbers(values: list[int]) -> None:
    assert arrays.read_bigints(arrays.bigints(values)) == tuple(values)
