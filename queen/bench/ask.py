"""What one run is asked to do, after all options were read and judged. Knows no command and no system."""

from __future__ import annotations

import math

import msgspec

from queen.bench.ab import Plan
from queen.bench.chaos import Schedule
from queen.bench.objective import Slo, parse, with_always
from queen.bench.result import Mode
from queen.bench.sweep import Sweep
from queen.bench.workload import Workload

SLO_MS_DEFAULT = 50.0
INFLIGHT_FACTOR = 4


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or several under one question. `slos` are texts as the user or the profile wrote them; those that are
    always on come on top.

    `messages`: send so many and stop, instead of for a time. `full_speed`: as fast as they are taken, so that intended
    times mean nothing. `sweep` and `sides`: what the modes of these names run.
    """

    mode: Mode
    workload: Workload
    slos: tuple[str, ...]
    seed: int
    command: str
    judge_rate: bool = True
    """Hold the delivered rate against the target."""
    workers: int | None = None
    inflight_max: int | None = None
    null_run: bool = True
    null_run_s: float = 5.0
    messages: int | None = None
    faults: Schedule | None = None
    strict: bool = False
    keep: bool = False
    request_timeout_s: float = 30.0
    full_speed: bool = False
    sweep: Sweep | None = None
    sides: Plan | None = None

    @property
    def rate(self) -> float:
        return self.workload.rate

    @property
    def groups(self) -> tuple[str, ...]:
        """Names for the workers: the empty one is the queue's own cursor."""
        return ("",) if self.workload.groups == 1 else tuple(f"g{number}" for number in range(self.workload.groups))

    @property
    def target(self) -> float | None:
        return self.rate if self.judge_rate else None

    def objectives(self) -> list[Slo]:
        """All of them. Raises SettingsError for one that is not understood."""
        asked = [parse(text, self.rate) for text in self.slos]
        return with_always(asked, self.target, consume=self.workload.consume)

    def tightest_ms(self, objectives: list[Slo]) -> float:
        """The tightest limit on a latency that a slow generator would spoil."""
        limits = [slo.limit for slo in objectives if slo.unit == "ms" and slo.field in ("response", "e2e")]
        return min((limit for limit in limits if limit > 0), default=SLO_MS_DEFAULT)

    def inflight_of_worker(self, workers: int, slo_ms: float) -> int:
        """--max-inflight shared out; by default 4 × rate × SLO latency, and a few pushes at least. At full speed, two
        pushes for each connection: one on its way and one that waits."""
        by_rate = math.ceil(INFLIGHT_FACTOR * self.rate * slo_ms / 1000)
        by_connections = 2 * self.workload.connections * self.workload.push_batch
        total = self.inflight_max or (by_connections if self.full_speed else by_rate)
        return max(INFLIGHT_FACTOR * self.workload.push_batch, math.ceil(total / workers))
