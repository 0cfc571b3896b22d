"""What the generator of `queen bench` reaches by itself: null runs against its sink, with one worker."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from benchmarks.lib import facts, shell
from benchmarks.lib.record import Record, default_path, save
from benchmarks.lib.text import align
from queen.bench import profiles
from queen.bench.null_run import null_run
from queen.bench.result import NullRun
from queen.bench.workload import Consume

SHAPES: tuple[tuple[str, Consume], ...] = (
    ("burst-50k", "never"),
    ("burst-50k", "meanwhile"),
    ("single-10k", "never"),
    ("single-10k", "meanwhile"),
    ("baseline-10k", "meanwhile"),
)
"""Profiles, and whether consumers run beside the producers."""


class Shape(msgspec.Struct, frozen=True):
    """One null run: of which profile, and what it found."""

    profile: str
    consume: str
    null_run: NullRun


class GeneratorRecord(Record, frozen=True, kw_only=True):
    """The record of this command. Whether a run kept its schedule stands in its own `ok` and `reasons`."""

    shapes: list[Shape]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="generator", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (5)")
    parser.add_argument("--no-save", dest="save", action="store_false", help="keep no result file")
    return parser.parse_args(arguments)


async def _measure(profile: str, consume: Consume, seconds: float) -> NullRun:
    load = msgspec.structs.replace(profiles.load(profile), consume=consume)
    return await null_run(load, load.rate, workers=1, seed=1, seconds=seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    started_at, clock_s, seen = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic(), facts.collect()
    shapes = [Shape(name, consume, asyncio.run(_measure(name, consume, options.seconds))) for name, consume in SHAPES]
    record = GeneratorRecord(
        benchmark="generator",
        started_at=started_at,
        duration_s=round(time.monotonic() - clock_s, 1),
        valid=True,
        problems=[],
        parameters={"seconds": options.seconds, "workers": 1, "seed": 1},
        facts=seen,
        shapes=shapes,
    )
    rows = [["profile", "consumers", "msg/s", "lag p99 ms", "cores", "overflow", "kept"]]
    print("\n".join(align([*rows, *(_row(one) for one in shapes)])))
    if options.save:
        path = default_path(record)
        save(record, path)
        print(f"saved {path.name}")
    return 0


def _row(one: Shape) -> list[str]:
    run = one.null_run
    lag = "n/a" if run.generator_lag_p99_ms is None else f"{run.generator_lag_p99_ms:.2f}"
    shares = [f"{run.cpu_share_total:.2f}", f"{run.overflow:,}", "yes" if run.ok else "NO"]
    return [one.profile, one.consume, f"{run.offered_per_s:,.0f}", lag, *shares]


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
