"""Each fault on an arena that writes down what was done to it: done in order, and undone on every path."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from queen.bench.chaos import Fault, parse
from queen.bench.fault_kinds import KINDS
from queen.bench.faults import STRIKES, play
from queen.bench.faults.arena import Arena, ArenaDatabase, StopMode
from queen.bench.faults.run_arena import KnownDatabase, RunArena
from queen.bench.orders import Order, Stall
from queen.errors import QueenError
from tests.support.fake_clock import in_virtual_time


class FakeServer:
    url = "http://127.0.0.1:1"

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def kill(self) -> None:
        self._log.append("kill")

    async def terminate(self) -> int:
        self._log.append("terminate")
        return 0

    async def restart(self) -> None:
        self._log.append("restart")


class FakeDatabase:
    dsn = "host=127.0.0.1 port=1"
    schema = "queen"

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.broken = False

    async def restart(self, mode: StopMode) -> None:
        if self.broken:
            raise QueenError("it does not start")
        self._log.append(f"{mode} stop")


class FakeArena:
    workers = 2

    def __init__(self) -> None:
        self.log: list[str] = []
        self.sent: list[tuple[Order, int | None]] = []
        self.own_database = FakeDatabase(self.log)
        self._began = asyncio.get_running_loop().time()

    @property
    def servers(self) -> Sequence[FakeServer]:
        return [FakeServer(self.log)]

    @property
    def database(self) -> ArenaDatabase | None:
        return self.own_database

    def now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def send(self, order: Order, worker: int | None = None) -> None:
        self.sent.append((order, worker))


def test_every_kind_has_its_strike() -> None:
    assert STRIKES.keys() == KINDS.keys()


@pytest.mark.parametrize(("name", "first"), [("kill-server", "kill"), ("drain-server", "terminate")])
@in_virtual_time
async def test_a_server_goes_and_comes_back_after_its_time(name: str, first: str) -> None:
    arena = FakeArena()
    said: list[str] = []
    [struck] = await play(parse(f"{name}@10s+4s").faults, arena, said.append)
    assert arena.log == [first, "restart"]
    assert [struck.begin_s, struck.end_s] == pytest.approx([10, 14])
    assert struck.marks["other_servers"] == 0
    assert said == [f"{name}@10s+4s begins", f"{name} is over"]


@pytest.mark.parametrize("name", ["kill-server", "drain-server"])
@in_virtual_time
async def test_a_cancelled_run_gets_its_server_back(name: str) -> None:
    arena = FakeArena()
    playing = asyncio.create_task(play(parse(f"{name}@10s+60s").faults, arena))
    await asyncio.sleep(20)
    assert "restart" not in arena.log
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert arena.log[-1] == "restart"


@in_virtual_time
async def test_postgresql_is_stopped_in_both_ways() -> None:
    arena = FakeArena()
    [struck] = await play(parse("restart-pg@10s+10s").faults, arena)
    assert arena.log == ["fast stop", "immediate stop"]
    assert struck.end_s == pytest.approx(15), "it is over with the second restart, half-way"


@in_virtual_time
async def test_consumers_are_stalled_over_the_workers_in_turn() -> None:
    arena = FakeArena()
    [struck] = await play(parse("stall-consumer@10s+13sx3", lease_s=10).faults, arena)
    assert arena.sent == [(Stall(13), 0), (Stall(13), 1), (Stall(13), 0)]
    assert struck.end_s == pytest.approx(23)


@in_virtual_time
async def test_a_fault_that_cannot_be_done_is_told_and_the_others_go_on() -> None:
    arena = FakeArena()
    arena.own_database.broken = True
    first, second = await play((Fault("restart-pg", 10, 10), Fault("kill-server", 30, 0)), arena)
    assert first.failed == "it does not start"
    assert second.failed is None
    assert arena.log == ["kill", "restart"]


def _is_an_arena(arena: FakeArena) -> Arena:
    """For the type checker alone."""
    return arena


@in_virtual_time
async def test_the_arena_of_a_run_passes_on_what_it_is_told() -> None:
    sent: list[tuple[Order, int | None]] = []

    async def order(what: Order, worker: int | None) -> None:
        sent.append((what, worker))

    began = time.perf_counter_ns()
    arena: Arena = RunArena([FakeServer([])], KnownDatabase("host=127.0.0.1", "queen"), 1, began - 3 * 10**9, order)
    assert arena.now_s() >= 3
    [struck] = await play((Fault("restart-pg", 3, 10),), arena)
    assert struck.failed is not None, "a PostgreSQL of somebody else is left alone"
    await arena.sleep(-1)
    await arena.send(Stall(1), 0)
    assert sent == [(Stall(1), 0)]
