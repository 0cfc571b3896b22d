"""Has the warm-up settled? Pure: looks at the blocks of five seconds that were closed so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

from queen.bench.collect import WARM_BLOCK_S, Block

BLOCKS = 3
TOLERANCE = 0.05
P50_FLOOR_MS = 0.2
"""Differences of the median below this are the clock's and the scheduler's, not the system's."""
WARMUP_S_MIN, WARMUP_S_MAX = 15.0, 60.0


def settled(blocks: Sequence[Block]) -> bool:
    """Rate and response p50 of the last three blocks are within 5 % of each other.

    Arrivals at random differ by themselves: counts may also differ by what their own noise explains (3 sigma).
    """
    last = blocks[-BLOCKS:]
    if len(last) < BLOCKS:
        return False
    counts = [block.accepted for block in last]
    medians = [block.response_p50_ms for block in last if block.response_p50_ms is not None]
    if len(medians) < BLOCKS or not min(counts):
        return False
    noise = 3 * math.sqrt(2 * max(counts))
    rate_settled = max(counts) - min(counts) <= max(TOLERANCE * max(counts), noise)
    return rate_settled and max(medians) - min(medians) <= max(TOLERANCE * max(medians), P50_FLOOR_MS)


def judged(warmup_s: float) -> bool:
    """Whether a warm-up of this length is judged at all: a profile may state a shorter one."""
    return warmup_s >= BLOCKS * WARM_BLOCK_S
