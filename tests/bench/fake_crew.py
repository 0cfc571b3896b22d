"""A crew without processes: one worker that sends, delivers and acks on the clock of the test's event loop.

`loop_clock` puts run, session and live view on that clock. What goes wrong is told beforehand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from queen.bench import live, run, session
from queen.bench.orders import (
    Bye,
    Consume,
    Counts,
    Finish,
    Order,
    Plan,
    Produce,
    Quiet,
    Ready,
    Records,
    Report,
    Slice,
    StopConsuming,
    StopProducing,
    Trouble,
)
from queen.bench.records import ACCEPTED, ACKED, DELIVERY, SEND, SETTLE
from queen.bench.result import LedgerReport
from queen.bench.seen import Seen
from queen.measure.histogram import LatencyHistogram

NS = 10**9


def loop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's clock is that of the loop, and it looks at nothing but its crew."""

    def now_ns() -> int:
        return int(asyncio.get_running_loop().time() * 1e9)

    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time(), perf_counter_ns=now_ns)
    for module in (run, session, live):
        monkeypatch.setattr(module, "time", clock)

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    async def quiet(*_: Any) -> list[str]:
        return []

    async def none(*_: Any) -> int:
        return 0

    surroundings = SimpleNamespace(look=nothing, disturbances=quiet, changed=lambda *_: [])
    monkeypatch.setattr(run, "surroundings", surroundings)
    monkeypatch.setattr(run, "own_queue", lambda *_: nullcontext())
    monkeypatch.setattr(run, "dead_letters", none)
    monkeypatch.setattr(run, "OtherSide", BlindSide)


class BlindSide:
    """Sees nothing of servers and database."""

    def __init__(self, *_: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def follow(self) -> None:
        pass

    def seen(self, *_: object, **__: object) -> Seen:
        return Seen()

    async def explain(self, report: LedgerReport, *_: object) -> LedgerReport:
        return report


class FakeCrew:
    """Rates are those that were ordered, spread over one key; answers take `response_us(second)`."""

    def __init__(
        self,
        plans: list[Plan],
        *,
        response_us: Callable[[int], int] = lambda _: 1_000,
        keeps: int = 0,
        trouble_after_s: int | None = None,
        errors: dict[str, int] | None = None,
    ) -> None:
        self.groups = len(plans[0].groups)
        self.orders: list[Order] = []
        self._response_us, self._keeps, self._trouble_after_s = response_us, keeps, trouble_after_s
        self._errors = errors or {}
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self._rate, self._left = 0.0, 1 << 60
        self._stored = self._taken = 0
        self._consumes = self._stops = False

    async def __aenter__(self) -> FakeCrew:
        self._put(Ready(0, 1))
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ticking.cancel()
        await asyncio.wait({self._ticking})

    async def reports(self) -> AsyncIterator[Report]:
        while (report := await self._reports.get()) is not None:
            yield report

    async def send(self, order: Order, worker: int | None = None) -> None:
        self.orders.append(order)
        match order:
            case Produce():
                self._rate, self._left = order.rate, order.messages or 1 << 60
            case Consume():
                self._consumes = True
            case StopProducing():
                self._stops = True
            case StopConsuming():
                self._consumes = False
                self._put(Quiet(0, "consume"))
            case Finish():
                self._put(Bye(0))
                self._reports.put_nowait(None)

    def _put(self, report: Report) -> None:
        self._reports.put_nowait(report)

    async def _tick(self) -> None:
        """Once a second: what happened in it."""
        loop, ticks = asyncio.get_running_loop(), 0
        while True:
            await asyncio.sleep(1)
            ticks += 1
            now_ns = int(loop.time() * 1e9)
            if self._trouble_after_s is not None and ticks > self._trouble_after_s:
                self._put(Trouble(0, "unreachable", "the server is gone"))
                return
            sent = min(int(self._rate), self._left)
            self._left -= sent
            taken = max(0, self._stored + sent - self._keeps - self._taken) if self._consumes else 0
            self._tell(now_ns, sent, taken)
            self._stored, self._taken = self._stored + sent, self._taken + taken
            if self._stops:  # what was due before the order is sent
                self._stops, self._rate = False, 0.0
                self._put(Quiet(0, "produce"))

    def _tell(self, now_ns: int, sent: int, taken: int) -> None:
        second = now_ns // NS - 1
        latencies = {}
        if sent:
            response = LatencyHistogram()
            response.record_many_us(np.full(sent, self._response_us(second)))
            latencies["response"] = response.encode()
        counts = Counts(due=sent, sent=sent, accepted=sent, delivered=taken, acked=taken, pushes=sent, pops=1)
        self._put(
            Slice(
                worker=0,
                phase="load",
                second=second,
                counts=counts,
                latencies=latencies,
                errors=self._errors,
                in_flight=0,
                cpu_s=0.1,
                rss_bytes=1,
            )
        )
        self._put(self._records(now_ns, sent, taken))

    def _records(self, now_ns: int, sent: int, taken: int) -> Records:
        at = now_ns - 1000
        sends = [(0, self._stored, sent, ACCEPTED, at - 500, at)] if sent else []
        numbers = range(self._taken, self._taken + taken)
        deliveries = [(0, 0, number, number, -1, 1, at + 1, at + 2, 7, 0) for number in numbers]
        settles = [(0, 0, self._taken, taken, 7, ACKED, at + 3, at + 4)] if taken else []
        return Records(
            worker=0,
            until_ns=now_ns,
            sends=np.array(sends, SEND).tobytes(),
            deliveries=np.array(deliveries, DELIVERY).tobytes(),
            settles=np.array(settles, SETTLE).tobytes(),
        )
