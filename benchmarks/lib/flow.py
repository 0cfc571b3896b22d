"""The closed loop itself: what each connection sends when its last request is answered.

A pusher pushes until pushing ends, and pauses while the backlog is at its bound. A consumer pops, acks all it
got and pops again, until pushing has ended and nothing is outstanding. So the loop always comes to rest on an
empty queue, unless only pushing was asked for.
It knows the requests and the ledger; when to start, measure and stop is decided by load.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec

from benchmarks.lib.ledger import Ledger
from benchmarks.lib.plan import VERBS, Failed, Plan, Verb
from benchmarks.lib.traffic import (
    PAYLOADS,
    PoppedMessage,
    PushRequests,
    ack_request,
    check_ack,
    check_push,
    make_payloads,
    pop_request,
    read_payloads,
    read_pop,
)
from queen.bench.connection import BadAnswer, Connection, OnLost

PAYLOAD_CHECK_EVERY = 16
NEVER = 1 << 62


class Lane(Connection):
    """A connection and what it has under way."""

    def __init__(self, on_lost: OnLost) -> None:
        super().__init__(on_lost)
        self.first = 0
        self.count = 0
        self.partitions: list[int] = []
        self.numbers: list[int] = []


class Flow:
    """All connections of one plan. `cut` is set when a bound of messages is met or the flow has failed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        # Two pushes to one partition under way at once may be stored in either order. With enough partitions
        # each push takes some that no other uses, and the order over requests can be judged.
        self._exclusive = plan.partitions >= plan.connections * plan.spread
        self.ledger = Ledger(f"{plan.run_id}-{plan.size:04d}-", judge_order=self._exclusive)
        self.lanes: list[Lane] = []
        self.requests: dict[Verb, int] = dict.fromkeys(VERBS, 0)
        self.pops_empty = 0
        self.latency_ns: dict[str, list[int]] = {}
        self.failure: Failed | None = None
        self.pushing = False
        self.backlog_max = NEVER
        self.cut = asyncio.Event()
        self._cut_pushed = self._cut_acked = NEVER
        self._payloads = make_payloads(plan.seed, plan.payload_bytes)
        self._push_requests = PushRequests(plan, self.ledger.prefix, self._payloads, plan.size)
        self._pop_request = pop_request(plan)
        self._partitions = deque(range(plan.partitions))
        self._paused: deque[Lane] = deque()
        self._busy = 0
        self._rest = asyncio.Event()
        self._closing = False
        self.forget_latency()

    async def connect(self) -> None:
        """Opens all connections. Raises OSError."""
        loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            factory = partial(Lane, partial(self.fail, "unexpected"))
            _, lane = await loop.create_connection(factory, self.plan.host, self.plan.port)
            self.lanes.append(lane)

    def close(self) -> None:
        self._closing = True
        for lane in self.lanes:
            lane.close()

    def fail(self, kind: Literal["unreachable", "unexpected", "stalled"], message: str) -> None:
        """Ends everything; the first reason stays."""
        if not self._closing and self.failure is None:
            self.failure = Failed(kind, message)
            self.cut.set()
            self._rest.set()

    def forget_latency(self) -> None:
        self.latency_ns = {verb: [] for verb in VERBS}

    def cut_at(self, *, pushed: int = NEVER, acked: int = NEVER) -> None:
        """Asks for `cut` when so many messages in all are pushed or acked; clears it before."""
        if self.failure is None:
            self.cut.clear()
        self._cut_pushed, self._cut_acked = pushed, acked

    # Starting and stopping

    def start_pushing(self, lanes: Sequence[Lane]) -> None:
        self.pushing = True
        for lane in lanes:
            self._begin()
            self._next_push(lane)

    def start_consuming(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            self._begin()
            self._next_pop(lane)

    def stop_pushing(self) -> None:
        self.pushing = False
        while self._paused:
            self._next_push(self._paused.popleft())

    async def rest(self) -> None:
        """Waits until no connection has anything under way, or the flow has failed."""
        if self._busy and self.failure is None:
            await self._rest.wait()

    async def push_once(self, partitions: Sequence[int]) -> None:
        """One message into each of the given partitions, in one request."""
        lane, count = self.lanes[0], len(partitions)
        requests = PushRequests(self.plan, self.ledger.prefix, self._payloads, count)
        lane.first, lane.count, lane.partitions = self.ledger.reserve(count), count, []
        self._begin()
        lane.send(requests.make(lane.first, partitions), partial(self._on_push, lane))
        await self.rest()

    def _begin(self) -> None:
        self._busy += 1
        if self.failure is None:
            self._rest.clear()

    def _end(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._rest.set()

    # Pushers

    def _next_push(self, lane: Lane) -> None:
        if not self.pushing or self.failure is not None:
            self._end()
        elif self.ledger.outstanding >= self.backlog_max:
            self._paused.append(lane)
        else:
            lane.count = self.plan.size
            lane.first = self.ledger.reserve(lane.count)
            lane.partitions = self._take_partitions()
            lane.send(self._push_requests.make(lane.first, lane.partitions), partial(self._on_push, lane))

    def _on_push(self, lane: Lane, status: int, body: bytes) -> None:
        check_push(status, body, lane.count)
        self._count("push", lane)
        self.ledger.note_pushed(lane.first, lane.count)
        if self._exclusive:
            self._partitions.extend(lane.partitions)
        if self.ledger.pushed >= self._cut_pushed:
            self.cut.set()
        self._next_push(lane)

    def _take_partitions(self) -> list[int]:
        taken = [self._partitions.popleft() for _ in range(self.plan.spread)]
        if not self._exclusive:
            self._partitions.extend(taken)
        return taken

    # Consumers

    def _next_pop(self, lane: Lane) -> None:
        if self.failure is not None or (not self.pushing and not self.ledger.outstanding):
            self._end()
        else:
            lane.send(self._pop_request, partial(self._on_pop, lane))

    def _on_pop(self, lane: Lane, status: int, body: bytes) -> None:
        messages = read_pop(status, body)
        if not messages:
            self.pops_empty += 1
            self._next_pop(lane)
            return
        self._count("pop", lane)
        lane.numbers = self.ledger.note_popped(messages)
        if self.requests["pop"] % PAYLOAD_CHECK_EVERY == 0:
            self._check_payloads(lane.numbers, body)
        self._ack(lane, messages)

    def _ack(self, lane: Lane, messages: list[PoppedMessage]) -> None:
        lane.send(ack_request(self.plan, messages), partial(self._on_ack, lane))

    def _on_ack(self, lane: Lane, status: int, body: bytes) -> None:
        refused = check_ack(status, body, len(lane.numbers))
        if refused:
            self.ledger.anomaly("refused", refused[0], len(refused))
            raise BadAnswer(f"{len(refused)} of {len(lane.numbers)} acks refused: {refused[0]}")
        self._count("ack", lane)
        self.ledger.note_acked(lane.numbers)
        if self.ledger.acked >= self._cut_acked:
            self.cut.set()
        self._next_pop(lane)
        while self._paused and self.ledger.outstanding < self.backlog_max:
            self._next_push(self._paused.popleft())

    def _count(self, verb: Verb, lane: Lane) -> None:
        self.requests[verb] += 1
        self.latency_ns[verb].append(lane.elapsed_ns)

    def _check_payloads(self, numbers: list[int], body: bytes) -> None:
        """Bytes are compared first; a server may also re-space JSON, so then the values."""
        for number, (transaction_id, payload) in zip(numbers, read_payloads(body), strict=True):
            sent = self._payloads[number % PAYLOADS]
            if number >= 0 and payload != sent and msgspec.json.decode(payload) != msgspec.json.decode(sent):
                self.ledger.anomaly("corrupt", transaction_id)
