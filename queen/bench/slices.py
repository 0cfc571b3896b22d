"""The measured time in slices: latencies for windows of objectives and for comparisons, the servers' inserts too."""

from __future__ import annotations

from collections.abc import Sequence

from queen.bench.collect import Block
from queen.bench.objective import Slo
from queen.bench.seen import Seen
from queen.bench.workload import Workload
from queen.measure.histogram import LatencyHistogram

SLICE_S = 5
LONG_RUN_S = 600.0
LONG_SLICE_S = 60


def length_s(workload: Workload) -> int:
    """Seconds of a slice: longer ones for a long run, so that its record stays small."""
    return SLICE_S if workload.measure_s <= LONG_RUN_S else LONG_SLICE_S


def encoded(blocks: Sequence[Block], seen: Seen) -> dict[str, list[str | None]]:
    """By metric, one text a slice."""
    names = sorted({name for block in blocks for name in block.encoded})
    found: dict[str, list[str | None]] = {name: [block.encoded.get(name) for block in blocks] for name in names}
    if seen.insert is not None:
        found["insert"] = [None if one is None else one.encode() for one in seen.insert_slices]
    return found


def decoded(objectives: Sequence[Slo], blocks: Sequence[Block], seen: Seen) -> dict[str, list[LatencyHistogram | None]]:
    """Only where an objective looks at windows: decoding is not free."""
    if not any(one.window_s is not None for one in objectives):
        return {}
    return {
        name: [None if text is None else LatencyHistogram.decode(text) for text in texts]
        for name, texts in encoded(blocks, seen).items()
    }
