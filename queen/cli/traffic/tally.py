"""Counts of a run and what is shown of them. Plain integers and two histograms; prints nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from queen.client import Message
from queen.measure.histogram import LatencyHistogram

_ERRORS_MAX = 5
_HELD_SHARE = 0.99
_LAST_ANSWERS_S = 1.0


@dataclass(slots=True)
class Requests:
    """One kind of request (push, pop, ack): how many were answered and how long they took, retries included."""

    count: int = 0
    total: LatencyHistogram = field(default_factory=LatencyHistogram)
    recent: LatencyHistogram = field(default_factory=LatencyHistogram)

    def record(self, began_at: float) -> None:
        latency_us = int((time.perf_counter() - began_at) * 1_000_000)
        self.count += 1
        self.total.record_us(latency_us)
        self.recent.record_us(latency_us)

    def take_recent(self) -> LatencyHistogram:
        """What came since the last call."""
        recent, self.recent = self.recent, LatencyHistogram()
        return recent

    def summary(self) -> dict[str, object]:
        """For JSON."""
        return {
            "requests": self.count,
            "p50_ms": self.total.percentile_ms(50),
            "p99_ms": self.total.percentile_ms(99),
            "max_ms": self.total.max_ms(),
        }

    def text(self) -> str:
        """For people."""
        return f"{self.count} requests, {percentiles(self.total)}"


class Tally:
    """Message counts under names, kinds of requests, the first few distinct error texts, and how commands failed."""

    def __init__(self, *requests: str) -> None:
        self.began_at = time.perf_counter()
        self.counts: Counter[str] = Counter()
        self.requests = {name: Requests() for name in requests}
        self.errors: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.fed_from: float | None = None
        self.fed_s = 0.0

    def seconds(self) -> float:
        return time.perf_counter() - self.began_at

    def count(self, name: str, messages: int = 1) -> None:
        self.counts[name] += messages

    def take(self, messages: Sequence[Message]) -> None:
        """Count messages that were taken from a queue."""
        self.count("messages", len(messages))
        self.count("redelivered", sum(message.delivery_attempt > 1 for message in messages))

    def note_error(self, text: str) -> None:
        """Count an error text; beyond a handful of distinct ones they are counted together."""
        known = text in self.errors or len(self.errors) < _ERRORS_MAX
        self.errors[text if known else "other errors"] += 1


def percentiles(latencies: LatencyHistogram) -> str:
    """ "p50 3.1 ms, p99 11.8 ms", or dashes when nothing was recorded."""
    p50, p99 = latencies.percentile_ms(50), latencies.percentile_ms(99)
    return f"p50 {ms_text(p50)}, p99 {ms_text(p99)}"


def per_second(messages: float, seconds: float) -> float:
    return messages / seconds if seconds > 0 else 0.0


def verdict(tally: Tally, target: float, *, offered_per_s: float | None = None) -> dict[str, object]:
    """Was the target rate held, as entries of a summary? 99 % of it counts as held.

    The time is that of the feed, from its first message to its last; the answers to the last ones may take a second
    more. In an open loop chance may offer less than the target; then that is what had to be held."""
    goal = target if offered_per_s is None else min(target, offered_per_s)
    began_at = tally.began_at if tally.fed_from is None else tally.fed_from
    seconds = max(tally.fed_s, time.perf_counter() - began_at - _LAST_ANSWERS_S)
    sustained = per_second(tally.counts["messages"], seconds)
    reached = tally.counts["messages"] > 0 and (seconds <= 0 or sustained >= goal * _HELD_SHARE)
    return {"target_per_s": target, "target_reached": reached, "sustained_per_s": round(sustained, 1)}


def ms_text(value: float | None) -> str:
    """A latency for people, a dash for none."""
    return "-" if value is None else f"{value:.1f} ms"
