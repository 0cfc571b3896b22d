"""Observing a real server on a real PostgreSQL: figures move, and what is away is a gap."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from queen.bench.observe import Observer
from queen.measure.histogram import LatencyHistogram
from queen.store.probe import Probe
from tests.support.api import Api
from tests.support.fix_server import MakeServer

PATIENCE_S = 60.0


def test_load_moves_the_figures_and_a_dead_server_is_a_gap(make_server: MakeServer) -> None:
    server = make_server()
    server.start()

    async def run() -> None:
        observer = Observer([server.url], server.dsn, [server.pid])
        async with observer:
            with Api(server.url) as api:
                ends_at = time.monotonic() + PATIENCE_S
                while len(observer.servers[0].columns.times()) < 4 or not observer.waits:
                    assert time.monotonic() < ends_at, "no samples"
                    await asyncio.to_thread(api.push_to, f"q{time.monotonic_ns()}", range(200), "p")
                view = await observer.view(api.get("/api/v1/resources/queues")["queues"][0]["name"], "p", "t1")
        _check(observer, view)
        server.kill()
        later = Observer([server.url], None, [server.pid])
        async with later:
            pass
        assert later.server_side(0, 0).counters == {}
        assert later.postgres_side(0, 0) is None

    asyncio.run(run())


def _check(observer: Observer, view: str) -> None:
    end = (observer.postgres.times()[-1] - observer.clock_zero_ns) / 1e9
    server, postgres = observer.server_side(0, end), observer.postgres_side(0, end)
    assert postgres is not None
    assert server.counters["push_messages"] >= 200
    assert server.cpu_s
    assert server.rows_per_flush["push"]
    assert server.durability == "committed"
    assert server.insert is not None
    assert server.insert.count > 0, "pushes, not messages"
    assert LatencyHistogram.decode(server.insert_histogram or "").count == server.insert.count
    assert postgres.counters["wal_bytes"] > 10_000
    assert postgres.counters["commits"] > 0
    assert postgres.tables["messages"]["inserts"] >= 200
    assert postgres.cpu_s is not None
    assert postgres.samples > 0
    values, waits = observer.series()
    lengths = {len(column) for column in values.values()} | {len(column) for column in waits.values()}
    assert any(values["commits_per_s"])
    assert lengths == {len(values["server_cpu"])}
    assert view.startswith("stored at offset 1, pending")


def test_a_broken_session_is_made_again(database_dsn: str) -> None:
    async def run() -> None:
        async with Probe(database_dsn) as probe, Probe(database_dsn) as other:
            pid = probe.backend_pid()
            assert pid is not None
            for name in ("server", "settings", "checkpoint_running", "schema_version"):
                assert await probe.rows(name), name
            assert await probe.rows("storage", schema="queen")
            assert await probe.rows("message", queue="q", partition="p", transaction_id="t") == []
            assert other._connection is not None
            await other._connection.execute("select pg_terminate_backend(%s)", (pid,))
            assert await probe.counters() is None, "a gap"
            ends_at = time.monotonic() + PATIENCE_S
            while await probe.counters() is None:
                assert time.monotonic() < ends_at
                await asyncio.sleep(0.05)
            assert probe.breaks == 1
            assert probe.backend_pid() != pid

    asyncio.run(run())


def test_the_session_cannot_write(database_dsn: str) -> None:
    async def run() -> None:
        async with Probe(database_dsn) as probe:
            assert probe._connection is not None
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await probe._connection.execute("create table t ()")

    asyncio.run(run())
