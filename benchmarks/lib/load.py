"""The load generator's process: `python -m benchmarks.lib.load < plan.json`, events on standard output.

It runs the steps of a plan one after the other, keeps their time, and says when a window opens and closes.
It runs apart from everything else so that its own processor time can be told from the server's.
It knows nothing of what the server and PostgreSQL cost; whoever reads the events reads those meters.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import time
from typing import Any, Literal

import msgspec
import uvloop

from benchmarks.lib.flow import NEVER, Flow
from benchmarks.lib.paced import PacedFlow
from benchmarks.lib.plan import Counters, Edge, Event, Latency, Pace, Plan, Step, StepDone

PRIME_MESSAGES_MAX = 1000


class Generator:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.flow = PacedFlow(plan) if plan.pushes_per_s else Flow(plan)

    async def run(self) -> None:
        """Runs all steps, or up to the first failure, and emits every event of the plan."""
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        watch = asyncio.create_task(self._watch())
        try:
            await self._run_steps()
        finally:
            watch.cancel()
            self.flow.close()
        failure = self.flow.failure
        if failure is not None:
            emit(failure)
        drained = failure is None or (failure.kind == "stalled" and not self.flow.pushing)
        emit(self.flow.ledger.verdict(complete=drained))

    def _on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback of a connection raised: a fault of the generator, or an answer it cannot follow."""
        self.flow.fail("unexpected", f"{context.get('message')}: {context.get('exception')!r}")

    async def _run_steps(self) -> None:
        try:
            await self.flow.connect()
        except OSError as error:
            self.flow.fail("unreachable", f"cannot connect to {self.plan.host}:{self.plan.port}: {error}")
        # A collection in the middle of a window would look like latency of the server.
        gc.freeze()
        gc.disable()
        for step in self.plan.steps:
            if self.flow.failure is None:
                await self._run_step(step)
                gc.collect()

    async def _run_step(self, step: Step) -> None:
        match step.kind:
            case "prime":
                await self._prime()
            case "push" | "life":
                await self._push(step)
            case "drain":
                await self._drain(step)
            case "paced":
                await self._pace(step)

    async def _prime(self) -> None:
        """Puts a message into every partition and takes it out: partitions exist before the clock runs."""
        for start in range(0, self.plan.partitions, PRIME_MESSAGES_MAX):
            await self.flow.push_once(range(start, min(start + PRIME_MESSAGES_MAX, self.plan.partitions)))
        self.flow.start_consuming(self.flow.lanes)
        await self.flow.rest()

    async def _push(self, step: Step) -> None:
        """All connections push, or in `life` some of them while the others consume."""
        flow, lanes = self.flow, self.flow.lanes
        consumers = self.plan.consumers or len(lanes) - len(lanes) // 2
        pushers = lanes[:-consumers] if step.kind == "life" else lanes
        flow.backlog_max = self.plan.backlog_max if step.kind == "life" else NEVER
        flow.start_pushing(pushers)
        flow.start_consuming(lanes[len(pushers) :])
        flow.cut_at()
        await self._until_cut(step.warmup_s)
        flow.cut_at(pushed=flow.ledger.pushed + self.plan.messages_max)
        latency = await self._window(step)
        flow.stop_pushing()
        await flow.rest()
        self._finish(step, latency)

    async def _drain(self, step: Step) -> None:
        """Empties the queue. The warm-up takes a fifth of it at most; the window closes before it runs dry,
        because the last pops of an almost empty queue would measure waiting."""
        flow = self.flow
        acked, backlog = flow.ledger.acked, flow.ledger.outstanding
        flow.cut_at(acked=acked + backlog // 5)
        flow.start_consuming(flow.lanes)
        await self._until_cut(step.warmup_s)
        dry = acked + backlog - 2 * self.plan.connections * (self.plan.pop_batch or self.plan.size)
        flow.cut_at(acked=min(dry, flow.ledger.acked + self.plan.messages_max))
        latency = await self._window(step)
        await flow.rest()
        self._finish(step, latency)

    async def _pace(self, step: Step) -> None:
        """Pushes at the pace of the plan, whatever the answers do; the queue is empty at the end."""
        flow, lanes = self.flow, self.flow.lanes
        assert isinstance(flow, PacedFlow)
        consumers = self.plan.consumers or len(lanes) - len(lanes) // 2
        flow.start_pacing(lanes[:-consumers])
        if not self.plan.consume_later:
            flow.start_consuming(lanes[-consumers:])
        flow.cut_at()
        await self._until_cut(step.warmup_s)
        flow.mark()
        latency = await self._window(step)
        pace = flow.kept()
        stopped_s = time.perf_counter()
        flow.stop_pushing()
        if self.plan.consume_later:
            await flow.rest()
            flow.start_consuming(lanes)
        await flow.rest()
        self._finish(step, latency, msgspec.structs.replace(pace, drained_s=time.perf_counter() - stopped_s))

    async def _window(self, step: Step) -> dict[str, list[int]]:
        """The measured time, with an edge on each side; returns the latencies of it."""
        flow = self.flow
        flow.forget_latency()
        self._edge(step, "start")
        await self._until_cut(step.window_s)
        self._edge(step, "end")
        latency = flow.latency_ns
        flow.forget_latency()
        return latency

    async def _until_cut(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.flow.cut.wait(), seconds)
        except TimeoutError:
            return

    def _edge(self, step: Step, side: Literal["start", "end"]) -> None:
        if step.measured and self.flow.failure is None:
            emit(Edge(step, side, self._counters()))

    def _finish(self, step: Step, latency: dict[str, list[int]], pace: Pace | None = None) -> None:
        if step.measured and self.flow.failure is None:
            emit(StepDone(step, {verb: summary(times) for verb, times in latency.items() if times}, pace))

    def _counters(self) -> Counters:
        flow = self.flow
        return Counters(
            at_s=time.perf_counter(),
            cpu_s=time.process_time(),
            pushed=flow.ledger.pushed,
            popped=flow.ledger.popped,
            acked=flow.ledger.acked,
            pushes=flow.requests["push"],
            pops=flow.requests["pop"],
            acks=flow.requests["ack"],
            pops_empty=flow.pops_empty,
        )

    async def _watch(self) -> None:
        """A server that neither stores nor delivers anything for `stall_s` ends the run."""
        ledger = self.flow.ledger
        seen, since = (0, 0, 0), time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            now = (ledger.pushed, ledger.popped, ledger.acked)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > self.plan.stall_s:
                what = f"{ledger.outstanding} messages outstanding"
                self.flow.fail("stalled", f"nothing pushed, popped or acked for {self.plan.stall_s:g} s, {what}")


def summary(times_ns: list[int]) -> Latency:
    """Percentiles by nearest rank."""
    ordered = sorted(times_ns)
    return Latency(len(ordered), _rank(ordered, 0.50), _rank(ordered, 0.99), ordered[-1] / 1e6)


def _rank(ordered: list[int], part: float) -> float:
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] / 1e6


def emit(event: Event) -> None:
    """One line; flushed, since the reader takes it for the moment itself."""
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


async def _run(plan: Plan) -> None:
    await Generator(plan).run()


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(plan))


if __name__ == "__main__":
    main()
