"""What waiting costs: 10,000 parked polls on 1,000 queues, then how fast one push wakes one poll.

Three windows: no poll at all, polls that wait, and polls whose time-out ends in the window so that each is answered
and sent again. Then a message goes to each of some queues, one at a time; the time counts from the push written to
the poll answered. A few processes hold the polls, one connection each.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.lib import shell
from benchmarks.lib.idling import IdleRecord, IdleWindow, Reader, table
from benchmarks.lib.load import summary
from benchmarks.lib.measure import Meters, meter
from benchmarks.lib.options import seconds, whole
from benchmarks.lib.parked import ParkedPlan, Woken
from benchmarks.lib.pollers import Pollers, PollersFailed
from benchmarks.lib.target import TargetError

SPARE_FILES = 200
PARK_TIMEOUT_S = 120.0


class Options(shell.Common, frozen=True, kw_only=True):
    polls: int
    queues: int
    processes: int
    poll_timeout: float
    wakes: int
    settle: float


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="idle", description="Cost of parked polls, and time to wake one.")
    add = parser.add_argument
    add("--polls", type=whole(1, 100_000), default=10_000, metavar="N", help="parked at once (10000)")
    add("--queues", type=whole(1, 100_000), default=1000, metavar="N", help="that they wait on (1000)")
    add("--processes", type=whole(1, 16), default=2, metavar="N", help="that hold them (2)")
    add("--poll-timeout", type=seconds, default=60.0, metavar="S", help="a poll asks for (60)")
    add("--wakes", type=whole(1, 10_000), default=400, metavar="N", help="pushes that wake a poll (400)")
    add("--settle", type=float, default=5.0, metavar="S", help="between parking and the first window (5)")
    shell.add_common(parser, window_s=30.0, warmup_s=1.0, repeat=1, connections=2)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options)
    if not fault and not options.processes <= options.queues <= options.polls:
        fault = "want --processes <= --queues <= --polls"
    if fault:
        parser.error(fault)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("idle", options, lambda: _measure(options))


def _allow_files(polls: int) -> None:
    """The server inherits our limit and needs a file for each poll. Raises TargetError when it cannot be had."""
    needed = polls + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TargetError(
            f"{polls:,} polls need {needed:,} open files and this machine allows {hard:,}; "
            f"raise it (ulimit -n {needed}, as root) or ask for fewer with --polls"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _measure(options: Options) -> shell.Outcome:
    _allow_files(options.polls)
    head = shell.begin("idle", options)
    windows: list[IdleWindow] = []
    problems: list[str] = []
    woken: list[Woken] = []
    with ExitStack() as stack:
        target = stack.enter_context(shell.server(options))
        pg = stack.enter_context(meter(target))
        facts = pg.facts() if pg else None
        reader = Reader(Meters(target, pg), pg)
        time.sleep(options.settle)
        windows.append(reader.window("no polls", options.seconds, None))
        try:
            pollers = stack.enter_context(Pollers(_plans(options, target.host, target.port)))
            parked_s = pollers.park(PARK_TIMEOUT_S)
            print(f"idle: {options.polls:,} polls parked after {parked_s:.1f} s", file=sys.stderr, flush=True)
            time.sleep(options.settle)
            windows.append(reader.window("parked", options.seconds, pollers))
            windows.append(reader.window("renewing", options.poll_timeout, pollers))
            woken = pollers.wake()
        except PollersFailed as error:
            problems.append(str(error))
    return _outcome(options, head, windows, woken, problems, facts)


def _plans(options: Options, host: str, port: int) -> list[ParkedPlan]:
    def share(total: int, number: int) -> int:
        return total * (number + 1) // options.processes - total * number // options.processes

    plans, first = [], 0
    for number in range(options.processes):
        queues = share(options.queues, number)
        plans.append(
            ParkedPlan(
                host=host,
                port=port,
                prefix=f"idle-{time.time_ns():x}-",
                first_queue=first,
                queues=queues,
                polls=share(options.polls, number),
                poll_ms=round(options.poll_timeout * 1000),
                wakes=min(queues, max(1, share(options.wakes, number))),
                timeout_s=PARK_TIMEOUT_S,
            )
        )
        first += queues
    return plans


def _outcome(
    options: Options,
    head: shell.Head,
    windows: list[IdleWindow],
    woken: list[Woken],
    problems: list[str],
    postgres: dict[str, Any] | None,
) -> shell.Outcome:
    times = [time_ns for one in woken for time_ns in one.times_ns]
    late = sum(one.late for one in woken)
    if late:
        problems.append(f"{late} pushes woke no poll in time")
    parked = [window for window in windows if window.name == "parked"]
    if parked and parked[0].renewed:
        problems.append(f"{parked[0].renewed} polls ended in the window of waiting; ask for a longer --poll-timeout")
    record = IdleRecord(
        **head.fields(problems, postgres),
        polls=options.polls,
        windows=windows,
        wake=summary(times) if times else None,
    )
    return shell.Outcome(record=record, text=table(record))


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
