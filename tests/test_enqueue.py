"""queen.sql_push on every kind of connection that it takes, what it refuses, and the examples of docs/enqueue.md."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import scoped_session, sessionmaker

import queen
from queen import errors
from queen.store.migrate import migrate
from tests.sql.client import Session
from tests.sql.enqueuing import order, place, waiting

PAGE = Path(__file__).resolve().parents[1] / "docs" / "enqueue.md"
PAGE_DSN = "postgresql://app@db/shop"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def dsn(module_dsn: str) -> str:
    return module_dsn


@pytest.fixture
def session(dsn: str) -> Iterator[Session]:
    """A look at what was stored; empties it afterwards."""
    with Session(dsn) as opened:
        yield opened
        for table in ("enqueued", "messages"):
            opened.rows(f"delete from {{s}}.{table}")


def alchemy(dsn: str) -> str:
    return dsn.replace("postgresql://", "postgresql+psycopg://")


def test_psycopg_in_a_transaction(dsn: str, session: Session) -> None:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        assert queen.sql_push(connection, "q", {"n": 1}, partition="p", transaction_id="a") == "a"
        assert waiting(session) == 0
        ids = queen.sql_push_many(connection, "q", [2, 3], partition="p", transaction_ids=[None, "b"])
    assert ids[1] == "b"
    place(session)
    assert order(session) == ["a", *ids]


def test_psycopg_that_is_awaited(dsn: str, session: Session) -> None:
    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await queen.sql_push(connection, "q", 1, partition="p", transaction_id="a")
            async with connection.transaction(force_rollback=True):
                await queen.sql_push(connection, "q", 1, partition="p", transaction_id="x")
            return await queen.sql_push_many(connection, "q", [1], partition="p", transaction_ids=["b"])

    assert asyncio.run(run()) == ["b"]
    place(session)
    assert order(session) == ["a", "b"]


def test_psycopg_in_a_pipeline(dsn: str, session: Session) -> None:
    with psycopg.connect(dsn) as connection, connection.pipeline():
        for name in ("a", "b"):
            queen.sql_push(connection, "q", 1, partition="p", transaction_id=name)
    place(session)
    assert order(session) == ["a", "b"]


def test_sqlalchemy_connections_and_sessions(dsn: str, session: Session) -> None:
    engine = create_engine(alchemy(dsn))
    try:
        with engine.begin() as connection:
            assert queen.sql_push(connection, "q", "100 % :x", partition="p", transaction_id="a") == "a"
        with OrmSession(engine) as orm, orm.begin():
            orm.execute(text("select 1"))
            queen.sql_push(orm, "q", 1, partition="p", transaction_id="b")
            with orm.begin_nested() as nested:
                queen.sql_push(orm, "q", 1, partition="p", transaction_id="x")
                nested.rollback()
        scoped = scoped_session(sessionmaker(engine))
        queen.sql_push_many(scoped, "q", [1], partition="p", transaction_ids=["c"])
        scoped.commit()
        scoped.remove()
    finally:
        engine.dispose()
    place(session)
    assert order(session) == ["a", "b", "c"]
    assert session.one("select payload from {s}.messages where transaction_id = 'a'") == '"100 % :x"'


def test_sqlalchemy_that_is_awaited(dsn: str, session: Session) -> None:
    async def run() -> None:
        engine = create_async_engine(alchemy(dsn))
        async with engine.begin() as connection:
            assert await queen.sql_push(connection, "q", 1, partition="p", transaction_id="a") == "a"
        async with AsyncSession(engine) as orm, orm.begin():
            await queen.sql_push(orm, "q", 1, partition="p", transaction_id="b")
        scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        await queen.sql_push_many(scoped, "q", [1], partition="p", transaction_ids=["c"])
        await scoped.commit()
        await scoped.remove()
        await engine.dispose()

    asyncio.run(run())
    place(session)
    assert order(session) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        (None, "null"),
        ("ü", '"ü"'),
        ([1, 2.5, {"a": None}], '[1,2.5,{"a":null}]'),
        (msgspec.Raw(b"1.50"), "1.50"),
    ],
)
def test_payloads(dsn: str, session: Session, payload: Any, stored: str) -> None:
    with psycopg.connect(dsn) as connection:
        queen.sql_push(connection, "q", payload)
    assert session.one("select payload from {s}.enqueued") == stored


def test_a_message_for_later(dsn: str, session: Session) -> None:
    with psycopg.connect(dsn) as connection:
        queen.sql_push(connection, "q", 1, delay_seconds=60)
    assert session.one("select due_at > now() + interval '50 seconds' from {s}.enqueued")


@pytest.mark.parametrize(
    "call",
    [
        lambda c: queen.sql_push(c, "q" * 256, 1),
        lambda c: queen.sql_push(c, "q", 1, partition="p\0"),
        lambda c: queen.sql_push(c, "q", 1, transaction_id="t" * 256),
        lambda c: queen.sql_push(c, "q", object()),
        lambda c: queen.sql_push(c, "q", 1, delay_seconds=-1),
        lambda c: queen.sql_push(c, "q", 1, delay_seconds=float("nan")),
        lambda c: queen.sql_push_many(c, "q", [1, 2], transaction_ids=["a"]),
        lambda c: queen.sql_push_many(c, "q", [1, 2], partition=["a"]),
    ],
)
def test_what_can_never_work_is_refused_before_anything_is_sent(dsn: str, call: Any) -> None:
    with psycopg.connect(dsn) as connection:
        with pytest.raises(errors.InvalidRequest) as refused:
            call(connection)
        assert refused.value.hint
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_other_objects_are_refused() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(TypeError, match="sqlite"):
        queen.sql_push(connection, "q", 1)
    with pytest.raises(TypeError, match="not str"):
        queen.sql_push("postgresql://", "q", 1)


def test_what_the_database_refuses_is_raised_by_the_driver(dsn: str) -> None:
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.Error) as refused:
        queen.sql_push(connection, "q", "x" * (16 << 20))
    assert refused.value.sqlstate == "QN012"


@pytest.mark.parametrize("name", ["Mixed Case", 'with "quotes"'])
def test_schemas_of_any_name(empty_database_dsn: str, name: str) -> None:
    asyncio.run(migrate(empty_database_dsn, name))
    with psycopg.connect(empty_database_dsn) as connection:
        queen.sql_push(connection, "q", 1, partition="p", transaction_id="a", schema=name)
    with Session(empty_database_dsn, name) as other:
        place(other)
        assert order(other) == ["a"]


def test_importing_it_brings_neither_server_nor_driver() -> None:
    script = "import sys, queen; queen.sql_push; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PAGE.parents[1]
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded & {"fastapi", "uvicorn", "psycopg", "sqlalchemy", "httpx", "typer", "yaml"} == set()


def _examples(language: str) -> list[str]:
    return [block for name, block in _BLOCK.findall(PAGE.read_text("utf-8")) if name == language]


def test_the_examples_of_the_page(dsn: str, session: Session) -> None:
    session.rows("create table orders (id bigint primary key, total numeric)")
    try:
        count = 0
        for code in _examples("python"):
            assert PAGE_DSN in code or "postgresql+psycopg://app@db/shop" in code
            code = code.replace("postgresql+psycopg://app@db/shop", alchemy(dsn)).replace(PAGE_DSN, dsn)
            exec(compile(code, str(PAGE), "exec"), {})
            count += 1
            assert session.one("select count(*) from orders") == waiting(session) == count
        for code in _examples("sql"):
            session.connection.execute(code.encode())
            count += 1
            assert session.one("select count(*) from orders") == waiting(session) == count
        assert count >= 5
    finally:
        session.rows("drop table orders")
