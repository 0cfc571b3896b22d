"""Counts per queue since they were last written down, cheap enough for the way of every request.

A queue that does something gets a `Tally`, which is looked up in no table: the catalog's `Queue` holds it. When it is
written down it is taken away, so that only queues that did something lately cost memory, or a look once a minute.

What belongs to no queue that this server knows (an ack of a foreign partition, a pop by namespace that found nothing)
is in the sums over all queues alone: those are counted apart, in `Tallies.total` and in `queen.engine.stats`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from queen.model import COMPLETED, EPOCH_2000_US
from queen.store.activity import Counts

if TYPE_CHECKING:
    from queen.engine.ack import AckGroup, AckResult
    from queen.engine.catalog import Queue
    from queen.engine.pop import PopRequest

_LAG_US_MAX: Final = 10 * 365 * 86_400 * 1_000_000


class Tally:
    """The counts of one queue. `mark` is the last request that was counted: one counts once, however large it is."""

    __slots__ = ("ack_failed", "ack_rejected", "ack_requests", "ack_success", "dead_letters", "lag_count", "lag_us_max",
                 "lag_us_sum", "mark", "pop_empty", "pop_messages", "pop_requests", "push_messages", "push_requests",
                 "transactions")  # fmt: skip

    def __init__(self) -> None:
        self.push_requests = self.push_messages = 0
        self.pop_requests = self.pop_messages = self.pop_empty = 0
        self.ack_requests = self.ack_success = self.ack_failed = self.ack_rejected = 0
        self.transactions = self.dead_letters = 0
        self.lag_count = self.lag_us_sum = self.lag_us_max = 0
        self.mark: object = None

    def add_lag(self, lag_us: int) -> int:
        """Messages of one partition were delivered, the oldest of them so long after it was stored. Returns what of it
        counts: the clocks of server and database may differ by a little."""
        if lag_us < 0:
            lag_us = 0
        elif lag_us > _LAG_US_MAX:
            lag_us = _LAG_US_MAX
        self.lag_count += 1
        self.lag_us_sum += lag_us
        if lag_us > self.lag_us_max:
            self.lag_us_max = lag_us
        return lag_us

    def add_acks(self, success: int, failed: int, rejected: int) -> None:
        """Messages were completed; were sent back or set aside; stayed as they were."""
        self.ack_success += success
        self.ack_failed += failed
        self.ack_rejected += rejected

    def counts(self, parked: int = 0) -> Counts:
        """The same as it is written down."""
        return Counts(
            self.push_requests,
            self.push_messages,
            self.pop_requests,
            self.pop_messages,
            self.pop_empty,
            self.ack_requests,
            self.ack_success,
            self.ack_failed,
            self.ack_rejected,
            self.transactions,
            self.dead_letters,
            self.lag_count,
            parked,
            lag_ms_sum=self.lag_us_sum / 1000,
            lag_ms_max=self.lag_us_max / 1000,
        )


class Tallies:
    """The queues that did something since they were last written down, and the sums that nobody else counts."""

    def __init__(self) -> None:
        self.total = Tally()
        self.clock_ahead_us = 0
        """How far the clock of this machine is ahead of the database's, as far as is known."""
        self._open: dict[Queue, Tally] = {}
        self._marks = 0

    def __len__(self) -> int:
        return len(self._open)

    def of(self, queue: Queue) -> Tally:
        """The tally of a queue; the caller looks at `queue.tally` first."""
        tally = queue.tally = Tally()
        self._open[queue] = tally
        return tally

    def next_mark(self) -> int:
        """A number for one request of whatever kind."""
        self._marks += 1
        return self._marks

    def snapshot(self) -> list[tuple[Queue, Tally]]:
        """All that is open."""
        return list(self._open.items())

    def close(self, most: int) -> list[tuple[Queue, Tally]]:
        """Take away up to `most` tallies, those that counted most; the others go on and are taken later."""
        found = list(self._open.items())
        if len(found) > most:
            found.sort(key=lambda pair: _weight(pair[1]), reverse=True)
            del found[most:]
        for queue, _ in found:
            queue.tally = None
            del self._open[queue]
        return found

    def close_total(self) -> Tally:
        """Take the sums away."""
        total, self.total = self.total, Tally()
        return total

    def begin_pop(self, request: PopRequest) -> None:
        """Count a pop at the queue that it names."""
        if request.named:
            queue = request.sets[0].queue
            (queue.tally or self.of(queue)).pop_requests += 1

    def count_pop(self, request: PopRequest) -> int:
        """Count what a pop got; how many messages that is. One that names no queue counts where it found something."""
        if not request.spans:
            if request.named:
                queue = request.sets[0].queue
                (queue.tally or self.of(queue)).pop_empty += 1
            return 0
        mark, delivered, lag_us_sum, lag_us_max = self.next_mark(), 0, 0, 0
        now_us = int(time.time() * 1_000_000) - self.clock_ahead_us - EPOCH_2000_US
        for partition, span in request.spans:
            queue = partition.queue
            tally = queue.tally or self.of(queue)
            messages, lag_us = len(span.payloads), tally.add_lag(now_us - span.created_ats[0])
            delivered += messages
            tally.pop_messages += messages
            if request.auto_ack:
                tally.ack_success += messages
            if not request.named and tally.mark != mark:
                tally.mark = mark
                tally.pop_requests += 1
            lag_us_sum += lag_us
            lag_us_max = max(lag_us_max, lag_us)
        total = self.total
        total.lag_count += len(request.spans)
        total.lag_us_sum += lag_us_sum
        total.lag_us_max = max(total.lag_us_max, lag_us_max)
        if request.auto_ack:
            total.ack_success += delivered
        return delivered

    def count_acks(self, queue: Queue | None, entry: AckGroup, told: list[AckResult], mark: int) -> None:
        """Count what became of the acks of one partition; `mark` is the same for all partitions of a call."""
        total = self.total
        # Acks of what is unknown count in the sums alone.
        tally = total if queue is None else queue.tally or self.of(queue)
        if tally.mark != mark:
            tally.mark = mark
            tally.ack_requests += 1
        first, number = told[0], len(told)
        # Nearly always all of them were completed.
        if entry.plain and first.error is None and not first.noop and told.count(first) == number:
            tally.ack_success += number
            if tally is not total:
                total.ack_success += number
            return
        success, failed, rejected = _sorted(entry, told)
        tally.add_acks(success, failed, rejected)
        if tally is not total:
            total.add_acks(success, failed, rejected)


def _sorted(entry: AckGroup, told: list[AckResult]) -> tuple[int, int, int]:
    """(completed, sent back or set aside, unchanged) of the acks of one partition."""
    success = failed = rejected = 0
    for item, result in zip(entry.items, told, strict=True):
        if result.error is not None:
            rejected += 1
        elif item.kind != COMPLETED:
            failed += 1
        elif not result.noop:
            success += 1
    return success, failed, rejected


def _weight(tally: Tally) -> int:
    messages = tally.push_messages + tally.pop_messages + tally.ack_success + tally.ack_failed
    return messages + tally.push_requests + tally.pop_requests + tally.ack_requests
