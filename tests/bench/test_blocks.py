"""Seconds and blocks from the slices of two workers: what is warm-up, and what is measured."""

from __future__ import annotations

import numpy as np

from queen.bench.collect import Block, Collector
from queen.bench.orders import Counts, Slice
from queen.measure.histogram import LatencyHistogram


def told(worker: int, second: int, answers: int) -> Slice:
    histogram = LatencyHistogram()
    histogram.record_many_us(np.full(answers, 1000, np.int64))
    return Slice(
        worker=worker,
        phase="load",
        second=second,
        counts=Counts(accepted=answers, acked=answers),
        latencies={"response": histogram.encode()},
        errors={},
        in_flight=0,
        cpu_s=0.1,
        rss_bytes=1,
    )


def collected(warm: int, measured: int) -> Collector:
    """Seconds from 3 on, ten answers each."""
    collector = Collector(2, 0)
    start, from_s = 3, 3 + warm
    for second in range(start, from_s + measured):
        if second == from_s - 1:
            collector.begin_measuring(from_s, 5)
        if second == from_s + measured - 1:
            collector.end_measuring(from_s + measured)
        for worker in range(2):
            collector.take(told(worker, second, 5))
    collector.finish()
    return collector


def counts(blocks: list[Block]) -> list[int]:
    return [LatencyHistogram.decode(block.encoded["response"]).count for block in blocks]


def test_a_block_of_the_warm_up_is_none_of_the_measured_time() -> None:
    """Although it ends when it is known already when measuring begins."""
    collector = collected(5, 10)
    assert counts(collector.warm) == [50]
    assert counts(collector.blocks) == [50, 50]
    assert collector.whole["response"].count == 100
    assert len(collector.measured()) == 10


def test_a_part_of_a_block_is_kept() -> None:
    assert counts(collected(4, 7).blocks) == [50, 20]
