"""Made-up work of a consumer: how long it takes, and which messages fail. Repeatable by its seed; sends nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from queen.client import Message


@dataclass(frozen=True, slots=True)
class Pretence:
    """Each message takes a time between the two bounds, in milliseconds, and fails with this probability."""

    low_ms: float = 0.0
    high_ms: float = 0.0
    fail_share: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The places of a batch's messages, in order: those that are `handled`, with those of them that fail (`failing`),
    and those that stand `behind` a failing one of their partition and must wait for it."""

    handled: list[int]
    failing: set[int]
    behind: list[int]


class Pretender:
    """Two independent streams of chance, so that the failures of a seed do not depend on the handler time."""

    def __init__(self, pretence: Pretence) -> None:
        self._pretence = pretence
        seed = pretence.seed
        self._times = random.Random(None if seed is None else f"{seed}/times")
        self._failures = random.Random(None if seed is None else f"{seed}/failures")

    def work_s(self, messages: int) -> float:
        """How long this many messages take, one after the other."""
        low_ms, high_ms = self._pretence.low_ms, self._pretence.high_ms
        if low_ms == high_ms:
            return low_ms * messages / 1000
        return sum(self._times.uniform(low_ms, high_ms) for _ in range(messages)) / 1000

    def draw(self, messages: Sequence[Message]) -> Drawn:
        """Which messages of a batch fail at this delivery."""
        if not self._pretence.fail_share:
            return Drawn(list(range(len(messages))), set(), [])
        drawn, stuck = Drawn([], set(), []), set()
        for place, message in enumerate(messages):
            if message.partition_id in stuck:
                drawn.behind.append(place)
                continue
            drawn.handled.append(place)
            if self._failures.random() < self._pretence.fail_share:
                drawn.failing.add(place)
                stuck.add(message.partition_id)
        return drawn
