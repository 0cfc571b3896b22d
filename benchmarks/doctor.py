"""What a run of `queen doctor` costs a server that is busy: windows with it and without it, in pairs.

One closed loop of the whole life of messages; in one window of each pair a doctor with all its checks runs once. Chance
decides in which: with a fixed order, checkpoints that come about every four windows met one side alone. The ratio is of
messages a second, with its interval; the processor time of the doctor's own process is told beside it, since it may run
on another machine.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from benchmarks.lib import shell
from benchmarks.lib.cells import Reading, Window, make_window
from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.life import life_plan
from benchmarks.lib.measure import Meters, generator, meter
from benchmarks.lib.options import seconds, whole
from benchmarks.lib.plan import Edge, Event, Failed, StepDone, Verdict
from benchmarks.lib.record import Record
from benchmarks.lib.target import Target
from benchmarks.lib.text import align, number, verdict_line
from queen.measure.compare import Ratio, of_pairs

SPARE_S: Final = 4.0
"""A window of the load is this much longer than that of the doctor: it starts, samples and judges beside it."""


class Options(shell.Common, frozen=True, kw_only=True):
    size: int
    partitions: int
    doctor_window: float


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the doctor: exit code, seconds from start to end, processor seconds of its process."""

    code: int
    took_s: float
    cpu_s: float


class DoctorRecord(Record, frozen=True, kw_only=True):
    """`without` and `with_doctor` are windows in the order of their pairs; `ratio` is with/without."""

    without: list[Window]
    with_doctor: list[Window]
    visits: list[Visit]
    ratio: float | None
    low: float | None
    high: float | None


class _Doctor:
    """One `queen doctor` beside the load."""

    def __init__(self, target: Target, window_s: float) -> None:
        assert target.dsn is not None
        command = [sys.executable, "-m", "queen", "doctor", "--window", f"{window_s:g}s", "--json"]
        command += ["--database-url", target.dsn, "--url", f"http://{target.host}:{target.port}"]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._began = os.times().elapsed
        self.visit: Visit | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        took = os.times().elapsed - self._began
        self.visit = Visit(code=self._process.returncode, took_s=took, cpu_s=usage.ru_utime + usage.ru_stime)

    def end(self) -> Visit | None:
        """What it was; None when it is not done by now (then it is killed)."""
        if self.visit is None:
            self._process.kill()
            self._thread.join()
            return None
        return self.visit


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="doctor", description="What queen doctor costs a busy server.")
    parser.add_argument("--size", type=whole(1, 10_000), default=100, metavar="N", help="messages a request (100)")
    parser.add_argument("--partitions", type=whole(1, 100_000), default=1000, metavar="N", help="in all (1000)")
    parser.add_argument("--doctor-window", type=seconds, default=10.0, metavar="S", help="its --window (10)")
    shell.add_common(parser, window_s=10.0 + SPARE_S, warmup_s=1.0, repeat=6, connections=64)
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
        with generator(plan) as events:
            run = _Run(options, target, Meters(target, pg))
            run.follow(events)
    return _outcome(options, head, run, facts)


class _Run:
    """Follows the generator and calls the doctor in its windows."""

    def __init__(self, options: Options, target: Target, meters: Meters) -> None:
        self._options = options
        self._target = target
        self._meters = meters
        self._start: Reading | None = None
        self._end: Reading | None = None
        self._doctor: _Doctor | None = None
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
                        self._doctor = _Doctor(self._target, self._options.doctor_window)
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
    """Whether the doctor comes, by window: once in each pair, before or after the other by chance."""
    chance = random.Random(seed)
    return tuple(comes for _ in range(pairs) for comes in chance.sample((False, True), 2))


def _outcome(options: Options, head: shell.Head, run: _Run, facts: dict[str, object] | None) -> shell.Outcome:
    a, b = run.windows[False], run.windows[True]
    ratio = _ratio(a, b, options.seed) if len(a) == len(b) >= 2 else None
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
    )
    return shell.Outcome(record=record, text=_table(record), wrong=run.wrong)


def _ratio(a: list[Window], b: list[Window], seed: int) -> Ratio:
    rates = [np.array([window.msg_per_s for window in side]) for side in (a, b)]
    return of_pairs(rates[0], rates[1], seed=seed)


def _table(record: DoctorRecord) -> str:
    rows = [["pair", "without msg/s", "with msg/s", "without µs", "with µs"]]
    for place, (a, b) in enumerate(zip(record.without, record.with_doctor, strict=False), start=1):
        rows.append(
            [str(place), number(a.msg_per_s, 0), number(b.msg_per_s, 0), number(a.total_us, 1), number(b.total_us, 1)]
        )
    lines = align(rows)
    if record.ratio is not None:
        lines.append(f"ratio    {record.ratio:.4f} ({record.low:.4f} to {record.high:.4f}), with / without")
    if record.visits:
        mean = sum(visit.cpu_s for visit in record.visits) / len(record.visits)
        lines.append(f"doctor   {mean:.2f} s of processor time a run, in a process of its own")
    return "\n".join([*lines, verdict_line(record.valid)])


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
