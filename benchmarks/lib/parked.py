"""A process that holds parked polls: `python -m benchmarks.lib.parked`, a plan and then orders on standard input.

One connection a poll, without a task of its own; a poll that ends empty is sent again. Orders are single lines:
`read` answers with the counters, `wake` pushes one message to each of some queues, one after the other, and takes
the time until a poll of that queue has it. The end of the input ends the process.
It knows nothing of what the polls cost the server.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from functools import partial
from typing import Any

import msgspec
import uvloop

from benchmarks.lib.load import summary
from benchmarks.lib.plan import Failed, Latency
from benchmarks.lib.traffic import check_push
from queen.bench.connection import BadAnswer, Connection, OnLost

CONNECTING_MAX = 100
PRIME_MESSAGES_MAX = 1000
WAKE_TIMEOUT_S = 10.0


class ParkedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`polls` are dealt out to `queues`, named `<prefix><first_queue…>`. `wakes` is the number of queues that `wake`
    pushes to. `poll_ms` is the time-out that a poll asks for."""

    host: str
    port: int
    prefix: str
    first_queue: int
    queues: int
    polls: int
    poll_ms: int
    wakes: int
    timeout_s: float


class Parked(msgspec.Struct, frozen=True, tag="parked"):
    """All polls are under way. `seconds` is what it took."""

    polls: int
    seconds: float


class PollCounters(msgspec.Struct, frozen=True, tag="counters"):
    """Totals since the start: polls that ended empty and were sent again, messages had, processor time."""

    renewed: int
    messages: int
    cpu_s: float


class Woken(msgspec.Struct, frozen=True, tag="woken"):
    """From the push written to the poll answered; `late` pushes woke no poll in time."""

    latency: Latency | None
    times_ns: list[int]
    late: int


ParkedEvent = Parked | PollCounters | Woken | Failed
PARKED_EVENTS = msgspec.json.Decoder(ParkedEvent)


class Poll(Connection):
    """One parked poll and its queue."""

    def __init__(self, on_lost: OnLost, queue: int) -> None:
        super().__init__(on_lost)
        self.queue = queue
        self._retired = False

    def retire(self) -> None:
        """Closes it for good; that is no loss."""
        self._retired = True
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._retired:
            super().connection_lost(exc)


class Holder:
    """All polls of one process."""

    def __init__(self, plan: ParkedPlan) -> None:
        self.plan = plan
        self.renewed = 0
        self.messages = 0
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._polls: list[Poll] = []
        self._requests = [self._pop_request(number) for number in range(plan.queues)]
        self._primed = asyncio.Event()
        self._waking = -1
        self._woken: asyncio.Future[int] | None = None
        self._closing = False

    def fail(self, reason: str) -> None:
        if not self._closing and not self.failed.done():
            self.failed.set_result(reason)

    async def park(self) -> Parked:
        """Makes the queues by a message each, opens all connections, and waits until the polls took those messages."""
        clock = time.perf_counter()
        pusher = await self._connect(0)
        for start in range(0, self.plan.queues, PRIME_MESSAGES_MAX):
            await self._push(pusher, range(start, min(start + PRIME_MESSAGES_MAX, self.plan.queues)), "prime")
        pusher.retire()
        for start in range(0, self.plan.polls, CONNECTING_MAX):
            numbers = range(start, min(start + CONNECTING_MAX, self.plan.polls))
            polls = await asyncio.gather(*[self._connect(number % self.plan.queues) for number in numbers])
            for poll in polls:
                self._send(poll)
            self._polls += polls
        await asyncio.wait_for(self._primed.wait(), self.plan.timeout_s)
        return Parked(len(self._polls), time.perf_counter() - clock)

    async def wake(self) -> Woken:
        """Queues far apart from each other, so that not one page of anything serves them all."""
        step = max(1, self.plan.queues // self.plan.wakes)
        pusher = await self._connect(0)  # a new one: the server closes a connection that is idle for long
        times: list[int] = []
        for queue in range(0, step * self.plan.wakes, step)[: self.plan.queues]:
            self._waking = queue % self.plan.queues
            self._woken = asyncio.get_running_loop().create_future()
            sent = time.perf_counter_ns()
            await self._push(pusher, [self._waking], f"wake-{queue}")
            try:
                times.append(await asyncio.wait_for(self._woken, WAKE_TIMEOUT_S) - sent)
            except TimeoutError:
                continue
        pusher.retire()
        return Woken(summary(times) if times else None, times, self.plan.wakes - len(times))

    def counters(self) -> PollCounters:
        return PollCounters(self.renewed, self.messages, time.process_time())

    def close(self) -> None:
        self._closing = True
        for poll in self._polls:
            poll.close()

    async def _connect(self, queue: int) -> Poll:
        factory = partial(Poll, self.fail, queue)
        _, poll = await asyncio.get_running_loop().create_connection(factory, self.plan.host, self.plan.port)
        return poll

    def _send(self, poll: Poll) -> None:
        poll.send(self._requests[poll.queue], partial(self._on_pop, poll))

    def _on_pop(self, poll: Poll, status: int, body: bytes) -> None:
        if status == 204:
            self.renewed += 1
        elif status == 200:
            self._on_message(poll)
        else:
            raise BadAnswer(f"a poll was answered {status}: {body[:300]!r}")
        self._send(poll)

    def _on_message(self, poll: Poll) -> None:
        self.messages += 1
        if self.messages >= self.plan.queues:
            self._primed.set()
        if poll.queue == self._waking and self._woken is not None and not self._woken.done():
            self._woken.set_result(time.perf_counter_ns())

    async def _push(self, pusher: Poll, queues: range | list[int], label: str) -> None:
        items = [
            {"queue": self._name(queue), "transactionId": f"{self._name(queue)}-{label}", "payload": {"number": queue}}
            for queue in queues
        ]
        body = msgspec.json.encode({"items": items})
        head = f"POST /api/v1/push HTTP/1.1\r\nHost: {self.plan.host}:{self.plan.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        pusher.send(head.encode() + body, lambda status, answer: done.set_result((status, answer)))
        check_push(*await asyncio.wait_for(done, self.plan.timeout_s), len(items))

    def _name(self, number: int) -> str:
        return f"{self.plan.prefix}{self.plan.first_queue + number}"

    def _pop_request(self, number: int) -> bytes:
        query = f"batch=1&wait=true&timeout={self.plan.poll_ms}&autoAck=true"
        target = f"/api/v1/pop/queue/{self._name(number)}?{query}"
        return f"GET {target} HTTP/1.1\r\nHost: {self.plan.host}:{self.plan.port}\r\n\r\n".encode()


def emit(event: ParkedEvent) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


async def _obey(holder: Holder, orders: asyncio.StreamReader) -> None:
    emit(await holder.park())
    gc.freeze()
    while order := (await orders.readline()).strip():
        if order == b"read":
            emit(holder.counters())
        elif order == b"wake":
            emit(await holder.wake())


async def _run() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, orders), sys.stdin)
    holder = Holder(msgspec.json.decode(await orders.readline(), type=ParkedPlan))
    loop.set_exception_handler(lambda _, context: holder.fail(_describe(context)))
    work = asyncio.create_task(_obey(holder, orders))
    both: set[asyncio.Future[Any]] = {work, holder.failed}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if holder.failed.done():
        emit(Failed("unexpected", holder.failed.result()))
    elif error := work.exception():
        emit(Failed("unreachable" if isinstance(error, OSError) else "unexpected", repr(error)))
    work.cancel()
    holder.close()


def _describe(context: dict[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r}"


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run())


if __name__ == "__main__":
    main()
