"""Made-up results of the bench that look like real ones: pass, fail, invalid, wrong, partial, chaos, campaigns.

Everything is drawn from a seed, so that the same call gives the same result. Knows nothing of how results are made.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from queen.bench import objective
from queen.bench.compare import compare
from queen.bench.result import (
    Anomaly,
    Campaign,
    Costs,
    FaultReport,
    LedgerReport,
    NullRun,
    Percentiles,
    Phase,
    PostgresSide,
    Request,
    Result,
    Series,
    ServerSide,
    SloOutcome,
    Step,
    Verdict,
)
from queen.bench.workload import Workload
from queen.measure.histogram import LatencyHistogram
from tests.support import bench_runs

WARMUP_S, MEASURE_S, DRAIN_S = 15, 30, 3
_SCALE_MS = {
    "response": 3.0,
    "service": 2.4,
    "generator_lag": 0.2,
    "connection_wait": 0.3,
    "e2e": 7.0,
    "ack": 2.0,
    "pop": 5.0,
}
_FINGERPRINT: dict[str, Any] = {
    "cpu": {"model": "Example CPU @ 3.0 GHz", "count": 2, "governor": "performance", "smt": False},
    "memory_bytes": 8 << 30,
    "kernel": "6.1.0",
    "disk": {"filesystem": "ext4", "fdatasync_p50_ms": 0.4, "fdatasync_p99_ms": 1.9},
    "postgres": {
        "version": "15.20",
        "settings": {"shared_buffers": {"value": "1GB", "source": "configuration file"}},
        "synchronous_standbys": 0,
    },
    "python": {"version": "3.11.2", "uvloop": "0.22.1"},
    "queen": {"version": "0.1.0", "commit": "5f5d167c", "dirty": False},
}


def latencies(metric: str, count: int, seed: int = 1, stall: bool = False) -> LatencyHistogram:
    """A lognormal histogram of `count` latencies; with `stall` one in a hundred took up to a second."""
    drawn = np.random.default_rng([seed, *metric.encode()]).lognormal(
        math.log(_SCALE_MS.get(metric, 1.0) * 1000), 0.55, count
    )
    if stall and metric in ("response", "e2e"):
        late = max(1, count // 100)
        drawn[:late] += np.linspace(0, 1_000_000, late)
    made = LatencyHistogram()
    made.record_many_us(drawn.astype(np.int64))
    return made


def percentiles(histogram: LatencyHistogram) -> Percentiles:
    """With the sample rule: a percentile needs 10 / (1 - p) samples."""

    def shown(percent: float) -> float | None:
        return histogram.percentile_ms(percent) if histogram.count >= 10 / (1 - percent / 100) - 1e-6 else None

    return Percentiles(
        count=histogram.count,
        p50=shown(50),
        p90=shown(90),
        p95=shown(95),
        p99=shown(99),
        p99_9=shown(99.9),
        p99_99=shown(99.99),
        max=histogram.max_ms(),
        mean=histogram.mean_ms(),
    )


def series(seed: int = 1, rate: float = 10_000, dip: tuple[int, int] | None = None, bend: bool = False) -> Series:
    """Warm-up, measured time and drain; `dip`: the seconds in which nothing was delivered."""
    dice = np.random.default_rng(seed)
    length = WARMUP_S + MEASURE_S + DRAIN_S
    phases = ["warmup"] * WARMUP_S + ["measure"] * MEASURE_S + ["drain"] * DRAIN_S
    down = [bool(dip and dip[0] <= at < dip[1]) for at in range(length)]
    offered = [rate if phase != "drain" else 0.0 for phase in phases]

    def around(middle: float, spread: float = 0.05) -> list[float | None]:
        return [round(float(middle * (1 + spread * x)), 3) for x in dice.standard_normal(length)]

    def rates(factor: float) -> list[float | None]:
        return [
            0.0 if off else round(float(x * factor * (1 + 0.01 * n)), 1)
            for off, x, n in zip(down, offered, dice.standard_normal(length), strict=True)
        ]

    def gaps(values: list[float | None]) -> list[float | None]:
        return [None if off else value for off, value in zip(down, values, strict=True)]

    values: dict[str, list[float | None]] = {
        "offered": [float(x) for x in offered],
        "sent": rates(1),
        "accepted": rates(0.8 if bend else 1),
        "delivered": rates(0.8 if bend else 1),
        "acked": rates(0.8 if bend else 1),
        "errors": [40.0 if off else 0.0 for off in down],
        "in_flight": around(40),
        "backlog": [max(0.0, x or 0.0) for x in around(60, 0.4)],
        "generator_cpu": around(0.31),
        "server_cpu": gaps(around(0.72)),
        "postgres_cpu": around(0.58),
        "machine_cpu": around(1.7),
        "commits_per_s": around(420),
        "wal_bytes_per_s": around(6_500_000),
        "dead_tuples": around(900),
    }
    for metric, middle in (("response", 3.1), ("e2e", 7.4), ("service", 2.4)):
        values[f"{metric}_p50_ms"] = gaps(around(middle))
        values[f"{metric}_p99_ms"] = gaps(around(middle * 4, 0.2))
        values[f"{metric}_max_ms"] = gaps(around(middle * 9, 0.3))
    values["generator_lag_p99_ms"] = around(0.6, 0.2)
    values["connection_wait_p99_ms"] = around(0.9, 0.2)
    values["insert_p50_ms"] = gaps(around(0.8))
    values["insert_p99_ms"] = gaps(around(3.5, 0.2))
    waits = {
        "CPU": [int(x) for x in dice.poisson(6, length)],
        "IO:WALSync": [int(x) for x in dice.poisson(5, length)],
        "LWLock:WALWrite": [int(x) for x in dice.poisson(2, length)],
        "Lock:transactionid": [int(x) for x in dice.poisson(0.4, length)],
    }
    return Series(second=list(range(length)), phase=phases, values=values, waits=waits)


def ledger(sent: int = 300_000, **changes: Any) -> LedgerReport:
    """A clean one, but for what is given."""
    counts = dict.fromkeys(("lost", "duplicated", "reordered", "early", "corrupt", "ghost", "unacked"), 0)
    counts |= {"unknown_delivered": 0, "dead_letters": 0, "unknown": 0, "refused": 0, "redelivered": 0}
    counts |= {"sent": sent, "accepted": sent, "delivered": sent, "acked": sent}
    counts |= {name: value for name, value in changes.items() if name in counts}
    counts["delivered"] -= counts["lost"]
    counts["acked"] = counts["delivered"]
    group = {name: counts[name] for name in ("delivered", "acked", "lost", "duplicated", "reordered", "corrupt")}
    return LedgerReport(
        **counts,
        complete=changes.get("complete", True),
        early_judged=True,
        groups={"": group},
        anomalies=changes.get("anomalies", []),
        memory_bytes=250_000,
    )


def outcomes(held: bool = True) -> list[SloOutcome]:
    """The objectives of the standard profile; `held` says it of p99(e2e)."""
    rows = [
        ("p99(e2e)<50ms", 21.0 if held else 73.4, "21 ms" if held else "73.4 ms", held, False),
        ("p50(insert)<1ms", 0.8, "0.8 ms", True, False),
        ("errors<0.1%", 0.0, "0 %", True, False),
        ("rate(delivered)>=0.99*target", 9_998.0, "9,998/s", True, True),
        ("lost==0", 0.0, "0", True, True),
        ("corrupt==0", 0.0, "0", True, True),
        ("ghost==0", 0.0, "0", True, True),
        ("reordered==0", 0.0, "0", True, True),
    ]
    return [
        SloOutcome(
            text=text,
            value=value,
            value_text=shown,
            held=ok,
            always=always,
            margin=objective.parse(text, 10_000).margin(value),
        )
        for text, value, shown, ok, always in rows
    ]


def passed(seed: int = 1, rate: float = 10_000, count: int = 300_000, **changes: Any) -> Result:
    """A run that held everything. Further fields of Result replace what is here."""
    kept = {metric: latencies(metric, count, seed) for metric in _SCALE_MS}
    pieces: dict[str, list[str | None]] = {
        m: [latencies(m, count // 30, seed + n).encode() for n in range(6)] for m in ("response", "e2e")
    }
    made = Result(
        queen_version="0.1.0",
        started_at="2026-11-24T12:00:00Z",
        duration_s=58.2,
        partial=False,
        request=request(rate, seed),
        fingerprint=_FINGERPRINT,
        fingerprint_hash="3f2a9c01",
        phases=[
            Phase(name="setup", start_s=-8, end_s=-6),
            Phase(name="null_run", start_s=-6, end_s=0),
            Phase(name="warmup", start_s=0, end_s=WARMUP_S),
            Phase(name="measure", start_s=WARMUP_S, end_s=WARMUP_S + MEASURE_S),
            Phase(name="drain", start_s=WARMUP_S + MEASURE_S, end_s=WARMUP_S + MEASURE_S + DRAIN_S),
        ],
        null_run=null_run(rate),
        offered_per_s=rate,
        sent_per_s=rate * 0.9998,
        accepted_per_s=rate * 0.9998,
        delivered_per_s=rate * 0.9998,
        backlog_max=143,
        errors={},
        error_share=0.0,
        latency={metric: percentiles(one) for metric, one in kept.items()},
        histograms={metric: one.encode() for metric, one in kept.items()},
        slices=pieces,
        slice_s=5,
        series=series(seed, rate),
        ledger=ledger(int(rate * MEASURE_S)),
        server=server_side(),
        postgres=postgres_side(),
        costs=Costs(
            server_cpu_us=72.0,
            postgres_cpu_us=58.1,
            generator_cpu_us=31.0,
            wal_bytes=655.0,
            commits=0.042,
            statements=0.061,
            disk_bytes=610.0,
            wire_bytes=402.0,
        ),
        bottleneck="WAL fsync: 41 % of samples wait in IO:WALSync",
        faults=[],
        slos=outcomes(),
        verdict=Verdict(
            word="pass",
            exit_code=0,
            line="PASS 10,000 msg/s for 30 s · e2e p99 21 ms (< 50) · lost 0 dup 0 · bottleneck: WAL fsync 41 %",
            reasons=[],
        ),
        notes=["Generator, server and PostgreSQL share one machine."],
    )
    return msgspec.structs.replace(made, **changes)


def request(rate: float = 10_000, seed: int = 1, **changes: Any) -> Request:
    made = Request(
        mode="target",
        target_per_s=rate,
        workload=Workload(name="baseline-10k", rate=rate),
        slos=["p99(e2e)<50ms", "p50(insert)<1ms", "errors<0.1%"],
        seed=seed,
        workers=1,
        command=f"queen bench --target {rate:.0f} --profile baseline-10k --seed {seed}",
        own_server=True,
        own_database=True,
    )
    return msgspec.structs.replace(made, **changes)


def null_run(rate: float = 10_000, ok: bool = True) -> NullRun:
    return NullRun(
        rate_per_s=rate,
        offered_per_s=rate,
        seconds=5,
        generator_lag_p99_ms=0.8 if ok else 38.0,
        cpu_share_max=0.31 if ok else 0.97,
        cpu_share_total=0.31 if ok else 0.97,
        overflow=0,
        ok=ok,
        reasons=[] if ok else ["generator lag p99 38 ms is above 10 % of the objective", "worker CPU 97 %"],
    )


def server_side() -> ServerSide:
    insert = latencies("insert", 30_000)
    return ServerSide(
        insert=percentiles(insert),
        insert_histogram=insert.encode(),
        cpu_s=21.6,
        rss_bytes_max=93 << 20,
        counters={"pushes": 30_000.0, "pops": 9_500.0},
        rows_per_flush={"push": 24.0, "ack": 31.5, "pop": None},
        durability="synchronous_commit = on, fsync = on",
        mode="safe",
    )


def postgres_side() -> PostgresSide:
    return PostgresSide(
        counters={"commits": 12_600.0, "wal_bytes": 196_000_000.0, "fsyncs": 11_900.0},
        tables={"messages": {"dead_tuples": 0.0, "inserts": 300_000.0}, "cursors": {"dead_tuples": 900.0}},
        waits={"CPU": 180, "IO:WALSync": 150, "LWLock:WALWrite": 60},
        samples=390,
        cpu_s=17.4,
    )


def failed() -> Result:
    """p99(e2e) was missed, with a stall."""
    late = {metric: latencies(metric, 300_000, 2, stall=True) for metric in _SCALE_MS}
    return passed(
        2,
        latency={metric: percentiles(one) for metric, one in late.items()},
        histograms={metric: one.encode() for metric, one in late.items()},
        slos=outcomes(held=False),
        verdict=Verdict(
            word="fail",
            exit_code=1,
            line="FAIL 10,000 msg/s for 30 s · e2e p99 73.4 ms (not < 50) · lost 0 dup 0",
            reasons=["p99(e2e)<50ms missed: 73.4 ms"],
        ),
    )


def invalid() -> Result:
    """The generator could not keep its schedule."""
    return passed(
        3,
        null_run=null_run(ok=False),
        verdict=Verdict(
            word="invalid",
            exit_code=5,
            line="INVALID (generator) · worker CPU 97 %, lag p99 38 ms",
            reasons=["generator-limited: worker CPU 97 % in the null run"],
        ),
    )


def wrong() -> Result:
    """One message was lost and two were swapped; texts of the evidence carry markup on purpose."""
    found = [
        Anomaly(kind="lost", group="", partition="17", sequence=4711, seen="sent 21.304 s, never delivered"),
        Anomaly(
            kind="reordered",
            group="",
            partition="3",
            sequence=88,
            seen="sent 12.1 s, after 89 at <12.4 s>",
            server='{"status":"completed"}',
        ),
    ]
    return passed(
        4,
        ledger=ledger(lost=1, reordered=1, anomalies=found),
        verdict=Verdict(
            word="wrong", exit_code=6, line="WRONG · lost 1 reordered 1", reasons=["lost 1", "reordered 1"]
        ),
    )


def partial() -> Result:
    """Interrupted after a few seconds: few samples, no drain."""
    few = {"response": latencies("response", 600), "e2e": latencies("e2e", 8)}
    return passed(
        5,
        partial=True,
        latency={metric: percentiles(one) for metric, one in few.items()},
        histograms={metric: one.encode() for metric, one in few.items()},
        slices={},
        ledger=ledger(600, complete=False),
        server=None,
        postgres=None,
        costs=None,
        bottleneck=None,
        series=Series(second=[0, 1], phase=["warmup", "measure"], values={"offered": [10_000.0, 10_000.0]}),
        verdict=Verdict(word="partial", exit_code=130, line="PARTIAL · interrupted after 2 s", reasons=["interrupted"]),
    )


def chaos() -> Result:
    """PostgreSQL was restarted, and something held its horizon, which never recovered."""
    faults = [
        FaultReport(
            name="restart-pg",
            at_s=22,
            end_s=25,
            baseline_per_s=10_000,
            dip_per_s=0,
            recovery_s=2.4,
            later_per_s=9_990,
            later_equals_earlier=True,
            baseline_p99_ms=21,
            later_p99_ms=22,
            affected={"unknown": 120, "redelivered": 300},
            notes=["fast, then immediate"],
        ),
        FaultReport(
            name="pin-xmin",
            at_s=32,
            end_s=40,
            baseline_per_s=10_000,
            dip_per_s=8_000,
            recovery_s=None,
            later_per_s=None,
            later_equals_earlier=None,
            baseline_p99_ms=21,
            later_p99_ms=None,
            affected={},
            notes=[],
        ),
    ]
    return passed(
        6,
        request=request(10_000, 6, mode="chaos", faults=["restart-pg@7s+3s", "pin-xmin@17s+8s"]),
        series=series(6, dip=(22, 26)),
        faults=faults,
        errors={"http_503 store_unavailable": 160},
        error_share=0.0005,
        ledger=ledger(redelivered=300, unknown=120, unknown_delivered=60),
    )


def campaign(kind: str = "search") -> Campaign:
    """A search with its confirmed pair, a sweep, or an interleaved comparison."""
    rates = (8_000, 12_000, 18_000, 27_000, 22_000, 20_000)
    steps = [
        Step(
            label=f"{'AB'[n % 2]}{n // 2 + 1}" if kind == "ab" else f"{rate:,} msg/s",
            setting={"rate": float(rate)},
            seconds=10,
            offered_per_s=rate,
            delivered_per_s=min(rate, 21_000),
            response_p99_ms=8.0 * (1 + (rate / 18_000) ** 4),
            e2e_p99_ms=15.0 * (1 + (rate / 18_000) ** 4),
            held=rate < 21_000,
            reasons=[] if rate < 21_000 else ["p99(e2e)<50ms missed", "backlog grows"],
        )
        for n, rate in enumerate(sorted(rates) if kind == "sweep" else rates)
    ]
    return Campaign(
        kind=kind,  # type: ignore[arg-type]
        queen_version="0.1.0",
        started_at="2026-11-24T12:00:00Z",
        duration_s=210,
        partial=False,
        command=f"queen bench --{kind}",
        steps=steps,
        runs=[passed(7, 20_000), passed(8, 14_000)] if kind == "search" else [],
        comparison=comparison() if kind == "ab" else None,
        verdict=ab_verdict() if kind == "ab" else held_verdict(),
        notes=[],
    )


def held_verdict() -> Verdict:
    return Verdict(word="pass", exit_code=0, line="PASS 20,000 msg/s holds, confirmed", reasons=[])


def ab_verdict() -> Verdict:
    return Verdict(word="fail", exit_code=1, line=f"FAIL {comparison()['line']}", reasons=[])


def comparison() -> dict[str, Any]:
    """As a campaign keeps it: six pairs in which B has a longer p99, lower costs, and a rate that scatters."""
    scatter = np.random.default_rng(7).normal(1, 0.015, (6, 3))
    a = [bench_runs.run(p99=20 * x, rate=10_000 * y, cost=z) for x, y, z in scatter]
    b = [bench_runs.run(p99=22.2 * x, rate=10_400 * y * y, cost=0.9 * z) for x, y, z in scatter[::-1]]
    return compare(a, b).builtins()
