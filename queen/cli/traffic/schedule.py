"""When messages are due: fixed before the run by a rate, a ramp and a seed. Knows time as numbers, nothing else.

A rate of messages a second over time is a curve; the area below it up to t is how many messages are due by then. Even
arrivals put one message on each whole number of that area, Poisson arrivals put random gaps of mean 1 between them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from queen.units import parse_duration_ms, parse_rate

Arrivals = Literal["poisson", "uniform"]


@dataclass(frozen=True, slots=True)
class Ramp:
    """From one rate to another, both above zero, in so many seconds; the second one holds afterwards."""

    from_rate: float
    to_rate: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Ramp:
        """ "1k..20k/60s": from the first rate to the second in this time. Raises ValueError."""
        rates, _, time = text.rpartition("/")
        first, dots, last = rates.partition("..")
        if not dots:
            raise ValueError('not a ramp: write two rates and a time, such as "1k..20k/60s"')
        seconds = parse_duration_ms(time, plain_unit="s") / 1000
        if seconds <= 0:
            raise ValueError("a ramp takes more than no time")
        return cls(parse_rate(first), parse_rate(last), seconds)

    @classmethod
    def flat(cls, rate: float) -> Ramp:
        """The same rate all the time."""
        return cls(rate, rate, 1.0)

    def due_s(self, area: float) -> float:
        """The time at which `area` messages are due."""
        whole = (self.from_rate + self.to_rate) / 2 * self.seconds
        if area >= whole:
            return self.seconds + (area - whole) / self.to_rate
        slope = (self.to_rate - self.from_rate) / self.seconds
        # The root of slope/2·t² + from·t = area, in the form that also stands a slope of 0.
        return 2 * area / (self.from_rate + math.sqrt(self.from_rate**2 + 2 * slope * area))


def due_times_s(ramp: Ramp, arrivals: Arrivals, seed: int) -> Iterator[float]:
    """The seconds after the start at which message 0, 1, … are due. Without end, and the same for the same seed."""
    if arrivals == "uniform":
        number = 0
        while True:
            yield ramp.due_s(number)
            number += 1
    gaps, area = random.Random(f"arrivals {seed}"), 0.0
    while True:
        area += gaps.expovariate(1.0)
        yield ramp.due_s(area)
