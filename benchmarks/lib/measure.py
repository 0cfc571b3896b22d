"""One plan measured: the generator carries it out, and every meter is read at each edge it announces.

It joins generator, server and database meters; it decides nothing about what the figures mean.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from benchmarks.lib.cells import Reading, Window, make_window
from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.plan import EVENTS, Counters, Edge, Event, Failed, Pace, Plan, StepDone, Verdict
from benchmarks.lib.postgres import PgCounters, PgMeter
from benchmarks.lib.report import SizeTotals
from benchmarks.lib.target import Target
from queen.measure.processes import MachineCpu, Process, cpu_s, read_machine, read_processes, rss_bytes, tree


class PlanRun:
    """What one plan brought. `label` names it in messages, `windows` are by stage, `paces` go with those of stage
    paced, `postgres` holds the facts of its database."""

    def __init__(self, label: str, size: int, stages: list[str]) -> None:
        self.label = label
        self.size = size
        self.windows: dict[str, list[Window]] = {stage: [] for stage in stages}
        self.paces: list[Pace] = []
        self.verdict: Verdict | None = None
        self.failure: Failed | None = None
        self.totals: SizeTotals | None = None
        self.postgres: dict[str, Any] | None = None

    @property
    def wrong(self) -> bool:
        return self.verdict is not None and self.verdict.wrong

    def problems(self) -> list[str]:
        found = []
        if self.failure:
            found.append(f"{self.label}: {self.failure.kind}: {self.failure.message}")
        if self.verdict is None:
            found.append(f"{self.label}: the generator ended without a verdict")
        elif self.verdict.wrong:
            found.append(f"{self.label}: the ledger is wrong: {describe(self.verdict)}")
            found += self.verdict.examples
        return found


def describe(verdict: Verdict) -> str:
    names = ("lost", "unacked", "duplicated", "reordered", "ghost", "corrupt", "refused")
    counts = {name: getattr(verdict, name) for name in names}
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


class Cpu(NamedTuple):
    """Processor seconds so far; None for processes that are not on this machine."""

    server_s: float | None
    postgres_s: float | None
    machine: MachineCpu


class Meters:
    """Reads everything at one moment. Figures of processes that are not on this machine are None."""

    def __init__(self, target: Target, pg: PgMeter | None) -> None:
        self._server = target.pid
        self._pg = pg
        self._postmaster = _postmaster(pg) if pg else None

    def read(self, counters: Counters) -> Reading:
        cpu = self.cpu()
        return Reading(counters, cpu.server_s, cpu.postgres_s, cpu.machine, self._pg.read() if self._pg else None)

    def cpu(self) -> Cpu:
        """Processor times alone. They move fastest, and reading them costs little."""
        machine = read_machine()
        processes = read_processes()
        server = postgres = None
        if self._server is not None:
            server = cpu_s(self._server_tree(processes))
        if self._postmaster is not None:
            postgres = cpu_s(tree(processes, self._postmaster))
        return Cpu(server, postgres, machine)

    def server_rss_bytes(self) -> int | None:
        """Resident memory of the server's processes, without PostgreSQL's."""
        if self._server is None:
            return None
        return sum(rss_bytes(process.pid) for process in self._server_tree(read_processes()))

    def _server_tree(self, processes: dict[int, Process]) -> list[Process]:
        """An embedded PostgreSQL is a child of the server; it is counted on its own side."""
        assert self._server is not None
        return tree(processes, self._server, without=self._postmaster)


def _postmaster(pg: PgMeter) -> int | None:
    """Parent of our own session's backend; None when that backend is not a process of this machine."""
    processes = read_processes()
    backend = processes.get(pg.backend_pid())
    if backend is None or not backend.name.startswith("postgres"):
        return None
    postmaster = processes.get(backend.parent)
    return postmaster.pid if postmaster and postmaster.name.startswith("postgres") else None


@contextmanager
def meter(target: Target) -> Iterator[PgMeter | None]:
    """A session on the server's database; None when it is unknown. Raises psycopg.Error when it does not answer."""
    if target.dsn is None:
        yield None
        return
    with PgMeter(target.dsn, may_create=target.ours) as pg:
        yield pg


def measure_plan(label: str, plan: Plan, target: Target, pg: PgMeter | None, settle_s: float = 0.0) -> PlanRun:
    """Carries out one plan. `settle_s` above 0 asks for exact totals after so long without load.
    Raises psycopg.Error when the database of the server does not answer."""
    stages = list(dict.fromkeys(step.kind for step in plan.steps if step.measured))
    run = PlanRun(label, plan.size, [*stages])
    run.postgres = pg.facts() if pg else None
    before = pg.read() if pg else None
    with generator(plan) as events:
        _follow(run, events, Meters(target, pg))
        if pg and before and settle_s and run.verdict and not run.failure:
            run.totals = _totals(plan.size, run.verdict.acked, before, pg.read_settled(settle_s))
    return run


@contextmanager
def generator(plan: Plan) -> Iterator[Iterator[Event]]:
    """The generator's process and its events, ended with the block whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.lib.load"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(plan))
        process.stdin.close()
        yield (EVENTS.decode(line) for line in process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _follow(run: PlanRun, events: Iterator[Event], meters: Meters) -> None:
    edges: dict[str, Reading] = {}
    for event in events:
        match event:
            case Edge(side=side, counters=counters):
                edges[side] = meters.read(counters)
            case StepDone(step=step, latency=latency, pace=pace):
                window = make_window(step, edges["start"], edges["end"], latency, os.cpu_count() or 1)
                run.windows[step.kind].append(window)
                if pace is not None:
                    run.paces.append(pace)
                print(_progress(run.label, step.kind, window), file=sys.stderr, flush=True)
            case Failed():
                run.failure = event
            case Verdict():
                run.verdict = event


def _progress(label: str, stage: str, window: Window) -> str:
    total = "n/a" if window.total_us is None else f"{window.total_us:.1f}"
    notes = f"  ({'; '.join(window.notes)})" if window.notes else ""
    head = f"{label}: {stage:5} window {window.repeat + 1}: {window.msg_per_s:9,.0f} msg/s"
    return f"{head}  {total} µs a message  {window.seconds:.1f} s{notes}"


def _totals(size: int, messages: int, before: PgCounters, after: PgCounters) -> SizeTotals | None:
    if not messages:
        return None
    statements = None
    if before.statements is not None and after.statements is not None:
        statements = (after.statements - before.statements) / messages
    return SizeTotals(
        size=size,
        messages=messages,
        wal_bytes=(after.wal_bytes - before.wal_bytes) / messages,
        writes=(after.writes - before.writes) / messages,
        commits=(after.commits - before.commits) / messages,
        statements=statements,
    )
