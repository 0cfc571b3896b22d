"""One run from the empty queue to the verdict: setup, null run, warm-up until steady, measure, drain, account.

States: setup → null_run → warmup → measure → drain → done. A wish to stop, or a worker in trouble, leads from any of
the middle ones straight to the account, and the result is marked partial. What is measured, `collect` and `ledger`
know; what it means, `assemble` and `verdict`.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from queen.bench import idle, slices, steady, surroundings
from queen.bench import null_run as null_runs
from queen.bench.ask import Ask
from queen.bench.assemble import Account, assemble
from queen.bench.collect import Collector
from queen.bench.crew import Crew
from queen.bench.ending import ended
from queen.bench.faults import Struck, play
from queen.bench.ledger import Ledger
from queen.bench.live import Live
from queen.bench.orders import Consume, Plan, Produce, StopConsuming, StopProducing
from queen.bench.other_side import OtherSide
from queen.bench.own_queue import dead_letters, own_queue
from queen.bench.result import LedgerReport, NullRun, Phase, Result
from queen.bench.schedule import key_count
from queen.bench.seen import Seen, Surroundings
from queen.bench.session import CrewLike, Interrupted, Session
from queen.bench.stage import Stage
from queen.bench.target import System
from queen.errors import QueenError

_READY_S = 30.0
_LATE_S = 5.0
_LEAD_NS = 300_000_000
_FILL_RATE = 20_000.0
_SILENT_S = 3
INTENDED = frozenset({"response", "generator_lag", "connection_wait", "e2e"})
"""What is measured from the intended time: at full speed nothing is intended."""

MakeCrew = Callable[[list[Plan]], AbstractAsyncContextManager[CrewLike]]
NullRuns = Callable[[Ask, float], Awaitable[tuple[int, NullRun]]]


async def calibrated(ask: Ask, slo_ms: float) -> tuple[int, NullRun]:
    """How many workers, and their null run: as many as asked for, else as many as it takes."""
    if ask.workers is None:
        return await null_runs.calibrate(ask.workload, ask.rate, seed=ask.seed, seconds=ask.null_run_s, slo_ms=slo_ms)
    found = await null_runs.null_run(
        ask.workload, ask.rate, workers=ask.workers, seed=ask.seed, seconds=ask.null_run_s, slo_ms=slo_ms
    )
    return ask.workers, found


@dataclass
class Run:
    """One run against a system. `run` may be called once. `make_crew` and `null_runs` are stood in for by tests."""

    ask: Ask
    system: System
    live: Live
    stop: asyncio.Event
    make_crew: MakeCrew = Crew
    null_runs: NullRuns = calibrated
    phases: list[Phase] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objectives = self.ask.objectives()
        self.slo_ms = self.ask.tightest_ms(self.objectives)
        self.run_id = secrets.token_hex(4)
        self.queue = f"bench-{self.run_id}"
        self.started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.zero_s = time.perf_counter_ns() // 10**9
        self.live.objectives = self.objectives
        self.workers = self.ask.workers or 1
        self.null: NullRun | None = None
        self.steady = True
        self.partial = self.complete = self.sends_complete = False
        self.failure: QueenError | None = None
        self.drained: tuple[float, float] | None = None
        self.struck: list[Struck] = []
        self.seen = Seen()
        self.surroundings = Surroundings()

    async def run(self) -> Result:
        """The result, partial when the run was stopped. Raises QueenError when nothing could be measured at all."""
        async with own_queue(self.system, self.queue, self.ask, self.live.says.append):
            self.surroundings.fingerprint = await surroundings.look(self.system)
            try:
                await self._prove()
            except Interrupted:
                self.partial = True
            return ended(await self._drive(), self.failure, self.drained)

    async def _prove(self) -> None:
        """The null run; skipped where it says nothing new, as in the steps of a search."""
        if not self.ask.null_run:
            return
        with self._phase("null_run"):
            # What belongs to the run is not taken for noise, so that both go on at once.
            listening = asyncio.ensure_future(surroundings.disturbances(self.system))
            proving = asyncio.ensure_future(self.null_runs(self.ask, self.slo_ms))
            stopping = asyncio.ensure_future(self.stop.wait())
            try:
                await asyncio.wait({proving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not proving.done():
                    raise Interrupted
                self.workers, self.null = proving.result()
                self.surroundings.disturbed = await listening
            finally:
                for task in (listening, proving, stopping):
                    task.cancel()
                await asyncio.wait({listening, proving, stopping})

    async def _drive(self) -> Result:
        workload = self.ask.workload
        self.collector = Collector(
            self.workers,
            self.zero_s,
            workload.groups,
            late_counts=self.ask.messages is not None,
            without=INTENDED if self.ask.full_speed else frozenset(),
        )
        self.live.collector = self.collector
        self.ledger = Ledger(
            self.ask.groups,
            partitions=key_count(workload, self.workers),
            lease_s=workload.lease_s,
            judge_early=workload.ack != "auto",
            workers=self.workers,
            zero_ns=self.zero_s * 10**9,
        )
        self.other_side = OtherSide(self.system, self.zero_s)
        try:
            dead = 0
            if not self.partial:
                await self.other_side.start()
                await self._load_crew()
                dead = await dead_letters(self.system.urls[0], self.queue)
            self.collector.finish()
            report = self.ledger.report(self.complete, dead, sends_complete=self.sends_complete)
            return assemble(self._account(await self._look_across(report)))
        finally:
            await asyncio.shield(self.other_side.close())

    async def _load_crew(self) -> None:
        async with self.make_crew(self._plans()) as crew:
            session = Session(crew, self.workers, self.ledger, self.collector, self.stop)
            pump = asyncio.create_task(session.pump())
            try:
                await self._phases(session)
                await session.finish(_LATE_S)
            finally:
                pump.cancel()
                await asyncio.wait({pump})
                if not pump.cancelled() and (error := pump.exception()) is not None:
                    raise error

    async def _look_across(self, report: LedgerReport) -> LedgerReport:
        """What the other side did and what became of its surroundings; the ledger with its view of anomalies."""
        await self.other_side.stop()
        measured = self.collector.measured()
        if not measured:
            return report
        self.seen = self.other_side.seen(
            measured[0].second,
            measured[-1].second + 1,
            slice_s=slices.length_s(self.ask.workload),
            slices=len(self.collector.blocks),
        )
        end = await surroundings.look(self.system)
        self.surroundings.changed = surroundings.changed(self.surroundings.fingerprint, end)
        return await self.other_side.explain(report, self.queue, self.run_id, self.ask.workload.partitions)

    def _plans(self) -> list[Plan]:
        groups = () if self.ask.workload.consume == "never" else self.ask.groups
        return [
            Plan(
                run_id=self.run_id,
                worker=worker,
                workers=self.workers,
                seed=self.ask.seed,
                targets=self.system.targets,
                queue=self.queue,
                groups=groups,
                workload=self.ask.workload,
                inflight_max=self.ask.inflight_of_worker(self.workers, self.slo_ms),
                request_timeout_s=self.ask.request_timeout_s,
            )
            for worker in range(self.workers)
        ]

    async def _phases(self, session: Session) -> None:
        """From ready workers to the drained queue. A stop or a trouble ends it early, with what there is."""
        try:
            with self._phase("setup"):
                await session.ready(_READY_S)
                await self._fill(session)
            await self._load(session)
            await self._drain(session)
        except Interrupted:
            self.partial = True
            await session.send(StopProducing())
            await session.send(StopConsuming())
        except QueenError as error:
            if not self.collector.seconds:
                raise
            self.partial, self.failure = True, error
            self.notes.append(f"cut short: {error.message}")

    async def _fill(self, session: Session) -> None:
        """Make the idle partitions, and store `start_depth` messages before anybody consumes."""
        if self.ask.workload.idle_partitions:
            count = self.ask.workload.idle_partitions
            await idle.make(self.system.urls[0], self.queue, self.ask.groups, count, session.check)
        depth = self.ask.workload.start_depth
        if not depth:
            return
        start_ns = time.perf_counter_ns() + _LEAD_NS
        rate = max(self.ask.rate, _FILL_RATE)
        await session.send(Produce(phase="setup", rate=rate, start_ns=start_ns, messages=depth))
        stored = await session.until(
            lambda: sum(one.counts.accepted for one in self.collector.seconds) >= depth, 60 + 10 * depth / rate
        )
        if not stored:
            self.notes.append("the start depth was not reached in time")

    async def _load(self, session: Session) -> None:
        workload = self.ask.workload
        if workload.consume == "meanwhile":
            await session.send(Consume())
        start_ns = (time.perf_counter_ns() + _LEAD_NS) // 10**9 * 10**9 + 10**9
        await session.send(Produce(phase="load", rate=self.ask.rate, start_ns=start_ns, messages=self.ask.messages))
        if workload.warmup_s > 0 and self.ask.messages is None:
            with self._phase("warmup", workload.warmup_s):
                await self._warm_up(session)
        await self._measure(session, start_ns)
        await session.send(StopProducing())
        self.sends_complete = await session.quiet("produce", self.ask.request_timeout_s + _LATE_S)

    async def _warm_up(self, session: Session) -> None:
        workload = self.ask.workload
        await session.pause(workload.warmup_s + 1)
        if not steady.judged(workload.warmup_s):
            self.notes.append(f"warm-up of {workload.warmup_s:g} s: too short to judge whether it was steady")
            return
        left_s = max(0.0, steady.WARMUP_S_MAX - workload.warmup_s)
        self.steady = await session.until(lambda: steady.settled(self.collector.warm), left_s)

    async def _measure(self, session: Session, start_ns: int) -> None:
        """Whole seconds of the shared clock, so that the seconds of all workers fit."""
        seconds = self.ask.workload.measure_s
        from_s = max(time.perf_counter_ns(), start_ns - 1) // 10**9 + 1 - self.zero_s
        self.collector.begin_measuring(from_s, slices.length_s(self.ask.workload))
        await session.pause(from_s - self._now_s())
        with self._phase("measure", seconds):
            stage = Stage(self.system, session, self.workers, lambda: self._now_s() - from_s)
            faults = self.ask.faults.faults if self.ask.faults is not None else ()
            playing = asyncio.create_task(play(faults, stage, self._hear, self.struck))
            try:
                if self.ask.messages is not None:
                    seconds = await self._until_sent(session, seconds)
                else:
                    await session.pause(seconds)
                self.collector.end_measuring(from_s + max(1, math.ceil(seconds)))
                await asyncio.wait({playing}, timeout=_LATE_S)
            finally:
                if self.collector.measure_to_s is None:  # cut short: what follows is no longer measured
                    self.collector.end_measuring(max(from_s + 1, int(self._now_s())))
                playing.cancel()
                await asyncio.wait({playing})
            if not playing.cancelled():
                playing.result()  # a bug in a fault is a bug of the run

    def _hear(self, text: str) -> None:
        """A fault began or is over: servers may be other processes since."""
        self.live.says.append(text)
        self.other_side.follow()

    async def _until_sent(self, session: Session, seconds: float) -> float:
        """A burst: until all its messages were taken, or none was for a while. The seconds it took."""
        began = moved = time.monotonic()
        wanted, taken = (self.ask.messages or 0) + self.ask.workload.start_depth, 0

        def is_over() -> bool:
            nonlocal moved, taken
            now = int(self.ledger.counts()["accepted"])
            if now > taken:
                moved, taken = time.monotonic(), now
            return taken >= wanted or time.monotonic() - moved > self.ask.request_timeout_s

        await session.until(is_over, math.inf)
        if taken < wanted:
            self.notes.append(f"only {taken:,} of {wanted:,} messages were taken")
        return moved - began

    async def _drain(self, session: Session) -> None:
        workload = self.ask.workload
        if workload.consume == "never":
            return
        # A message whose answer was cut off comes again only when its lease has run out.
        held_s = workload.lease_s if self._is_shaken() else 0
        drain_s = max(workload.drain_s, held_s + 5 * _SILENT_S)
        with self._phase("drain", drain_s):
            began, before = time.monotonic(), self._delivered()
            if workload.consume == "later":
                await session.send(Consume())
            settled = await session.until(self._all_settled, drain_s)
            if workload.consume == "later":
                self.drained = time.monotonic() - began, (self._delivered() - before) / workload.groups
            self.complete = settled or self._is_silent(held_s + _SILENT_S)
            await session.send(StopConsuming())
            await session.quiet("consume", _LATE_S + workload.handler_ms[1] / 1000 + workload.pop_wait_ms / 1000)
        if not settled:
            self.notes.append(f"the drain did not reach its end within {drain_s:g} s")

    def _all_settled(self) -> bool:
        self.ledger.follow()
        return int(self.ledger.counts()["outstanding"]) == 0

    def _delivered(self) -> int:
        return int(self.ledger.counts()["delivered"])

    def _is_shaken(self) -> bool:
        """Did requests fail, so that leases may be held for nobody?"""
        return bool(self.struck) or any(one.errors for one in self.collector.seconds)

    def _is_silent(self, seconds: int) -> bool:
        """Nothing was delivered in the last seconds although consumers asked: what is missing will not come."""
        last = self.collector.seconds[-seconds:]
        return len(last) == seconds and not any(one.counts.delivered for one in last)

    def _phase(self, name: str, seconds: float | None = None) -> _Phase:
        self.live.enter(name, seconds)
        return _Phase(self, name)

    def _now_s(self) -> float:
        return time.perf_counter_ns() / 1e9 - self.zero_s

    def _account(self, ledger: LedgerReport) -> Account:
        return Account(
            ask=self.ask,
            objectives=self.objectives,
            collector=self.collector,
            ledger=ledger,
            phases=self.phases,
            notes=self.notes,
            null_run=self.null,
            workers=self.workers,
            steady=self.steady,
            partial=self.partial,
            struck=self.struck,
            started_at=self.started_at,
            duration_s=self._now_s(),
            own_server=self.system.own_server,
            own_database=self.system.database is not None,
            seen=self.seen,
            surroundings=self.surroundings,
        )


class _Phase:
    """Notes when a phase began and ended, however it ended."""

    def __init__(self, run: Run, name: str) -> None:
        self._run, self._name = run, name

    def __enter__(self) -> None:
        self._start_s = self._run._now_s()

    def __exit__(self, *_: object) -> None:
        phase = {"name": self._name, "start_s": round(self._start_s, 3), "end_s": round(self._run._now_s(), 3)}
        self._run.phases.append(Phase(**phase))  # type: ignore[arg-type]
