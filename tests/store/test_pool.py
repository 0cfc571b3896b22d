"""The pool against a real server: the line, the deadline, cancelled callers, frozen and killed backends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest

from queen import errors
from queen.settings import DatabaseSettings
from queen.store.budget import Budget
from queen.store.link import Link
from queen.store.pool import Pool
from tests.support.fake_clock import in_real_time

PATIENCE_S = 30.0


@asynccontextmanager
async def opened(dsn: str, budget: Budget | None = None, **settings: Any) -> AsyncIterator[Pool]:
    """A pool that leaves no task behind."""
    before = asyncio.all_tasks()
    pool = Pool(dsn, DatabaseSettings(**{"pool_size": 2, **settings}), budget)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()
    await until(lambda: asyncio.all_tasks() == before, "every task to end")


async def until(true: Callable[[], object], what: str) -> None:
    """Wait for a condition that other tasks bring about."""
    ends_at = asyncio.get_running_loop().time() + PATIENCE_S
    while not true():
        assert asyncio.get_running_loop().time() < ends_at, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


async def value(pool: Pool, statement: str) -> Any:
    """One value of one statement."""
    async with pool.connection() as connection:
        row = await (await connection.execute(statement.encode())).fetchone()
        return row[0] if row else None


def backends(dsn: str, where: str = "true") -> list[int]:
    """The process ids of the pool's sessions in its database."""
    with psycopg.connect(dsn, autocommit=True) as session:
        rows = session.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            f" and application_name = 'queen' and {where}".encode()
        )
        return [row[0] for row in rows]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A backend that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def held(pool: Pool, count: int) -> list[tuple[asyncio.Task[None], asyncio.Event]]:
    """So many connections, each in the hands of a task that gives it back when its event is set."""
    held: list[tuple[asyncio.Task[None], asyncio.Event]] = []
    for _ in range(count):
        taken, done = asyncio.Event(), asyncio.Event()

        async def hold(taken: asyncio.Event = taken, done: asyncio.Event = done) -> None:
            async with pool.connection():
                taken.set()
                await done.wait()

        task = asyncio.ensure_future(hold())
        await taken.wait()
        held.append((task, done))
    return held


@pytest.mark.spec("R13")
def test_those_who_wait_are_served_in_order(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, connection_timeout_ms=30_000) as pool:
            holders = await held(pool, 2)
            served: list[int] = []

            async def ask(number: int) -> None:
                async with pool.connection() as connection:
                    served.append(number)
                    await connection.execute("select 1")

            asking = [asyncio.ensure_future(ask(number)) for number in range(500)]
            await until(lambda: pool.stats()["waiting"] == 500, "all to wait")
            gone = set(range(0, 500, 7))
            for number in gone:
                asking[number].cancel()
            await until(lambda: pool.stats()["waiting"] == 500 - len(gone), "some to leave")
            for _, done in holders:
                done.set()
            await asyncio.gather(*asking, return_exceptions=True)
            assert served == [number for number in range(500) if number not in gone]
            assert pool.stats()["waiting"] == 0
            assert len(backends(database_dsn)) == 2
            assert pool.waits.count == 2 + len(served)
            assert pool.totals()["long_wait"] + pool.totals()["timeout"] == sum(e["count"] for e in pool.history())

    run()


@pytest.mark.spec("R13")
@pytest.mark.spec("R22")
def test_the_line_is_bounded_in_length_and_time(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        budget = Budget(2, 1, max_connections=100, reserved=3, others=5, pooled=False)
        async with opened(database_dsn, budget, connection_timeout_ms=400, pool_waiting_max=3) as pool:
            holders = await held(pool, 2)
            waiting = [asyncio.ensure_future(value(pool, "select 1")) for _ in range(3)]
            await until(lambda: pool.stats()["waiting"] == 3, "three to wait")
            with pytest.raises(errors.Overloaded) as refused:
                await value(pool, "select 1")
            assert "3 requests are waiting" in refused.value.message
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(one) for one in found] == [errors.PoolTimeout] * 3
            error = found[0]
            assert isinstance(error, errors.PoolTimeout)
            assert not error.unknown, "nothing was sent"
            assert error.message.startswith("timeout exceeded when trying to connect: none of the 2 connections")
            assert "0.4" in error.message
            assert error.hint is not None
            assert "DB_POOL_SIZE=4 DB_CONNECTION_TIMEOUT=10000 queen serve" in error.hint
            for task, done in holders:
                done.set()
                await task
            assert await value(pool, "select 7") == 7
            assert pool.totals()["timeout"] == 3
            assert pool.totals()["refused"] == 1
            assert (pool.peak, pool.holds.count) == (2, 3)
            pool.sample_peak()
            assert list(pool.peaks().values()) == [{"in_use": 2}]
            events = {event["kind"]: event for event in pool.history()}
            assert events["timeout"]["size"] == 2
            assert events["timeout"]["duration_ms"] >= 400

    run()


