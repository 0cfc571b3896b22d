"""What a run of `queen doctor` costs a server that is busy: windows with it and without it, in pairs.

One closed loop of the whole life of messages; in one window of each pair a doctor with all its checks runs once. Chance
decides in which, as often before the other as after it: with a fixed order, checkpoints that come about every four
windows met one side alone.

It answers twice. The processor time of a run is exact to a few milliseconds, and told as a share of all processors.
The ratio of messages a second holds all effects, and the noise of the machine. With --short the windows just hold a run
with a short look of its own, so that there are many pairs, and the same cost is a larger part of each.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks.lib import shell
from benchmarks.lib.cells import Reading, Window, make_window
from benchmarks.lib.life import life_plan
from benchmarks.lib.measure import Meters, generator, meter
from benchmarks.lib.options import seconds, whole
from benchmarks.lib.plan import Edge, Event, Failed, StepDone, Verdict
from benchmarks.lib.record import Record
from benchmarks.lib.target import Target
from benchmarks.lib.text import align, number, verdict_line
from benchmarks.lib.visits import DEFAULT_RUN_S, Cost, Doctor, Lost, Visit, answers_s, cost_of, lost
from queen.measure.compare import Ratio, of_pairs

SPARE_S: Final = 4.0
"""A window of the load is this much longer than that of the doctor: it starts, samples and judges beside it."""
_SHORT: Final = {"seconds": 6.0, "warmup": 0.5, "repeat": 60, "doctor_window": 1.5}
"""13 minutes."""
_FIRST_S: Final = 60.0  # the run before the first window, which compiles what is not compiled yet


class Options(shell.Common, frozen=True, kw_only=True):
    size: int
    partitions: int
    doctor_window: float
    short: bool


class DoctorRecord(Record, frozen=True, kw_only=True):
    """`without` and `with_doctor` are windows in the order of their pairs. `ratio` is with/without in messages a
    second, `lost` what that comes to for one run; `us_ratio` is the same in processor time a message of server and
    PostgreSQL together."""

    without: list[Window]
    with_doctor: list[Window]
    visits: list[Visit]
    ratio: float | None
    low: float | None
    high: float | None
    us_ratio: float | None
    us_low: float | None
    us_high: float | None
    lost: Lost | None
    cost: Cost | None


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="doctor", description="What queen doctor costs a busy server.")
    parser.add_argument("--size", type=whole(1, 10_000), default=100, metavar="N", help="messages a request (100)")
    parser.add_argument("--partitions", type=whole(1, 100_000), default=1000, metavar="N", help="in all (1000)")
    parser.add_argument("--doctor-window", type=seconds, default=30.0, metavar="S", help="its --window (30)")
    parser.add_argument("--short", action="store_true", help="60 pairs of windows of 6 s, 1.5 s of them the doctor's")
    shell.add_common(parser, window_s=30.0 + SPARE_S, warmup_s=1.0, repeat=6, connections=64)
    if parser.parse_args(arguments).short:
        parser.set_defaults(**_SHORT)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options)
    if not fault and options.repeat < 2:
        fault = "want two pairs or more (--repeat 2)"
    if not fault and options.seconds < options.doctor_window:
        fault = "want --seconds longer than --doctor-window"
    if fault:
        parser.error(fault)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("doctor", options, lambda: _measure(options))


def _measure(options: Options) -> shell.Outcome:
    head = shell.begin("doctor", options)
    with shell.server(options) as target, meter(target) as pg:
        facts = pg.facts() if pg else None
        plan = life_plan(
            "doctor",
            options,
            target,
            size=options.size,
            partitions=options.partitions,
            windows=2 * options.repeat,
            seconds=options.seconds,
        )
        meters = Meters(target, pg)
        Doctor(target, 0.1).end(_FIRST_S)
        answers = answers_s(target, lambda: _busy_s(meters))
        with generator(plan) as events:
            run = _Run(options, target, meters)
            run.follow(events)
    return _outcome(options, head, run, facts, answers)


def _busy_s(meters: Meters) -> float | None:
    """Processor seconds of the server and of PostgreSQL so far; None where one is elsewhere."""
    cpu = meters.cpu()
    return None if cpu.server_s is None or cpu.postgres_s is None else cpu.server_s + cpu.postgres_s


class _Run:
    """Follows the generator and calls the doctor in its windows."""

    def __init__(self, options: Options, target: Target, meters: Meters) -> None:
        self._options = options
        self._target = target
        self._meters = meters
        self._start: Reading | None = None
        self._end: Reading | None = None
        self._doctor: Doctor | None = None
        self._order = order(options.repeat, options.seed)
        self.windows: dict[bool, list[Window]] = {False: [], True: []}
        self.visits: list[Visit] = []
        self.problems: list[str] = []
        self.wrong = False

    def follow(self, events: Iterator[Event]) -> None:
        for event in events:
            match event:
                case Edge(step=step, side="start", counters=counters):
                    self._start = self._meters.read(counters)
                    if self._order[step.repeat]:
                        self._doctor = Doctor(self._target, self._options.doctor_window)
                case Edge(counters=counters):
                    self._end = self._meters.read(counters)
                case StepDone(step=step, latency=latency):
                    self._done(self._order[step.repeat], step.repeat)
                    assert self._start is not None
                    assert self._end is not None
                    window = make_window(step, self._start, self._end, latency, os.cpu_count() or 1)
                    self.windows[self._order[step.repeat]].append(window)
                    who = "with" if self._order[step.repeat] else "without"
                    print(f"doctor: {who} {window.msg_per_s:,.0f} msg/s", file=sys.stderr, flush=True)
                case Failed():
                    self.problems.append(f"{event.kind}: {event.message}")
                case Verdict():
                    self.wrong = event.wrong

    def _done(self, with_doctor: bool, number_: int) -> None:
        if not with_doctor or self._doctor is None:
            return
        visit = self._doctor.end()
        if visit is None:
            self.problems.append(f"window {number_}: the doctor was not done at its end; ask for longer --seconds")
        elif visit.code not in (0, 1):
            self.problems.append(f"window {number_}: the doctor ended with {visit.code}")
        if visit is not None:
            self.visits.append(visit)
        self._doctor = None


def order(pairs: int, seed: int) -> tuple[bool, ...]:
    """Whether the doctor comes, by window: once in each pair, before or after the other by chance, and both equally
    often, so that what grows or fades with time takes nothing from either side."""
    first = [number_ % 2 == 0 for number_ in range(pairs)]
    random.Random(seed).shuffle(first)
    return tuple(comes for begins in first for comes in (begins, not begins))


def _outcome(
    options: Options, head: shell.Head, run: _Run, facts: dict[str, object] | None, answers: float | None
) -> shell.Outcome:
    a, b = run.windows[False], run.windows[True]
    ratio = _ratio([window.msg_per_s for window in a], [window.msg_per_s for window in b], options.seed)
    costs = _ratio([window.total_us for window in a], [window.total_us for window in b], options.seed)
    if ratio is None:
        run.problems.append("fewer than two pairs were measured")
    if run.wrong:
        run.problems.append("the ledger is wrong")
    record = DoctorRecord(
        **head.fields(run.problems, facts),
        without=a,
        with_doctor=b,
        visits=run.visits,
        ratio=ratio.ratio if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        us_ratio=costs.ratio if costs else None,
        us_low=costs.low if costs else None,
        us_high=costs.high if costs else None,
        lost=lost(ratio, float(np.mean([window.seconds for window in b]))) if ratio else None,
        cost=cost_of(run.visits, answers, os.cpu_count() or 1),
    )
    return shell.Outcome(record=record, text=_table(record), wrong=run.wrong)


def _ratio(a: Sequence[float | None], b: Sequence[float | None], seed: int) -> Ratio | None:
    """b/a; None for fewer than two pairs, and where a figure is missing."""
    known = [[value for value in side if value] for side in (a, b)]
    if not len(a) == len(b) == len(known[0]) == len(known[1]) >= 2:
        return None
    return of_pairs(np.array(known[0]), np.array(known[1]), seed=seed)


def _table(record: DoctorRecord) -> str:
    rows = [["pair", "without msg/s", "with msg/s", "without µs", "with µs"]]
    for place, (a, b) in enumerate(zip(record.without, record.with_doctor, strict=False), start=1):
        rows.append(
            [str(place), number(a.msg_per_s, 0), number(b.msg_per_s, 0), number(a.total_us, 1), number(b.total_us, 1)]
        )
    lines = align(rows)
    if record.ratio is not None:
        lines.append(f"ratio    {record.ratio:.4f} ({record.low:.4f} to {record.high:.4f}), msg/s with / without")
    if record.us_ratio is not None:
        lines.append(f"         {record.us_ratio:.4f} ({record.us_low:.4f} to {record.us_high:.4f}), µs a message")
    if record.lost is not None:
        lines.append(_lost(record.lost))
    if record.cost is not None:
        lines.append(_cost(record.cost))
    return "\n".join([*lines, verdict_line(record.valid)])


def _lost(one: Lost) -> str:
    share = f"{one.share:.2%} ({one.low:.2%} to {one.high:.2%}) of a run's {DEFAULT_RUN_S:g} s"
    return f"lost     {one.seconds:.2f} s of throughput a run ({one.low_s:.2f} to {one.high_s:.2f}), {share}"


def _cost(one: Cost) -> str:
    parts = f"process {one.process_s:.3f}, its session {number(one.database_s, 3)}, answers {number(one.answers_s, 3)}"
    share = "" if one.share is None else f", {one.share:.2%} of {one.cores} processors over {one.took_s:.1f} s"
    return f"costs    {number(one.total_s, 3)} s of processor time a run ({parts}){share}"


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
