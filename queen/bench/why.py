"""From what was collected and seen to the evidence by which the bottleneck is named. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from queen.bench import bottleneck
from queen.bench.bottleneck import Bottleneck, Evidence
from queen.bench.collect import Second
from queen.bench.seen import Seen


def why(
    seen: Seen, measured: Sequence[Second], *, lag_p99_ms: float | None, slo_ms: float, same_host: bool
) -> Bottleneck | None:
    """The bottleneck of the measured seconds; None when there were none."""
    if not measured:
        return None
    span = (measured[0].second, measured[-1].second + 1)

    def mean(name: str) -> float | None:
        return seen.mean(name, *span)

    return bottleneck.find(
        Evidence(
            cores=seen.cores,
            waits=seen.postgres.waits if seen.postgres else {},
            samples=seen.postgres.samples if seen.postgres else 0,
            machine_cpu=mean("machine_cpu"),
            steal=mean("steal"),
            server_cpu=mean("server_cpu"),
            server_workers=seen.server_workers,
            postgres_cpu=mean("postgres_cpu"),
            generator_cpu=sum(one.cpu_s for one in measured) / len(measured),
            generator_busiest=sum(one.cpu_s_max for one in measured) / len(measured),
            generator_lag_p99_ms=lag_p99_ms,
            slo_ms=slo_ms,
            overflow=sum(one.counts.overflow for one in measured),
            pool_in_use=mean("pool_in_use"),
            pool_waiting=mean("pool_waiting"),
            pool_size=seen.pool_size,
            same_host=same_host,
        )
    )
