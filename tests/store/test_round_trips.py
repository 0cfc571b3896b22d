"""One round trip and one commit for a warm push, pop or ack; connections reused; nobody waits for a slow neighbour."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from queen.engine.engine import PopQuery
from queen.engine.pop import PopRequest
from queen.engine.push import PushRequest
from queen.model import COMPLETED, AckItem, NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import DatabaseSettings, EngineSettings, Settings
from tests.sql.client import Session
from tests.store.wire import watched

PATIENCE_S = 120


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@asynccontextmanager
async def _runtime(dsn: str, pool_size: int = 1) -> AsyncIterator[Runtime]:
    """An engine whose background work stays away from the database."""
    settings = replace(
        Settings(),
        database=DatabaseSettings(pool_size=pool_size),
        engine=EngineSettings(sweep_ms=600_000, high_perf=True),
    )
    async with open_runtime(settings, dsn) as runtime:
        yield runtime


def _messages(count: int, partitions: int, word: str, queue: str = "q") -> list[NewMessage]:
    return [NewMessage(queue, f"p{n % partitions}", f"{word}-{n}".encode(), b'{"line":\t"one"}') for n in range(count)]


async def _pop(runtime: Runtime, **query: Any) -> PopRequest:
    request = await runtime.engine.prepare_pop(PopQuery("q", **query))
    await runtime.engine.pop(request, 0)
    return request


def _items(request: PopRequest) -> list[AckItem]:
    return [
        AckItem(one, partition.id, COMPLETED, request.lease_id, None)
        for partition, span in request.spans
        for one in span.transaction_ids
    ]


def _all_stored(request: PushRequest) -> bool:
    return all(chunk.error is None and chunk.stored is None for chunk in request.chunks)


@pytest.mark.spec("R6", "R8")
@pytest.mark.parametrize(("count", "partitions"), [(1, 1), (100, 1), (1000, 1), (100, 100), (1000, 30), (1000, 1000)])
def test_a_warm_push_is_one_round_trip_and_one_commit(database_dsn: str, count: int, partitions: int) -> None:
    async def work() -> None:
        async with _runtime(database_dsn) as runtime:
            await runtime.engine.push(_messages(partitions, partitions, "warm"))
            async with watched(runtime) as traffic:
                request = await runtime.engine.push(_messages(count, partitions, "hot"))
            assert _all_stored(request)
            assert (traffic.round_trips, traffic.executed) == (1, 1), traffic.sent
            assert traffic.parsed == [], "it was prepared before, and nothing is looked up"

    _run(work())
    with Session(database_dsn) as session:
        transactions = session.rows(
            "select xmin::text, count(*) from {s}.messages where transaction_id like 'hot-%%' group by 1"
        )
        assert [row.count for row in transactions] == [count]
        touched = session.rows("select distinct xmin::text from {s}.partitions where next_offset > 1")
        assert [row[0] for row in touched] == [transactions[0].xmin]


@pytest.mark.spec("R6")
def test_many_small_pushes_share_operations_of_at_most_a_thousand_messages(database_dsn: str) -> None:
    async def work() -> None:
        async with _runtime(database_dsn) as runtime:
            await runtime.engine.push(_messages(100, 100, "warm"))
            async with watched(runtime) as traffic:
                await asyncio.gather(*[runtime.engine.push([one]) for one in _messages(1000, 100, "one")])
            assert (traffic.round_trips, traffic.executed) == (1, 1), traffic.sent
            before = runtime.engine.sizes()["push_flushes"]
            await asyncio.gather(*[runtime.engine.push([one]) for one in _messages(2500, 100, "two")])
            assert runtime.engine.sizes()["push_flushes"] - before == 3

    _run(work())
    with Session(database_dsn) as session:
        sizes = session.rows("select count(*) from {s}.messages group by xmin::text")
        assert max(row[0] for row in sizes) == 1000
        assert sum(row[0] for row in sizes) == 3600


@pytest.mark.parametrize("partitions", [1, 50])
def test_a_pop_and_an_ack_are_one_round_trip_each(database_dsn: str, partitions: int) -> None:
    async def work() -> None:
        async with _runtime(database_dsn) as runtime:
            for word in ("warm", "hot"):
                await runtime.engine.push(_messages(200, partitions, word))
                async with watched(runtime) as popping:
                    request = await _pop(runtime, batch=200, partitions=partitions)
                async with watched(runtime) as acking:
                    results = await runtime.engine.ack(request.group, _items(request))
                assert len(results) == 200
                assert all(one.error is None for one in results)
            assert (popping.round_trips, popping.executed) == (1, 1), popping.sent
            assert (acking.round_trips, acking.executed) == (1, 1), acking.sent

    _run(work())
    with Session(database_dsn) as session:
        assert len(session.rows("select distinct xmin::text from {s}.cursors where lease_id is null")) == 1
        assert session.one("select sum(acked + 1) from {s}.cursors") == 400


def test_five_thousand_messages_of_one_partition_are_one_transaction(database_dsn: str) -> None:
    async def work() -> None:
        async with _runtime(database_dsn) as runtime:
            await runtime.engine.push(_messages(1, 1, "warm"))
            await runtime.engine.push(_messages(5000, 1, "many"))

    _run(work())
    with Session(database_dsn) as session:
        sizes = session.rows("select count(*) from {s}.messages group by xmin::text")
        assert sorted(row[0] for row in sizes) == [1, 5000]


@pytest.mark.spec("R8")
def test_the_statistics_of_the_server_count_the_same(database_dsn: str) -> None:
    with Session(database_dsn) as session:
        try:
            session.rows("create extension pg_stat_statements schema public")
            session.rows("select pg_stat_statements_reset()")
        except psycopg.Error as error:
            if "CI" in os.environ:
                pytest.fail(f"CI needs pg_stat_statements: {error}")
            pytest.skip(f"needs pg_stat_statements: {error}")

        async def work() -> None:
            async with _runtime(database_dsn) as runtime:
                await runtime.engine.push(_messages(100, 100, "warm"))
                session.rows("select pg_stat_statements_reset()")
                for turn in range(5):
                    await runtime.engine.push(_messages(1000, 100, f"hot{turn}"))

        _run(work())
        calls = session.rows(
            "select s.calls, s.query from pg_stat_statements s join pg_database d on d.oid = s.dbid"
            " where d.datname = current_database() and s.toplevel and s.query not like '%%pg_stat_statements%%'"
        )
    # The heartbeat, the listener and the numbers of a minute are not part of a push; they go at a pace of their own.
    beside = ("beat", "leave", "listen", "pg_backend_pid", "recent_changes", "record_activity")
    own = [row for row in calls if not any(word in row.query.lower() for word in beside)]
    assert [(row.calls, '"push"' in row.query) for row in own] == [(5, True)]


@pytest.mark.spec("R7")
def test_connections_are_reused_and_none_is_held_while_a_poll_waits(database_dsn: str) -> None:
    def backends(session: Session) -> list[tuple[int, str]]:
        rows = session.rows(
            "select pid, state from pg_stat_activity where datname = current_database() and application_name = 'queen'"
        )
        return sorted((row.pid, row.state) for row in rows)

    async def work() -> None:
        async with _runtime(database_dsn, pool_size=3) as runtime:
            await runtime.engine.push(_messages(10, 10, "warm"))
            await _pop(runtime, batch=10, partitions=10, auto_ack=True)
            request = await runtime.engine.prepare_pop(PopQuery("q", batch=1))
            parked = asyncio.Event()
            poll = asyncio.create_task(runtime.engine.pop(request, 60_000, lambda _: parked.set()))
            await parked.wait()
            with Session(database_dsn) as session:
                waiting = await asyncio.to_thread(backends, session)
                assert 1 <= len(waiting) <= 3
                assert {state for _, state in waiting} == {"idle"}
                stats = runtime.pool.stats()
                assert stats["idle"] == stats["size"]
                for turn in range(40):
                    await runtime.engine.push(_messages(10, 10, f"t{turn}", queue="other"))
                assert {pid for pid, _ in await asyncio.to_thread(backends, session)} <= {pid for pid, _ in waiting}
            await runtime.engine.push(_messages(1, 1, "wakes"))
            await poll
            assert len(request.spans) == 1

    _run(work())


@pytest.mark.spec("R9")
def test_a_locked_partition_delays_no_other_queue(database_dsn: str) -> None:
    async def work() -> None:
        async with _runtime(database_dsn, pool_size=4) as runtime:
            await runtime.engine.push(_messages(1, 1, "warm", queue="slow") + _messages(1, 1, "warm", queue="quick"))
            with Session(database_dsn) as holder:
                holder.rows("begin")
                holder.rows("select 1 from {s}.partitions p join {s}.queues q using (queue_id)"
                            " where q.name = 'slow' for update of p")  # fmt: skip
                slow = asyncio.create_task(runtime.engine.push(_messages(1, 1, "waits", queue="slow")))
                both = asyncio.create_task(
                    runtime.engine.push(_messages(1, 1, "both", queue="slow") + _messages(1, 1, "both", queue="quick"))
                )
                for turn in range(20):
                    request = await runtime.engine.push(_messages(5, 5, f"t{turn}", queue="quick"))
                    assert _all_stored(request)
                assert not slow.done()
                assert not both.done()
                holder.rows("commit")
            await asyncio.gather(slow, both)
            assert all(chunk.error is None for task in (slow, both) for chunk in task.result().chunks)

    _run(work())
    with Session(database_dsn) as session:
        p = session.partition("p0", "slow")
        assert session.stored(p) == [(0, "warm-0"), (1, "waits-0"), (2, "both-0")]


@pytest.mark.spec("R21")
def test_the_indexes_of_the_specification_exist(database_dsn: str) -> None:
    with Session(database_dsn) as session:
        rows = session.rows(
            "select indexname, indexdef from pg_indexes where schemaname = 'queen' and tablename = 'messages'"
        )
    found = {row.indexname: row.indexdef for row in rows}
    assert found["idx_messages_queue_status"].endswith("(queue_id, status)")
    assert found["idx_messages_transaction"].startswith("CREATE UNIQUE INDEX")
    assert found["idx_messages_transaction"].endswith("(transaction_id, partition_id, once, epoch)")
    assert found["idx_messages_scheduled"].endswith("(scheduled_at) WHERE (scheduled_at IS NOT NULL)")
