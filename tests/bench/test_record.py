"""From what was collected and seen to the record: canned figures of the other side, no system."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from queen.bench import slices
from queen.bench.ask import Ask
from queen.bench.assemble import Account, assemble
from queen.bench.collect import Collector
from queen.bench.orders import Counts, Slice
from queen.bench.result import Phase, Result
from queen.bench.seen import Seen, Surroundings
from queen.bench.workload import Workload
from queen.measure.histogram import LatencyHistogram
from tests.support import bench_results

WARM_S, MEASURE_S, RATE = 3, 10, 1000


def latencies(middle_ms: float, count: int = RATE) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.record_many_us(np.full(count, round(middle_ms * 1000), np.int64))
    return histogram


def collected() -> Collector:
    collector = Collector(1, 0)
    for second in range(WARM_S + MEASURE_S):
        if second == WARM_S - 1:
            collector.begin_measuring(WARM_S, slices.SLICE_S)
        if second == WARM_S + MEASURE_S - 1:
            collector.end_measuring(WARM_S + MEASURE_S)
        collector.take(
            Slice(
                worker=0,
                phase="load",
                second=second,
                counts=Counts(due=RATE, sent=RATE, accepted=RATE, delivered=RATE, acked=RATE, bytes_sent=400_000),
                latencies={name: latencies(4).encode() for name in ("response", "e2e")},
                errors={},
                in_flight=0,
                cpu_s=0.2,
                rss_bytes=1,
            )
        )
    collector.finish()
    return collector


def seen(insert_ms: tuple[float, float] = (2, 2)) -> Seen:
    """Twelve of thirteen seconds: of the last one nothing is known."""
    length = WARM_S + MEASURE_S - 1
    values: dict[str, list[float | None]] = {
        "machine_cpu": [1.0] * length,
        "server_cpu": [0.99] * length,
        "wal_bytes_per_s": [None] * WARM_S + [5000.0] * (length - WARM_S),
    }
    whole = LatencyHistogram()
    parts: list[LatencyHistogram | None] = [latencies(middle, 5 * RATE) for middle in insert_ms]
    for part in parts:
        assert part is not None
        whole.add(part)
    given: dict[str, Any] = {
        "server": bench_results.server_side(),
        "postgres": bench_results.postgres_side(),
        "values": values,
        "waits": {"IO:WALSync": [4] * length},
        "insert": whole,
        "insert_slices": parts,
        "cores": 2,
        "notes": ["a session broke"],
    }
    return Seen(**given)


def record(other: Seen, around: Surroundings | None = None, slos: tuple[str, ...] = (), strict: bool = False) -> Result:
    workload = Workload(rate=RATE, measure_s=MEASURE_S)
    ask = Ask(mode="target", workload=workload, slos=slos, seed=1, command="queen bench", strict=strict)
    account = Account(
        ask=ask,
        objectives=ask.objectives(),
        collector=collected(),
        ledger=bench_results.ledger(),
        phases=[Phase(name="warmup", start_s=0, end_s=WARM_S)],
        notes=[],
        null_run=None,
        workers=1,
        steady=True,
        partial=False,
        started_at="2026-01-01T00:00:00.000+00:00",
        duration_s=20,
        own_server=True,
        own_database=True,
        seen=other,
        surroundings=around or Surroundings(),
    )
    return assemble(account)


def test_both_sides_are_in_the_record_with_costs_and_series() -> None:
    result = record(seen())
    server, postgres, costs = bench_results.server_side(), bench_results.postgres_side(), result.costs
    assert result.server == server
    assert result.postgres == postgres
    assert costs is not None
    acked = RATE * MEASURE_S
    assert server.cpu_s is not None
    assert costs.server_cpu_us == server.cpu_s * 1e6 / acked
    assert costs.generator_cpu_us == pytest.approx(200)
    assert costs.wire_bytes == 400
    assert costs.wal_bytes == postgres.counters["wal_bytes"] / acked
    assert result.series.values["wal_bytes_per_s"] == [None] * WARM_S + [5000.0] * 9 + [None]
    assert result.series.waits["IO:WALSync"] == [4] * 12 + [0]
    assert "a session broke" in result.notes
    assert msgspec.convert(msgspec.to_builtins(result), Result) == result


def test_the_bottleneck_is_in_the_verdict_line() -> None:
    result = record(seen())
    assert result.bottleneck == "server CPU: 99 % of a core"
    assert result.verdict.line.endswith("bottleneck: server CPU 99 %")


def test_objectives_on_the_insert_look_at_the_whole_and_at_windows() -> None:
    slow = seen(insert_ms=(2, 30))
    slos = ("p50(insert)<5ms", "p99(insert)<5ms", "p50(insert)<40ms for 5s", "p50(insert)<5ms for 5s")
    result = record(slow, slos=slos)
    held = {one.text: one.held for one in result.slos if not one.always}
    assert held == dict(zip(slos, (True, False, True, False), strict=True))
    assert result.latency["insert"].count == 10 * RATE
    assert LatencyHistogram.decode(result.histograms["insert"]).count == 10 * RATE
    assert [text is not None for text in result.slices["insert"]] == [True, True]


def test_what_was_not_seen_is_null_and_no_objective_holds_by_it() -> None:
    result = record(Seen(), slos=("p50(insert)<5s", "rss<1GB"))
    assert result.server is None
    assert result.postgres is None
    assert "insert" not in result.latency
    assert result.costs is not None
    assert result.costs.server_cpu_us is None
    assert [one.held for one in result.slos if not one.always] == [False, False]


def test_an_environment_that_changes_makes_the_run_invalid_and_noise_only_when_strict() -> None:
    noise = Surroundings(fingerprint={"machine": {"cpu": "x"}}, disturbed=["a checkpoint is running"])
    lax, strict = record(seen(), noise), record(seen(), noise, strict=True)
    assert lax.verdict.word == "pass", lax.verdict
    assert "before measuring: a checkpoint is running" in lax.notes
    assert (strict.verdict.word, strict.verdict.exit_code) == ("invalid", 5)
    moved = record(seen(), Surroundings(changed=["machine.governor was a and is b"]))
    assert moved.verdict.word == "invalid"
    assert "machine.governor" in moved.verdict.line
    assert lax.fingerprint_hash == strict.fingerprint_hash != moved.fingerprint_hash
