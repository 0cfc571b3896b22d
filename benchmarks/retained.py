"""What stored history costs: the whole life of a message beside 100 thousand, 1 and 5 million that were acked.

One server is filled step by step through the API: pushes of 1,000 messages, popped and acked, never dropped. History
cannot be taken away again, so in every round a second, fresh server that holds the first step is measured right
before it; ratios are between these two neighbours in time. Each server gets a VACUUM, a CHECKPOINT and a pause before
its window, so that no window pays for the filling; the warm-up is long enough for a fresh daemon to settle. Windows
add to the history of the server that grows; how much it held is stated. Filling is part of the same ledger check as
everything else.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.lib import shell
from benchmarks.lib.cells import Window
from benchmarks.lib.measure import PlanRun, measure_plan, meter
from benchmarks.lib.options import SIZE_MAX, numbers, whole
from benchmarks.lib.plan import Plan, Step
from benchmarks.lib.series import Series, make_points, problems, table
from benchmarks.lib.target import Target
from benchmarks.lib.text import align
from benchmarks.lib.traffic import PARTITIONS_MAX

FILL_SIZE = 1000
FILL_SPREAD = 10
FILL_LANES = 16
FILL_SECONDS_MAX = 3600.0


class Options(shell.Common, frozen=True, kw_only=True):
    steps: list[int]
    partitions: int
    size: int
    backlog: int
    pause: float


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="retained", description="Cost of a message by number of retained ones.")
    add = parser.add_argument
    default = [100_000, 1_000_000, 5_000_000]
    add("--steps", type=numbers(1, 1 << 30), default=default, metavar="N,…", help="100000,1000000,5000000")
    add("--partitions", type=whole(FILL_SPREAD, PARTITIONS_MAX), default=1000, metavar="N", help="of the queue (1000)")
    add("--size", type=whole(1, SIZE_MAX), default=10, metavar="N", help="messages a request (10)")
    add("--backlog", type=whole(1, 1 << 20), default=1280, metavar="N", help="pushers pause above it (1280)")
    add("--pause", type=float, default=5.0, metavar="S", help="after each CHECKPOINT (5)")
    shell.add_common(parser, window_s=8.0, warmup_s=5.0, repeat=3, connections=64)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options)
    if not fault and (len(options.steps) < 2 or options.steps != sorted(set(options.steps))):
        fault = "--steps wants two or more that rise: what is stored stays stored"
    if not fault and options.url:
        fault = "--url cannot be used: each round needs a server without history"
    if fault:
        parser.error(fault)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("retained", options, lambda: _measure(options))


class Place:
    """One server, what it stores, and all its runs."""

    def __init__(self, options: Options, stack: ExitStack) -> None:
        self.options = options
        self.target = stack.enter_context(shell.server(options))
        self.pg = stack.enter_context(meter(self.target))
        self.stored = 0
        self.runs: list[PlanRun] = []

    def fill(self, step: int) -> None:
        missing = step - self.stored
        if missing > 0:
            self._run(f"filling to {step:,}", _plan(self.options, self.target, "fill", 0, missing))

    def settle(self) -> None:
        """What the filling left to do is done now, not in a window: autovacuum marks new pages, a checkpoint writes."""
        if self.pg is not None:
            self.pg.vacuum()
            self.pg.checkpoint()
        time.sleep(self.options.pause)

    def measure(self, step: int, repeat: int) -> list[Window]:
        return self._run(f"{step:,} retained", _plan(self.options, self.target, "life", repeat)).windows["life"]

    def level(self, step: int) -> dict[str, Any]:
        return {"step": step, "stored": self.stored, "messages_bytes": self.pg.stored_bytes() if self.pg else None}

    def _run(self, label: str, plan: Plan) -> PlanRun:
        run = measure_plan(label, plan, self.target, self.pg)
        self.runs.append(run)
        if run.failure or run.wrong:
            raise Broken
        self.stored += run.verdict.acked if run.verdict else 0
        return run


class Broken(Exception):
    """A run failed or its ledger is wrong; what was measured until then is reported, as not valid."""


class History:
    """Everything measured: windows by step, what was stored when each step began, all runs."""

    def __init__(self, steps: list[int]) -> None:
        self.windows: dict[int, list[Window]] = {step: [] for step in steps}
        self.levels: list[dict[str, Any]] = []
        self.runs: list[PlanRun] = []


def _measure(options: Options) -> shell.Outcome:
    head = shell.begin("retained", options)
    history = History(options.steps)
    base, *above = options.steps
    with ExitStack() as stack:
        grown = Place(options, stack)
        try:
            for number, step in enumerate(above):
                clock = time.monotonic()
                grown.fill(step)
                print(f"retained: {step:,} stored after {time.monotonic() - clock:.0f} s", file=sys.stderr, flush=True)
                history.levels.append(grown.level(step))
                for repeat in range(options.repeat):
                    _round(options, history, grown, step, number * options.repeat + repeat)
            history.levels.append({**grown.level(above[-1]), "step": "end"})
        except Broken:
            print("retained: broken off", file=sys.stderr)
        history.runs += grown.runs
    return _outcome(options, head, history, base)


def _round(options: Options, history: History, grown: Place, step: int, repeat: int) -> None:
    base = options.steps[0]
    with ExitStack() as stack:
        fresh = Place(options, stack)
        try:
            fresh.fill(base)
            fresh.settle()
            history.windows[base] += fresh.measure(base, repeat)
        finally:
            history.runs += fresh.runs
    grown.settle()
    history.windows[step] += grown.measure(step, repeat)


def _plan(options: Options, target: Target, kind: str, repeat: int, messages: int = 1 << 30) -> Plan:
    """Filling and measuring differ in the size of requests alone; both push into all partitions in turn."""
    fill = kind == "fill"
    life = Step(
        "life", repeat, not fill, 0.0 if fill else options.warmup, FILL_SECONDS_MAX if fill else options.seconds
    )
    return Plan(
        host=target.host,
        port=target.port,
        run_id=secrets.token_hex(4),
        queue="retained",
        group="",
        size=FILL_SIZE if fill else options.size,
        spread=FILL_SPREAD if fill else 1,
        partitions=options.partitions,
        connections=FILL_LANES if fill else options.connections,
        payload_bytes=options.payload_bytes,
        backlog_max=32 * FILL_SIZE if fill else options.backlog,
        messages_max=messages,
        stall_s=options.stall,
        seed=options.seed,
        steps=[life] if fill else [Step("prime", repeat, False, 0, 0), life],
    )


def _outcome(options: Options, head: shell.Head, history: History, base: int) -> shell.Outcome:
    points = make_points(options.steps, history.windows)
    series = Series(
        **head.fields(problems(history.runs, points), history.runs[0].postgres),
        parameter="retained",
        points=points,
        verdicts=[run.verdict for run in history.runs if run.verdict],
        extra={"base": base, "levels": history.levels},
    )
    wrong = any(run.wrong for run in history.runs)
    return shell.Outcome(record=series, text=f"{_levels(history)}\n{table(series)}", wrong=wrong)


def _levels(history: History) -> str:
    rows = [["step", "stored", "bytes of messages and indexes"]]
    for level in history.levels:
        size = level["messages_bytes"]
        rows.append([str(level["step"]), f"{level['stored']:,}", "n/a" if size is None else f"{size:,}"])
    return "\n".join([*align(rows), ""])


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
