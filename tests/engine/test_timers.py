"""Timers that are due already, on both event loops: uvloop's handle for "now" cannot tell its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from queen.engine.catalog import Partition, Queue
from queen.engine.leases import Leases
from queen.engine.ready import ReadySet, Waiter
from queen.engine.stats import Stats
from queen.engine.timers import Timers

PATIENCE_S = 60.0

on_each_loop = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])


def _run(factory: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(work, PATIENCE_S))


@on_each_loop
def test_deadlines_in_the_past_and_soon_all_ring(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        timers, now = Timers(), asyncio.get_running_loop().time()
        waiters = [Waiter([], None) for _ in range(4)]
        for waiter, after_s in zip(waiters, (-1.0, 0.1, -2.0, 0.0), strict=True):
            timers.add(now + after_s, waiter)
        assert [await waiter.future for waiter in waiters] == [False] * 4

    _run(factory, work())


@on_each_loop
def test_holds_that_are_over_at_once_free_their_partitions(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        leases, queue = Leases(Stats(), 100), Queue(1, "orders")
        ready = ReadySet(queue, "g")
        waiters = [Waiter([ready], number) for number in (1, 2, 3)]
        for number, after_s in ((1, 0.0), (2, 0.05), (3, -1.0)):
            leases.hold(ready, Partition(number, queue, str(number), 1), after_s)
        assert [await waiter.future for waiter in waiters] == [True] * 3
        leases.close()

    _run(factory, work())
