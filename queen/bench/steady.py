"""Has the warm-up settled? Pure: looks at the blocks of five seconds that were closed so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from queen.bench.collect import WARM_BLOCK_S, Block

BLOCKS = 3
TOLERANCE = 0.05
P50_FLOOR_MS = 0.2
"""Differences of the median below this are the clock's and the scheduler's, not the system's."""
STUDENTIZED_RANGE = 3.77
"""Upper 5 % point for three groups and twelve degrees of freedom: three blocks of five seconds (any table of it)."""
WARMUP_S_MIN, WARMUP_S_MAX = 15.0, 60.0


def settled(blocks: Sequence[Block]) -> bool:
    """Rate and response p50 of the last three blocks are within 5 % of each other, or of what chance explains.

    Chance: arrivals at random differ by themselves, so counts may differ by 3 sigma of their own noise; and medians may
    differ by what the medians of single seconds do inside the blocks. A drift shows between blocks more than inside
    them, so it is never taken for chance; a shared disk that is slow for a second or two is.
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
    tolerated_ms = max(TOLERANCE * max(medians), P50_FLOOR_MS, _by_chance_ms(last))
    return rate_settled and max(medians) - min(medians) <= tolerated_ms


def _by_chance_ms(blocks: Sequence[Block]) -> float:
    """The range that the means of equal blocks stay within 95 times in 100 (Tukey's range test); 0: not known."""
    sizes = [len(block.second_p50s_ms) for block in blocks]
    if min(sizes) < WARM_BLOCK_S:
        return 0.0
    inside = sum(statistics.variance(block.second_p50s_ms) for block in blocks) / len(blocks)
    return STUDENTIZED_RANGE * math.sqrt(inside / min(sizes))


def judged(warmup_s: float) -> bool:
    """Whether a warm-up of this length is judged at all: a profile may state a shorter one."""
    return warmup_s >= BLOCKS * WARM_BLOCK_S
