"""The open loop of one worker: every push is taken up when it is due, whatever became of those before it.

A push that is due waits for a free connection, first come first served. `inflight_max` bounds what was taken up and is
not answered: what is due beyond it waits in the schedule, keeps its intended times, and is counted as overflow.
A push is written when it has its connection, so that `floor` is fresh. Knows nothing of consumers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from queen.bench import schedule
from queen.bench.alarm import Alarm
from queen.bench.link import Link, Tally, post, spread
from queen.bench.orders import Plan, Produce
from queen.bench.payload import PushBodies
from queen.bench.recorder import Recorder
from queen.bench.records import ACCEPTED, DUPLICATE, REFUSED, UNKNOWN

COALESCE_NS = 200_000
"""Pushes that are due closer to each other are sent at one wake-up."""
_TURN_MAX = 32
"""Pushes of one turn, so that answers are read in between also when the sender is behind."""
_LINGERS_NS = 1_000_000
_NOT_STORED = {"overloaded", "shutting_down", "pool_timeout"}


class _Item(msgspec.Struct):
    status: str = ""


class _Error(msgspec.Struct):
    code: str = ""


_ITEMS = msgspec.json.Decoder(list[_Item])
_ERROR = msgspec.json.Decoder(_Error)
_OUTCOMES = {"queued": ACCEPTED, "buffered": ACCEPTED, "duplicate": DUPLICATE}


class Push:
    """One push on its way."""

    __slots__ = ("due", "first", "intended", "key", "queued", "sent", "taken")

    def __init__(self, due: int, taken: int, queued: int, intended: list[int]) -> None:
        self.due, self.taken, self.queued, self.intended = due, taken, queued, intended
        self.key = self.first = self.sent = 0


class Producer:
    """Owns the connections that push. `on_quiet`: asked to stop, and nothing is under way."""

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        tally: Tally,
        on_quiet: Callable[[], None],
        on_trouble: Callable[[str, str], None],
    ) -> None:
        load = plan.workload
        self._plan, self._recorder, self._tally = plan, recorder, tally
        self._on_quiet, self._on_trouble = on_quiet, on_trouble
        self._bodies = PushBodies(plan)
        self._keys = schedule.Keys(load, seed=plan.seed, worker=plan.worker, workers=plan.workers)
        self._next_sequence: dict[int, int] = {}
        self._flights: dict[int, list[int]] = {}
        """First sequences of the pushes under way, by key."""
        self._timeout_ns = int(plan.request_timeout_s * 1e9)
        share = len(range(plan.worker, load.connections, plan.workers)) or 1
        self.links = [
            Link(target, self, tally, self._timeout_ns) for target in spread(share, plan.targets, plan.worker)
        ]
        self._jobs: dict[Link, Push] = {}
        self._free: deque[Link] = deque()
        self._waiting: deque[Push] = deque()
        self.in_flight = 0
        """Messages taken up and not answered."""
        self._orders = 0
        self._batches: Iterator[schedule.Batch] = iter(())
        self._next: schedule.Batch | None = None
        self._due: schedule.Due | None = None
        self._blocked_ns = 0
        self._stopping = False
        self._ends = 0
        self._churn = 0.0
        self._alarm = Alarm(self._turn)

    # Orders

    def start(self, order: Produce) -> None:
        """Replaces the schedule."""
        plan, load = self._plan, self._plan.workload
        seed = (plan.seed, self._orders)
        self._orders += 1

        def times() -> Iterator[schedule.Times]:
            return schedule.times(
                order.rate,
                load.arrivals,
                seed=seed,
                start_ns=order.start_ns,
                worker=plan.worker,
                workers=plan.workers,
                end_ns=order.end_ns,
                messages=order.messages,
            )

        self.count_due(time.perf_counter_ns())
        self._batches = schedule.batches(times(), load.push_batch, int(load.linger_ms * 1e6))
        self._due = schedule.Due(times())
        self._stopping, self._blocked_ns = False, 0
        self._next = next(self._batches, None)
        self._turn()

    def stop(self) -> None:
        """Send nothing that is not due yet."""
        self.count_due(time.perf_counter_ns())
        self._next, self._due, self._stopping = None, None, True
        self._check_quiet()

    def count_due(self, now: int) -> None:
        """Adds the messages whose intended time has passed to the counts."""
        if self._due is not None:
            self._tally.counts.due += self._due.until(now)

    def check(self, now: int) -> None:
        """Several times a second: requests that take too long, and pushes that never got a connection."""
        for link in self.links:
            link.check(now)
        while self._waiting and now - self._waiting[0].queued > self._timeout_ns:
            push = self._waiting.popleft()
            self._tally.errors["no_connection"] += 1
            self._tally.counts.refused += len(push.intended)
            self._done(push)
        self._check_quiet()

    def churn(self) -> None:
        """Once a second: close some of the idle connections, which open again by themselves."""
        self._churn += len(self.links) * self._plan.workload.churn_per_s
        while self._churn >= 1 and self._free:
            self._free.popleft().churn()
            self._churn -= 1
        self._churn = min(self._churn, len(self.links))

    def close(self) -> None:
        self._alarm.close()
        for link in self.links:
            link.close()

    # The clock

    def _turn(self) -> None:
        now = time.perf_counter_ns()
        for _ in range(_TURN_MAX):
            if self._next is None:
                self._check_quiet()
                return
            due, intended = self._next
            if due > now:
                self._alarm.set(max(due, now + COALESCE_NS))
                return
            if not self._take(due, intended, now):
                return
            self._next = next(self._batches, None)
            now = time.perf_counter_ns()
        self._alarm.set(now)

    def _take(self, due: int, intended: list[int], now: int) -> bool:
        count = len(intended)
        if self.in_flight and self.in_flight + count > self._plan.inflight_max:
            self._tally.counts.overflow += count if not self._blocked_ns else 0
            self._blocked_ns = self._blocked_ns or now
            return False
        # Held up by the bound is not held up by this worker: that wait belongs to the connection.
        taken = max(due, self._blocked_ns) if self._blocked_ns else now
        if self._blocked_ns and self._blocked_ns < due:
            self._tally.counts.overflow += count
        if now - due < _LINGERS_NS:
            self._blocked_ns = 0
        self.in_flight += count
        push = Push(due, taken, now, intended)
        if self._free:
            self._write(self._free.popleft(), push)
        else:
            self._waiting.append(push)
        return True

    # Sending

    def _write(self, link: Link, push: Push) -> None:
        key, count = self._choose(), len(push.intended)
        first = self._next_sequence.get(key, 0)
        self._next_sequence[key] = first + count
        flights = self._flights.get(key)
        if flights:
            floor = min(flights) - 1
            flights.append(first)
        else:
            floor = first - 1
            self._flights[key] = [first]
        push.key, push.first = key, first
        body = self._bodies.write(key, first, floor, push.intended)
        self._jobs[link] = push
        push.sent = link.send(post("/api/v1/push", link.target, body))
        self._tally.counts.pushes += 1
        self._tally.counts.sent += count

    def _choose(self) -> int:
        """The drawn key; with an even spread the next one that has no push under way, so that order can be judged."""
        owned, place = self._keys.owned, self._keys.draw()
        key = owned[place]
        if key in self._flights and self._keys.is_uniform and len(self._flights) < len(owned):
            while key in self._flights:
                place = (place + 1) % len(owned)
                key = owned[place]
        return key

    # Answers

    def on_free(self, link: Link) -> None:
        if self._waiting:
            self._write(link, self._waiting.popleft())
        else:
            self._free.append(link)

    def on_lost(self, link: Link) -> None:
        if link in self._free:
            self._free.remove(link)

    def on_answer(self, link: Link, status: int, body: bytes, now: int) -> None:
        push = self._jobs.pop(link)
        count = len(push.intended)
        if status == 201 and body.count(b'"queued"') == count:
            self._tally.counts.accepted += count
            self._recorder.sent(push.key, push.first, count, ACCEPTED, push.sent, now)
            self._recorder.pushed(push.intended, push.due, push.taken, push.sent, now)
        else:
            self._judge(push, status, body, now)
        self._settle(push)
        self.on_free(link)

    def on_failed(self, link: Link, kind: str, now: int) -> None:
        push = self._jobs.pop(link)
        self._unknown(push, now)
        if kind == "bad_answer":
            self._on_trouble("not_queen", "what came back for a push is no answer of a Queen server")
        self._settle(push)

    def _judge(self, push: Push, status: int, body: bytes, now: int) -> None:
        if status == 201:
            self._sort_out(push, body, now)
            return
        try:
            code = _ERROR.decode(body).code
        except msgspec.DecodeError:
            code = ""
            self._on_trouble("not_queen", f"a push was answered with {status} and no JSON")
        self._tally.errors[f"http_{status} {code}".strip()] += 1
        if status >= 500 and code not in _NOT_STORED:
            self._unknown(push, now)
        else:
            self._tally.counts.refused += len(push.intended)
            self._recorder.sent(push.key, push.first, len(push.intended), REFUSED, push.sent, now)

    def _sort_out(self, push: Push, body: bytes, now: int) -> None:
        """An answer with other words than `queued`: what failed on its own may or may not be stored."""
        try:
            items = _ITEMS.decode(body)
        except msgspec.DecodeError:
            items = []
        if len(items) != len(push.intended):
            self._on_trouble("not_queen", "the answer to a push does not fit the push")
            return self._unknown(push, now)
        counts = self._tally.counts
        for place, item in enumerate(items):
            outcome = _OUTCOMES.get(item.status, UNKNOWN)
            counts.accepted += outcome == ACCEPTED
            counts.duplicates += outcome == DUPLICATE
            counts.unknown += outcome == UNKNOWN
            self._recorder.sent(push.key, push.first + place, 1, outcome, push.sent, now)
            if outcome == UNKNOWN:
                self._tally.errors["item failed"] += 1
        return self._recorder.pushed(push.intended, push.due, push.taken, push.sent, now)

    def _unknown(self, push: Push, now: int) -> None:
        """It was given up now; so long its sender waited for nothing."""
        self._tally.counts.unknown += len(push.intended)
        self._recorder.sent(push.key, push.first, len(push.intended), UNKNOWN, push.sent, now)
        self._recorder.pushed(push.intended, push.due, push.taken, push.sent, now)

    def _settle(self, push: Push) -> None:
        flights = self._flights[push.key]
        if len(flights) == 1:
            del self._flights[push.key]
        else:
            flights.remove(push.first)
        self._done(push)

    def _done(self, push: Push) -> None:
        self.in_flight -= len(push.intended)
        if self._blocked_ns and self._next is not None:
            self._alarm.set(1)
        if not self.in_flight:
            self._check_quiet()

    def _check_quiet(self) -> None:
        is_over = self._stopping or (self._orders and self._next is None)
        if is_over and not self.in_flight and self._ends < self._orders:
            self._ends = self._orders
            self._on_quiet()
