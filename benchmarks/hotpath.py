"""What the whole life of a message costs, at several messages a request.

`python -m benchmarks.hotpath` starts a real server (or takes a running one), has a load generator in a process of
its own push, pop and ack, and reads processor time, WAL, commits and statements at both edges of each window.
A closed loop: it measures cost, not the latency that users would see at a given rate.
Exit codes: 0 done, 2 wrong usage, 3 server not reachable, 5 not valid, 6 the ledger found wrong messages, 130 and
143 interrupted.
"""

from __future__ import annotations

import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import psycopg

from benchmarks.lib import facts, record, report
from benchmarks.lib.cells import make_cell
from benchmarks.lib.measure import PlanRun, measure_plan, meter
from benchmarks.lib.options import Options, parse
from benchmarks.lib.plan import Plan, steps_for
from benchmarks.lib.target import Target, TargetError, attach, started


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    try:
        return _compare(options) if options.compare else _run(options)
    except (TargetError, psycopg.Error) as error:
        print(f"hotpath: {str(error).strip()} (exit 3)", file=sys.stderr)
        return 3
    except report.ResultError as error:
        print(f"hotpath: {error} (exit 2)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hotpath: interrupted, no result", file=sys.stderr)
        return 130


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Leaves through every `finally`, so that the server is stopped."""
    raise SystemExit(143)


def _compare(options: Options) -> int:
    assert options.compare is not None
    a, b = (report.load(path) for path in options.compare)
    print(report.compare(a, b))
    return 0


def _run(options: Options) -> int:
    started_at, clock = datetime.now(UTC), time.monotonic()
    known = facts.collect()
    runs: list[PlanRun] = []
    for size in options.sizes:
        print(f"hotpath: {size} a request", file=sys.stderr)
        with _target(options) as target, meter(target) as pg:
            runs.append(measure_plan(f"{size} a request", _plan(options, size, target), target, pg, options.settle))
        if runs[-1].failure or runs[-1].wrong:
            break
    result = _result(options, runs, known, started_at, time.monotonic() - clock)
    print(report.table(result))
    if options.save:
        path = options.output or record.default_path(result)
        record.save(result, path)
        print(f"hotpath: result in {path}", file=sys.stderr)
    return _exit_code(runs, result)


@contextmanager
def _target(options: Options) -> Iterator[Target]:
    """A server for one size: a running one, or a new one on fresh data, so that no size inherits another's tables."""
    if options.url:
        yield attach(options.url, options.database_url)
    else:
        with started(options.server_args) as target:
            yield target


def _plan(options: Options, size: int, target: Target) -> Plan:
    run_id = secrets.token_hex(4)
    return Plan(
        host=target.host,
        port=target.port,
        run_id=run_id,
        queue=f"hotpath-{run_id}-{size}",
        group=options.group,
        size=size,
        spread=min(options.spread, size),
        partitions=options.partitions,
        connections=options.connections,
        payload_bytes=options.payload_bytes,
        backlog_max=options.backlog_batches * size,
        messages_max=options.messages_max,
        stall_s=options.stall,
        seed=options.seed,
        steps=steps_for(options.stages, options.repeat, options.warmup, options.seconds),
    )


def _result(
    options: Options, runs: list[PlanRun], known: dict[str, object], started_at: datetime, duration_s: float
) -> report.Result:
    cells = [make_cell(stage, run.size, run.windows[stage]) for run in runs for stage in run.windows]
    problems = [problem for run in runs for problem in run.problems()]
    problems += [f"{cell.stage} {cell.size}: no window counts" for cell in cells if cell.best is None]
    return report.Result(
        started_at=started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        duration_s=round(duration_s, 1),
        valid=not problems,
        problems=problems,
        parameters=options.parameters(),
        facts={**known, "postgres": next((run.postgres for run in runs if run.postgres), None)},
        cells=cells,
        totals=[run.totals for run in runs if run.totals],
        verdicts={str(run.size): run.verdict for run in runs if run.verdict},
    )


def _exit_code(runs: list[PlanRun], result: report.Result) -> int:
    if any(run.wrong for run in runs):
        return 6
    if any(run.failure and run.failure.kind == "unreachable" for run in runs):
        return 3
    return 0 if result.valid else 5


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
