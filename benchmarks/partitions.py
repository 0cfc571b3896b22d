"""What the number of partitions costs: the whole life of a message over 2, 1,000 and 10,000 of them.

One server holds one queue for each number. Every round visits each: all partitions are made and read once, then
comes a warm-up, then the window. Pushes carry 10 messages for one partition, the partitions in turn. Consumers are
few and ask for 1,000 messages of up to 100 partitions, at every number alike: then a call is as full where each
partition has a handful of messages as where two have them all, and what differs is the price of the partitions.
With one partition a pop, two partitions would be bound by their two leases and thousands by requests.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence

from benchmarks.lib import shell
from benchmarks.lib.measure import PlanRun, measure_plan, meter
from benchmarks.lib.options import SIZE_MAX, numbers, whole
from benchmarks.lib.plan import Plan, Step
from benchmarks.lib.postgres import PgMeter
from benchmarks.lib.series import Series, make_points, problems, table
from benchmarks.lib.target import Target
from benchmarks.lib.traffic import PARTITIONS_MAX


class Options(shell.Common, frozen=True, kw_only=True):
    counts: list[int]
    size: int
    spread: int
    consumers: int
    pop_batch: int
    pop_partitions: int
    backlog: int


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="partitions", description="Cost of a message by number of partitions.")
    add = parser.add_argument
    add("--counts", type=numbers(1, PARTITIONS_MAX), default=[2, 1000, 10_000], metavar="N,…", help="2,1000,10000")
    add("--size", type=whole(1, SIZE_MAX), default=10, metavar="N", help="messages a push (10)")
    add("--spread", type=whole(1, SIZE_MAX), default=1, metavar="N", help="partitions of one push (1)")
    add("--consumers", type=whole(1, 1000), default=4, metavar="N", help="connections that pop (4)")
    add("--pop-batch", type=whole(1, 10_000), default=1000, metavar="N", help="most messages of a pop (1000)")
    add("--pop-partitions", type=whole(1, 1000), default=100, metavar="N", help="most partitions of a pop (100)")
    add("--backlog", type=whole(1, 1 << 20), default=4000, metavar="N", help="pushers pause above it (4000)")
    shell.add_common(parser, window_s=8.0, warmup_s=2.0, repeat=4, connections=64)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options) or _fault(options)
    if fault:
        parser.error(fault)
    return options


def _fault(options: Options) -> str | None:
    if options.consumers >= options.connections:
        return "--consumers must leave some of --connections to push"
    if options.spread > min(options.size, *options.counts):
        return "--spread is above --size or one of --counts"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("partitions", options, lambda: _measure(options))


def _measure(options: Options) -> shell.Outcome:
    head = shell.begin("partitions", options)
    runs: dict[int, list[PlanRun]] = {count: [] for count in options.counts}
    with shell.server(options) as target, meter(target) as pg:
        for repeat in range(options.repeat):
            for count in options.counts:
                run = _round(options, target, pg, count, repeat)
                runs[count].append(run)
                if run.failure or run.wrong:
                    return _outcome(options, head, runs)
    return _outcome(options, head, runs)


def _round(options: Options, target: Target, pg: PgMeter | None, count: int, repeat: int) -> PlanRun:
    plan = Plan(
        host=target.host,
        port=target.port,
        run_id=secrets.token_hex(4),
        queue=f"partitions-{count}",
        group="",
        size=options.size,
        spread=options.spread,
        partitions=count,
        connections=options.connections,
        payload_bytes=options.payload_bytes,
        backlog_max=options.backlog,
        messages_max=1 << 30,
        stall_s=options.stall,
        seed=options.seed,
        steps=[Step("prime", repeat, False, 0, 0), Step("life", repeat, True, options.warmup, options.seconds)],
        consumers=options.consumers,
        pop_batch=options.pop_batch,
        pop_spread=options.pop_partitions,
    )
    return measure_plan(f"{count:,} partitions", plan, target, pg)


def _outcome(options: Options, head: shell.Head, runs: dict[int, list[PlanRun]]) -> shell.Outcome:
    every = [run for some in runs.values() for run in some]
    windows = {count: [window for run in some for window in run.windows["life"]] for count, some in runs.items()}
    points = make_points(options.counts, windows)
    series = Series(
        **head.fields(problems(every, points), every[0].postgres),
        parameter="partitions",
        points=points,
        verdicts=[run.verdict for run in every if run.verdict],
        extra={},
    )
    return shell.Outcome(record=series, text=table(series), wrong=any(run.wrong for run in every))


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
