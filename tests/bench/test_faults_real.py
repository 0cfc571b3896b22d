"""Each fault on a real server under load: what was acknowledged is there once and in order, nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Sequence

import httpx
import pytest

from queen.bench.chaos import Fault
from queen.bench.faults import Struck, play
from queen.bench.faults.arena import StopMode
from queen.bench.orders import Order
from tests.support.fix_server import MakeServer
from tests.support.load import Consumer, Load, Producer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = [pytest.mark.pg, pytest.mark.slow]


class RealServer:
    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        return self._server.url

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def terminate(self) -> int:
        return await asyncio.to_thread(self._server.terminate)

    async def restart(self) -> None:
        if not self._server.running:
            await asyncio.to_thread(self._server.start)


class RealDatabase:
    """The private PostgreSQL of a server, which starts it again by itself."""

    schema = "queen"

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    @property
    def dsn(self) -> str:
        return self._server.dsn

    async def restart(self, mode: StopMode) -> None:
        await asyncio.to_thread(self._restart, mode)

    def _restart(self, mode: StopMode) -> None:
        stopped = self._server.postmaster
        os.kill(stopped, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        wait_until(lambda: self._server.postmaster not in (0, stopped), "another PostgreSQL")
        self._server.wait_ready()


class RealArena:
    workers = 1

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._began = time.monotonic()

    @property
    def servers(self) -> Sequence[RealServer]:
        return [RealServer(self._server)]

    @property
    def database(self) -> RealDatabase:
        return RealDatabase(self._server)

    def now_s(self) -> float:
        return time.monotonic() - self._began

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def send(self, order: Order, worker: int | None = None) -> None:
        raise NotImplementedError("no crew here")


class PatientProducer(Producer):
    """Repeats also what a cut connection left without an answer."""

    def step(self) -> None:
        try:
            super().step()
        except httpx.TransportError:
            self._failed = True
            time.sleep(0.05)


class PatientConsumer(Consumer):
    def step(self) -> None:
        try:
            super().step()
        except httpx.TransportError:
            time.sleep(0.05)


@pytest.fixture
def running(make_server: MakeServer) -> EmbeddedServer:
    server = make_server("--port", str(_free_port()))
    server.start()
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def strike(server: EmbeddedServer, queue: str, fault: Fault) -> Struck:
    """One fault under load, and more load after it; then what was acknowledged is looked for."""
    load = Load(server.url, queue)
    load.producers = [PatientProducer(server.url, queue, f"p{number}") for number in range(4)]
    load.workers = [*load.producers, PatientConsumer(server.url, queue)]
    with load:
        [struck] = asyncio.run(play([fault], RealArena(server)))
        load.wait_for_more()
    server.wait_ready()
    load.check()
    server.check_unharmed()
    assert struck.failed is None
    assert sessions_of_faults(server) == []
    return struck


def sessions_of_faults(server: EmbeddedServer) -> list[tuple[object, ...]]:
    rows = server.query("select pid from pg_stat_activity where application_name = 'queen-havoc'")
    if rows:
        # A session that was closed may still be on its way out.
        wait_until(
            lambda: not server.query("select 1 from pg_stat_activity where application_name = 'queen-havoc'"), ""
        )
    return []


@pytest.mark.parametrize("name", ["kill-server", "drain-server"])
def test_a_server_that_goes_and_comes_back(running: EmbeddedServer, queue: str, name: str) -> None:
    before = running.pid
    struck = strike(running, queue, Fault(name, 1, 1))
    assert running.pid != before
    assert struck.end_s >= struck.begin_s + 1
    if name == "drain-server":
        assert struck.marks["exit_code"] == 0


def test_postgresql_stopped_in_both_ways(running: EmbeddedServer, queue: str) -> None:
    before = running.postmaster
    assert strike(running, queue, Fault("restart-pg", 1, 4)).marks["restarts"] == 2
    assert running.postmaster != before


def test_sessions_ended_each_second(running: EmbeddedServer, queue: str) -> None:
    assert strike(running, queue, Fault("terminate-backends", 1, 4, 3)).marks["terminated"] >= 3


def test_no_session_left_and_half_the_pool_taken(running: EmbeddedServer, queue: str) -> None:
    marks = strike(running, queue, Fault("exhaust-pool", 1, 5)).marks
    assert marks["held"] >= 10
    assert marks["taken"] >= 1


def test_a_pinned_xmin(running: EmbeddedServer, queue: str) -> None:
    assert strike(running, queue, Fault("pin-xmin", 1, 5)).marks["held"] == 1


def test_readers_of_everything(running: EmbeddedServer, queue: str) -> None:
    marks = strike(running, queue, Fault("readers", 1, 4, 4)).marks
    assert marks["scans"] >= 4
    assert marks["failed"] == 0


@pytest.mark.parametrize("name", ["exhaust-pool", "pin-xmin", "readers"])
def test_a_cancelled_fault_leaves_no_session(running: EmbeddedServer, name: str) -> None:
    async def scene() -> None:
        arena = RealArena(running)
        playing = asyncio.create_task(play([Fault(name, 0, 600, 2)], arena))
        text = "select 1 from pg_stat_activity where application_name = 'queen-havoc'"
        await asyncio.to_thread(wait_until, lambda: len(running.query(text)) >= 1, "the fault to begin")
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

    asyncio.run(scene())
    assert sessions_of_faults(running) == []
    running.check_unharmed()
