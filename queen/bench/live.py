"""The state of a run for whoever shows it while it goes on. Written by the run, read by the command; draws nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from queen.bench.collect import Collector
from queen.bench.objective import Slo


@dataclass
class Live:
    """`phase_ends_at` is on the monotonic clock; None while nobody knows."""

    phase: str = "setup"
    phase_ends_at: float | None = None
    collector: Collector | None = None
    objectives: list[Slo] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    """Lines for people, such as a fault that begins. Taken by the reader."""

    def enter(self, phase: str, seconds: float | None = None) -> None:
        self.phase = phase
        self.phase_ends_at = None if seconds is None else time.monotonic() + seconds

    def tell(self, line: str) -> None:
        """Something for people, once."""
        self.says.append(line)

    def line(self) -> str:
        """One greppable line: where the run is and how the last full second went."""
        parts = [f"progress: {self.phase}"]
        if self.phase_ends_at is not None:
            parts.append(f"{max(0.0, self.phase_ends_at - time.monotonic()):.0f} s left")
        seconds = self.collector.seconds if self.collector is not None else []
        if seconds:
            last = seconds[-1]
            parts.append(f"{last.counts.due} offered")
            parts.append(f"{last.counts.delivered} delivered")
            parts += [self._p99(name, label) for name, label in (("response", "p99"), ("e2e", "e2e p99"))]
            parts += [f"backlog {last.backlog}", f"errors {sum(last.errors.values())}", self._margin()]
        return ", ".join(part for part in parts if part)

    def _p99(self, name: str, label: str) -> str:
        value = self._last_p99(name)
        return "" if value is None else f"{label} {value:.1f} ms"

    def _last_p99(self, name: str) -> float | None:
        assert self.collector is not None
        latencies = self.collector.seconds[-1].latencies
        return latencies[name][1] if name in latencies else None

    def _margin(self) -> str:
        """How much of the tightest p99 objective the last second used up."""
        shares = [
            (value / slo.limit, slo.text)
            for slo in self.objectives
            if slo.metric == "p99" and slo.limit > 0 and (value := self._last_p99(slo.field or "")) is not None
        ]
        if not shares:
            return ""
        share, text = max(shares)
        return f"worst objective {text} at {share:.0%}"