@pytest.mark.spec("R12")
def test_a_statement_that_takes_too_long_is_ended_by_the_server_and_the_connection_lives(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, pool_size=1, statement_timeout_ms=200) as pool:
            pid = await value(pool, "select pg_backend_pid()")
            with pytest.raises(errors.StoreUnavailable) as ended:
                await value(pool, "select pg_sleep(60)")
            assert not ended.value.unknown, "nothing of it was kept"
            assert await value(pool, "select pg_backend_pid()") == pid

    run()


@pytest.mark.spec("R12")
def test_a_frozen_backend_costs_one_deadline_and_its_connection_is_replaced(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, pool_size=1, statement_timeout_ms=300) as pool:
            pid = await value(pool, "select pg_backend_pid()")
            with frozen(pid):
                began = asyncio.get_running_loop().time()
                with pytest.raises(errors.StoreUnavailable, match="did not answer") as ended:
                    await value(pool, "select 1")
                assert ended.value.unknown
                # psycopg by itself would wait for five seconds and more.
                assert asyncio.get_running_loop().time() - began < 4
                assert await value(pool, "select pg_backend_pid()") != pid
            assert pool.totals()["overrun"] == 1
            await until(lambda: len(backends(database_dsn)) == 1, "the frozen one to end")

    run()


@pytest.mark.spec("R12")
def test_a_cancelled_caller_leaves_nothing_running(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        # The second line is far away here.
        async with opened(database_dsn, pool_size=1, statement_timeout_ms=600_000) as pool:
            asking = asyncio.ensure_future(value(pool, "select pg_sleep(120)"))
            await until(lambda: backends(database_dsn, "state = 'active'"), "it to run")
            asking.cancel()
            await asyncio.wait({asking}, timeout=15)
            assert asking.cancelled(), "it left at once"
            await until(lambda: not backends(database_dsn, "state = 'active'"), "the statement to be stopped")
            assert await value(pool, "select 7") == 7
            assert len(backends(database_dsn)) == 1

    run()


@pytest.mark.spec("R12")
def test_a_cancelled_caller_of_a_frozen_backend_leaves_too(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, pool_size=1) as pool:
            pid = await value(pool, "select pg_backend_pid()")
            with frozen(pid):
                asking = asyncio.ensure_future(value(pool, "select 1"))
                await asyncio.sleep(0.1)
                asking.cancel()
                await asyncio.wait({asking}, timeout=15)
                assert asking.cancelled()
                assert await value(pool, "select 7") == 7
            await until(lambda: len(backends(database_dsn)) == 1, "the frozen one to end")

    run()


@pytest.mark.spec("R10")
def test_a_killed_backend_is_replaced_and_its_call_is_of_unknown_outcome(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn) as pool:
            asking = asyncio.ensure_future(value(pool, "select pg_sleep(120)"))
            await until(lambda: backends(database_dsn, "state = 'active'"), "it to run")
            for pid in backends(database_dsn):
                os.kill(pid, signal.SIGTERM)
            with pytest.raises(errors.StoreUnavailable) as ended:
                await asking
            assert ended.value.unknown
            assert await value(pool, "select 7") == 7
            assert pool.totals()["outage"] == 0, "one that is killed is no outage"
            assert pool.totals()["connection_lost"] >= 1

    run()


@pytest.mark.spec("R10")
def test_connections_that_broke_while_idle_cost_no_call(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn) as pool:
            await until(lambda: pool.stats()["idle"] == 2, "both to be made")
            pids = backends(database_dsn)
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            # A backend leaves pg_stat_activity before its socket is closed; that is sure when its process is gone.
            await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "both to end")
            assert await asyncio.gather(*[value(pool, "select 7") for _ in range(4)]) == [7] * 4
            assert pool.totals()["outage"] == 0

    run()


