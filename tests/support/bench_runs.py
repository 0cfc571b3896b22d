"""Results of bench runs that never ran: with the figures that a test wants, and all else plain."""

from __future__ import annotations

from typing import Any

import numpy as np

from queen.bench.result import Costs, LedgerReport, Percentiles, Request, Result, Series, Verdict, Word
from queen.bench.workload import Workload
from queen.measure.histogram import LatencyHistogram

CODES: dict[Word, int] = {"pass": 0, "fail": 1, "invalid": 5, "wrong": 6, "partial": 130}


def percentiles(p99: float, count: int = 300_000) -> Percentiles:
    return Percentiles(
        count=count, p50=p99 / 4, p90=p99 / 2, p95=p99 / 1.5, p99=p99, p99_9=p99 * 2, p99_99=None, max=p99 * 3, mean=p99
    )


def ledger() -> LedgerReport:
    numbers: dict[str, Any] = dict.fromkeys(LedgerReport.__struct_fields__, 0)
    numbers |= {"complete": True, "early_judged": True, "groups": {}, "anomalies": []}
    return LedgerReport(**numbers)


def costs(scale: float = 1) -> Costs:
    return Costs(
        server_cpu_us=30 * scale,
        postgres_cpu_us=50 * scale,
        generator_cpu_us=20,
        wal_bytes=900 * scale,
        commits=0.02 * scale,
        statements=0.05 * scale,
        disk_bytes=None,
        wire_bytes=300,
    )


def slices(seconds: int, p99_ms: float, seed: int, per_second: int = 1000) -> list[str | None]:
    """Histograms of latencies that scatter evenly around a p99."""
    random = np.random.default_rng(seed)
    made: list[str | None] = []
    for _ in range(seconds):
        histogram = LatencyHistogram()
        histogram.record_many_us((random.random(per_second) * p99_ms * 1000 / 0.99).astype(np.int64))
        made.append(histogram.encode())
    return made


def series(seconds: int, values: dict[str, list[float | None]] | None = None, warmup: int = 3) -> Series:
    phases = ["warmup"] * warmup + ["measure"] * seconds
    return Series(second=list(range(warmup + seconds)), phase=phases, values=values or {})


def run(
    *,
    p99: float = 20,
    rate: float = 10_000,
    cost: float = 1,
    word: Word = "pass",
    workload: Workload | None = None,
    **changes: Any,
) -> Result:
    """A run with these figures; `changes` replace fields of the result."""
    fields: dict[str, Any] = {
        "queen_version": "0.0.0",
        "started_at": "2026-11-24T12:00:00Z",
        "duration_s": 60,
        "partial": word == "partial",
        "request": Request(
            mode="target",
            target_per_s=rate,
            workload=workload or Workload(),
            slos=[],
            seed=1,
            workers=1,
            command="queen bench",
            own_server=True,
            own_database=True,
        ),
        "fingerprint": {},
        "fingerprint_hash": "same",
        "phases": [],
        "null_run": None,
        "offered_per_s": rate,
        "sent_per_s": rate,
        "accepted_per_s": rate,
        "delivered_per_s": rate,
        "backlog_max": 0,
        "errors": {},
        "error_share": 0,
        "latency": {"response": percentiles(p99), "e2e": percentiles(p99 * 2)},
        "histograms": {},
        "slices": {},
        "slice_s": 1,
        "series": series(30),
        "ledger": ledger(),
        "server": None,
        "postgres": None,
        "costs": costs(cost),
        "bottleneck": None,
        "faults": [],
        "slos": [],
        "verdict": Verdict(word=word, exit_code=CODES[word], line=word.upper(), reasons=[]),
        "notes": [],
    }
    return Result(**fields | changes)
