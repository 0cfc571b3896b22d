"""Two engines on one PostgreSQL: what one does the other hears, by notification or by reading, through failures."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from queen.model import NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import DatabaseSettings, EngineSettings, Settings
from tests.sql.client import Session

PATIENCE_S = 120.0
SWEEPS_NEVER_MS = 600_000


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@asynccontextmanager
async def _runtime(dsn: str, **engine: Any) -> AsyncIterator[Runtime]:
    settings = replace(
        Settings(),
        database=DatabaseSettings(pool_size=4),
        engine=EngineSettings(**{"sweep_ms": SWEEPS_NEVER_MS, **engine}),
    )
    async with open_runtime(settings, dsn) as runtime:
        yield runtime


async def _until(condition: Any, what: str) -> None:
    for _ in range(int(PATIENCE_S / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


@asynccontextmanager
async def _two(dsn: str, listening: bool = True) -> AsyncIterator[tuple[Engine, Engine]]:
    async with _runtime(dsn) as one, _runtime(dsn) as two:
        engines = (one.engine, two.engine)
        await _until(lambda: all(engine.presence.peers == 1 for engine in engines), "both to know of each other")
        if listening:
            await _until(lambda: all(engine.hearing.listening for engine in engines), "both to listen")
        yield engines


async def _pop(engine: Engine, queue: str = "q", wait_ms: int = 60_000) -> PopRequest:
    request = await engine.prepare_pop(PopQuery(queue, batch=10, wait_ms=wait_ms))
    await engine.pop(request, wait_ms)
    return request


async def _wake(one: Engine, two: Engine, name: str, partition: str = "p", queue: str = "q") -> float:
    """Park a poll on one engine, push on the other; the seconds from the end of the push to the end of the poll."""
    poll = asyncio.ensure_future(_pop(two, queue))
    await _until(lambda: two.limits.parked_polls == 1, "the poll to be parked")
    await one.push([NewMessage(queue, partition, name.encode(), b"1")])
    pushed_at = time.monotonic()
    request = await poll
    assert [name.encode()] == [found for _, span in request.spans for found in span.transaction_ids]
    return time.monotonic() - pushed_at


def _kill_listeners(session: Session) -> int:
    rows = session.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'queen-listen' and datname = current_database()"
    )
    return len(rows)


@pytest.mark.spec("R9")
def test_a_push_wakes_a_poll_of_another_engine(database_dsn: str) -> None:
    async def work() -> None:
        async with _two(database_dsn) as (one, two):
            times = [await _wake(one, two, str(n), partition=str(n)) for n in range(20)]
            print(f"woken after {sorted(times)[10] * 1000:.1f} ms (median), {max(times) * 1000:.1f} ms (most)")
            assert sorted(times)[10] < 1.0

    _run(work())


def test_a_listener_whose_connection_ends_listens_again_and_misses_nothing(database_dsn: str) -> None:
    async def work() -> None:
        async with _two(database_dsn) as (one, two):
            poll = asyncio.ensure_future(_pop(two))
            await _until(lambda: two.limits.parked_polls == 1, "the poll to be parked")
            with Session(database_dsn) as session:
                assert _kill_listeners(session) == 2
            await one.push([NewMessage("q", "p", b"a", b"1")])  # While nobody listens, perhaps.
            assert (await poll).spans
            await _until(lambda: one.hearing.listening and two.hearing.listening, "both to listen again")
            await _wake(one, two, "b", partition="x")

    _run(work())


def test_behind_a_pooler_announcements_are_read(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def pooled(_: object) -> bool:
        return True

    monkeypatch.setattr("queen.store.listen.is_pooled", pooled)

    async def work() -> None:
        async with _two(database_dsn, listening=False) as (one, two):
            times = [await _wake(one, two, str(n), partition=str(n)) for n in range(3)]
            print(f"read after {max(times) * 1000:.0f} ms at most")
            assert not one.hearing.listening
            assert max(times) < 30

    _run(work())
    assert caplog.text.count("transaction pooler") == 2, "once for each of the two"


def test_an_engine_alone_asks_little_and_listens(database_dsn: str) -> None:
    """Parked polls cost no statement; what is left is a heartbeat, and a page of a sweep now and then."""
    polls_count, queues, seconds = 2000, 200, 6.0

    async def work() -> None:
        async with _runtime(database_dsn, sweep_ms=5000) as runtime:
            engine = runtime.engine
            await _until(lambda: engine.hearing.listening, "it to listen: then it looks at what it knows, once")
            polls = [asyncio.ensure_future(_pop(engine, f"q{n % queues}")) for n in range(polls_count)]
            await _until(lambda: engine.limits.parked_polls == polls_count, "the polls to be parked")
            with _statements(database_dsn) as count:
                cpu, began_at = time.process_time(), time.monotonic()
                await asyncio.sleep(seconds)
                cpu, elapsed, calls = time.process_time() - cpu, time.monotonic() - began_at, count()
            print(f"{calls} statements in {elapsed:.1f} s, {100 * cpu / elapsed:.1f} % of a core")
            assert 0 < calls / elapsed < 2
            assert cpu / elapsed < 0.25
            for poll in polls:
                poll.cancel()
            await asyncio.gather(*polls, return_exceptions=True)

    _run(work())


@contextmanager
def _statements(dsn: str) -> Iterator[Callable[[], int]]:
    """Counts the statements that clients of this database send from now on."""
    with Session(dsn) as session:
        try:
            session.rows("create extension if not exists pg_stat_statements schema public")
            session.rows("select pg_stat_statements_reset()")
        except psycopg.Error as error:
            if "CI" in os.environ:
                pytest.fail(f"CI needs pg_stat_statements: {error}")
            pytest.skip(f"needs pg_stat_statements: {error}")
        yield lambda: int(
            session.one(
                "select coalesce(sum(s.calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid"
                " where d.datname = current_database() and s.toplevel and s.query not like '%pg_stat_statements%'"
            )
        )


def test_an_engine_serves_and_leads_again_after_its_connections_were_killed(database_dsn: str) -> None:
    async def work() -> None:
        async with _runtime(database_dsn, leader_lease_ms=2000) as runtime:
            engine = runtime.engine
            await _until(lambda: engine.presence.leading, "it to lead")
            with psycopg.connect(database_dsn, autocommit=True) as session:
                session.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
                session.execute("update queen.leader set instance_id = null, lease_until = now() + interval '3 s'")
            await _until(lambda: not engine.presence.leading, "it to know that it leads no more")
            await _until(lambda: engine.presence.leading, "it to lead again")
            await _until(lambda: engine.hearing.listening, "it to listen again")

    _run(work())
    with Session(database_dsn) as session:
        assert session.one("select count(*) from {s}.instances") == 0
        assert session.one("select lease_until < now() from {s}.leader"), "the lead is free at once"