@pytest.mark.spec("R11")
def test_whoever_waits_is_refused_when_the_database_turns_out_to_be_away() -> None:
    @in_real_time
    async def run() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dsn = f"postgresql://queen@127.0.0.1:{closed.getsockname()[1]}/queen"
            async with opened(dsn, connection_timeout_ms=600_000) as pool:
                waiting = [asyncio.ensure_future(value(pool, "select 1")) for _ in range(5)]
                found = await asyncio.gather(*waiting, return_exceptions=True)
                assert [type(one) for one in found] == [errors.StoreUnavailable] * 5
                assert pool.stats()["away"] == 1
                assert pool.stats()["waiting"] == 0
                with pytest.raises(errors.StoreUnavailable, match="refused"):
                    await value(pool, "select 1")

    run()


@pytest.mark.spec("R7")
@pytest.mark.spec("R12")
def test_connections_are_used_again_and_replaced_at_their_age(database_dsn: str) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, pool_size=1, connection_age_ms_max=1000) as pool:
            pids = {await value(pool, "select pg_backend_pid()") for _ in range(20)}
            assert len(pids) == 1
            ends_at = asyncio.get_running_loop().time() + PATIENCE_S
            while await value(pool, "select pg_backend_pid()") in pids:
                assert asyncio.get_running_loop().time() < ends_at, "it grows old for ever"
                await asyncio.sleep(0.1)
            assert backends(database_dsn, "state <> 'idle'") == []

    run()


@pytest.mark.spec("R12")
@pytest.mark.parametrize("turns", range(12))
def test_a_caller_that_leaves_at_any_moment_leaks_nothing(database_dsn: str, turns: int) -> None:
    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, connection_timeout_ms=10_000) as pool:
            asking = [asyncio.ensure_future(value(pool, "select pg_sleep(0.001)")) for _ in range(20)]
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            assert await asyncio.gather(*[value(pool, "select 7") for _ in range(10)]) == [7] * 10
            assert pool.stats()["waiting"] == 0
            assert pool.stats()["size"] <= 2
            await until(lambda: len(backends(database_dsn)) <= 2, "no more connections than allowed")
            for task, done in await held(pool, 2):
                done.set()
                await task

    run()


@pytest.mark.spec("R12")
def test_a_pooler_in_between_is_noticed(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PgBouncer does to the handshake: it invents the process id."""

    class Invented(psycopg.ConnectionInfo):
        @property
        def backend_pid(self) -> int:
            return -1

    async def prepared(pool: Pool) -> bool:
        async with pool.connection() as connection:
            for _ in range(3):
                await connection.execute("select %s::int", (1,), prepare=True)
            row = await (await connection.execute("select count(*) from pg_prepared_statements")).fetchone()
            assert row is not None
            return row[0] != 0

    async def timeout(pool: Pool) -> str:
        return str(await value(pool, "show statement_timeout"))

    @in_real_time
    async def run() -> None:
        async with opened(database_dsn, pool_size=1) as pool:
            assert (await prepared(pool), await timeout(pool), pool.pooled) == (True, "30s", False)
        async with opened(database_dsn, pool_size=1, prepare_statements=False) as pool:
            assert not await prepared(pool)
        with monkeypatch.context() as patch:
            patch.setattr(Link, "info", property(lambda self: Invented(self.pgconn)))
            async with opened(database_dsn, pool_size=1) as pool:
                assert (await prepared(pool), await timeout(pool), pool.pooled) == (False, "0", True)
            async with opened(database_dsn, pool_size=1, prepare_statements=True) as pool:
                assert await prepared(pool)

    run()
