"""Counters and latencies of the engine: plain integers, one snapshot call. Rates come from a short ring of samples."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass

from queen.engine.events import Ring
from queen.engine.tally import Tallies
from queen.measure.buckets import Buckets, FineBuckets

RATE_WINDOW_S = 10


@dataclass(slots=True)
class Counters:
    """Totals since the start of this process."""

    push_requests: int = 0
    push_messages: int = 0
    push_duplicates: int = 0
    push_failed: int = 0
    push_repeats: int = 0
    push_scheduled: int = 0
    scheduled_placed: int = 0
    enqueued_placed: int = 0
    enqueued_duplicates: int = 0
    pop_requests: int = 0
    pop_messages: int = 0
    pop_empty: int = 0
    ack_requests: int = 0
    ack_messages: int = 0
    ack_rejected: int = 0
    dead_letters: int = 0
    leases_extended: int = 0
    leases_expired: int = 0
    epochs_opened: int = 0
    epochs_dropped: int = 0
    epochs_rewritten: int = 0
    messages_hidden: int = 0
    upkeep_lock_timeouts: int = 0
    clients_stalled: int = 0
    announcements_sent: int = 0
    announcements_failed: int = 0
    announcements_received: int = 0
    requests_refused: int = 0
    requests_failed: int = 0


class Stats:
    """Counters, latencies, and rates over the last ten seconds from samples taken once a second.

    The latencies are microseconds of requests of the message plane that were answered, not refused, from their whole
    body to the ready answer; of pops only those that did not wait for messages. `insert_us` is the part of a push from
    its being let in to the last of its commits.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self.push_us = Buckets()
        self.pop_us = Buckets()
        self.ack_us = Buckets()
        self.insert_us = FineBuckets()
        self.started_at = time.time()
        self.tallies = Tallies()
        self.refusals = Ring()
        """Requests that were refused, by the code of the error."""
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=RATE_WINDOW_S + 1)
        self.sample()

    def sample(self) -> None:
        """Take one sample; the maintenance loop does it every second."""
        counters = self.counters
        self._samples.append((time.monotonic(), counters.push_messages, self.requests))

    @property
    def requests(self) -> int:
        """Requests of the message plane, all verbs together."""
        counters = self.counters
        return counters.push_requests + counters.pop_requests + counters.ack_requests

    def rates(self) -> tuple[float, float]:
        """(messages pushed, requests) per second over the window."""
        then, messages, requests = self._samples[0]
        elapsed = time.monotonic() - then
        if elapsed <= 0:
            return 0.0, 0.0
        return (self.counters.push_messages - messages) / elapsed, (self.requests - requests) / elapsed

    def snapshot(self) -> dict[str, int]:
        """All counters by name."""
        return asdict(self.counters)
