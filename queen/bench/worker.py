"""One process of load: `python -m queen.bench.worker`. Orders come on standard input, reports go to standard output.

It ends with its input, so that nothing is left when the bench dies. Automatic garbage collection is off from the start
of production; the young objects are collected by hand at the end of each second.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import time

from queen.bench.consumer import Consumer
from queen.bench.frames import pack, read_order
from queen.bench.link import Tally, spread
from queen.bench.orders import (
    Bye,
    Consume,
    Finish,
    Plan,
    Produce,
    Quiet,
    Ready,
    Records,
    Report,
    Slice,
    Stall,
    StopConsuming,
    StopProducing,
    Trouble,
)
from queen.bench.producer import Producer
from queen.bench.recorder import Recorder, Second

TICK_S = 0.05
RECORDS_EVERY = 4
"""Ticks between two Records."""
FOLD_AT = 500
"""Messages that are folded at once: small portions keep the loop punctual."""
OUTPUT_BYTES_MAX = 128 << 20
"""What the parent may leave unread before the worker gives up."""


class Worker:
    """Everything of one plan."""

    def __init__(self, plan: Plan, output: asyncio.WriteTransport) -> None:
        self.plan, self._output = plan, output
        self._tally, self._recorder = Tally(), Recorder()
        self._phase = ""
        self._second = time.perf_counter_ns() // 10**9
        self._cpu_s = _cpu_s()
        self._troubled = False
        self.over = asyncio.Event()
        self._producer = Producer(plan, self._recorder, self._tally, lambda: self._quiet("produce"), self._trouble)
        self._consumers = self._make_consumers()
        self._busy_consumers = 0
        self._ticks = 0

    def _make_consumers(self) -> list[Consumer]:
        plan, load = self.plan, self.plan.workload
        count = len(plan.groups) * load.consumers
        mine = range(plan.worker, count, plan.workers)
        spreads = spread(len(mine), plan.targets, plan.worker)
        return [
            Consumer(
                plan,
                number // load.consumers,
                targets,
                self._recorder,
                self._tally,
                self._consumer_quiet,
                self._trouble,
                number,
            )
            for number, targets in zip(mine, spreads, strict=True)
        ]

    async def open(self) -> None:
        """Connect everything. Raises OSError and TimeoutError."""
        links = [*self._producer.links, *(consumer.link for consumer in self._consumers)]
        for link in links:
            await link.connect()
        # The first fold of all costs many milliseconds: it is done before the clock starts.
        dict(Second([(1, 1, 1, 1, 1)], [0], [1], [1], []).metrics())
        self._say(Ready(self.plan.worker, os.getpid()))

    def obey(self, order: object) -> None:
        """Carry out one order after the plan."""
        if isinstance(order, Produce):
            self._phase = order.phase
            gc.collect()
            gc.freeze()
            gc.disable()
            self._producer.start(order)
        elif isinstance(order, StopProducing):
            self._producer.stop()
        elif isinstance(order, Consume):
            self._busy_consumers = len(self._consumers)
            for consumer in self._consumers:
                consumer.start()
        elif isinstance(order, StopConsuming):
            for consumer in self._consumers:
                consumer.stop()
            if not self._busy_consumers:
                self._quiet("consume")
        elif isinstance(order, Stall):
            if self._consumers:
                self._consumers[0].stall(order.seconds)
        elif isinstance(order, Finish):
            self.over.set()

    async def run(self) -> None:
        """Tick until it is over."""
        while not self.over.is_set():
            await asyncio.sleep(TICK_S)
            self._ticks += 1
            if self._recorder.pending >= FOLD_AT:
                self._recorder.fold()
            if self._ticks % RECORDS_EVERY == 0:
                self._send_records()
                self._check()
            if time.perf_counter_ns() // 10**9 > self._second:
                await self._end_second()

    async def finish(self) -> None:
        """Report the rest, and say goodbye."""
        # Each second counts what was due before it began; this one has no next.
        self._producer.count_due(time.perf_counter_ns())
        self._send_records()
        await self._end_second()
        self._say(Bye(self.plan.worker))

    def close(self) -> None:
        self._producer.close()
        for consumer in self._consumers:
            consumer.close()

    def _check(self) -> None:
        now = time.perf_counter_ns()
        self._producer.check(now)
        for consumer in self._consumers:
            consumer.link.check(now)
        if self._output.get_write_buffer_size() > OUTPUT_BYTES_MAX:
            raise RuntimeError("the bench does not read what its worker reports")

    def _send_records(self) -> None:
        now = time.perf_counter_ns()
        sends, deliveries, settles = self._recorder.take_rows()
        self._say(
            Records(
                worker=self.plan.worker,
                until_ns=now,
                sends=sends,
                deliveries=deliveries,
                settles=settles,
                evidence=self._recorder.take_evidence(),
            )
        )

    async def _end_second(self) -> None:
        second, self._second = self._second, time.perf_counter_ns() // 10**9
        self._producer.count_due(self._second * 10**9)
        counts, errors = self._tally.counts, dict(self._tally.errors)
        latencies = self._recorder.take_latencies()
        counts.redelivered, self._recorder.redelivered = self._recorder.redelivered, 0
        self._tally.counts = type(counts)()
        self._tally.errors.clear()
        self._producer.churn()
        in_flight, cpu_s = self._producer.in_flight, _cpu_s()
        encoded = {}
        for name, histogram in latencies.metrics():
            encoded[name] = histogram
            await asyncio.sleep(0)
        if not gc.isenabled():
            gc.collect(1)
        self._say(
            Slice(
                worker=self.plan.worker,
                phase=self._phase,
                second=second,
                counts=counts,
                latencies=encoded,
                errors=errors,
                in_flight=in_flight,
                cpu_s=cpu_s - self._cpu_s,
                rss_bytes=_rss_bytes(),
                collections=0 if gc.isenabled() else 1,
                above_range=latencies.above_range,
                negative=latencies.negative,
            )
        )
        self._cpu_s = cpu_s

    def _quiet(self, what: str) -> None:
        # What is quiet has no rows left to send, so that the parent may judge.
        asyncio.get_running_loop().call_soon(self._say_quiet, what)

    def _say_quiet(self, what: str) -> None:
        self._send_records()
        self._say(Quiet(self.plan.worker, what))

    def _consumer_quiet(self) -> None:
        self._busy_consumers -= 1
        if not self._busy_consumers:
            self._quiet("consume")

    def _trouble(self, kind: str, message: str) -> None:
        if not self._troubled:
            self._troubled = True
            self._say(Trouble(self.plan.worker, kind, message))
            self.over.set()

    def _say(self, report: Report) -> None:
        self._output.write(pack(report))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rss_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _streams() -> tuple[asyncio.StreamReader, asyncio.WriteTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)
    return reader, output


async def main() -> None:
    """The life of a worker."""
    reader, output = await _streams()
    plan = await read_order(reader)
    if not isinstance(plan, Plan):
        return
    worker = Worker(plan, output)
    try:
        await worker.open()
    except (OSError, TimeoutError) as error:
        output.write(pack(Trouble(plan.worker, "unreachable", str(error) or "the target does not answer")))
        await _written(output)
        return
    running = asyncio.create_task(worker.run())
    try:
        await _obey_all(worker, reader, running)
    finally:
        running.cancel()
        worker.close()
    await _written(output)


async def _obey_all(worker: Worker, reader: asyncio.StreamReader, running: asyncio.Task[None]) -> None:
    """Until it is over, or the parent is gone."""
    while not running.done():
        reading = asyncio.ensure_future(read_order(reader))
        await asyncio.wait((reading, running), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            continue
        order = reading.result()
        if order is None:
            return
        worker.obey(order)
        if worker.over.is_set():
            await running
    running.result()
    await worker.finish()


async def _written(output: asyncio.WriteTransport) -> None:
    """Waits until the parent has read everything, for a while."""
    until = time.monotonic() + 10
    # A transport tells nobody when its buffer is empty.
    while output.get_write_buffer_size() and not output.is_closing() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    assert time.get_clock_info("perf_counter").monotonic
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
