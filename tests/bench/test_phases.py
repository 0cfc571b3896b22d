"""The phases of a run on a clock that jumps, with a crew that has no processes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from queen.bench.ask import Ask
from queen.bench.live import Live
from queen.bench.orders import Consume, Plan, Produce, StopConsuming, StopProducing
from queen.bench.own_server import Server
from queen.bench.result import NullRun, Result
from queen.bench.run import Run
from queen.bench.target import System
from queen.bench.workload import Workload
from tests.bench.fake_crew import FakeCrew, loop_clock
from tests.support.fake_clock import in_virtual_time

SHAPE: dict[str, Any] = {"rate": 100, "partitions": 1, "push_batch": 1, "warmup_s": 15, "measure_s": 20, "drain_s": 30}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_clock(monkeypatch)


class Bench:
    """A run with a fake crew of these traits."""

    def __init__(self, *, ask: dict[str, Any] | None = None, shape: dict[str, Any] | None = None, **traits: Any):
        asked: dict[str, Any] = {"mode": "target", "slos": (), "seed": 1, "command": "queen bench", "workers": 1} | (
            ask or {}
        )
        self.ask = Ask(workload=Workload(**(SHAPE | (shape or {}))), **asked)
        self.traits, self.stop = traits, asyncio.Event()
        self.crews: list[FakeCrew] = []

    async def run(self) -> Result:
        system = System([Server.foreign("127.0.0.1", 9)], None)
        return await Run(self.ask, system, Live(), self.stop, self._crew, _null_run).run()

    def _crew(self, plans: list[Plan]) -> Any:
        self.crews.append(FakeCrew(plans, **self.traits))
        return self.crews[-1]

    @property
    def ordered(self) -> list[type]:
        return [type(order) for order in self.crews[0].orders]


async def _null_run(ask: Ask, slo_ms: float) -> tuple[int, NullRun]:
    await asyncio.sleep(ask.null_run_s)
    null = NullRun(
        rate_per_s=ask.rate,
        offered_per_s=ask.rate,
        seconds=ask.null_run_s,
        generator_lag_p99_ms=0.1,
        cpu_share_max=0.1,
        cpu_share_total=0.1,
        overflow=0,
        ok=True,
        reasons=[],
    )
    return 1, null


def lengths(result: Result) -> dict[str, float]:
    return {phase.name: phase.end_s - phase.start_s for phase in result.phases}


@in_virtual_time
async def test_a_steady_run_passes_through_every_phase() -> None:
    bench = Bench()
    result = await bench.run()
    assert result.verdict.word == "pass", result.verdict
    assert [phase.name for phase in result.phases] == ["null_run", "setup", "warmup", "measure", "drain"]
    found = lengths(result)
    assert 15 <= found["warmup"] < 20
    assert 20 <= found["measure"] < 22
    assert found["drain"] < 5
    assert result.delivered_per_s == result.accepted_per_s == 100
    assert result.latency["response"].count == 20 * 100, "only what was answered in the measured time"
    assert result.ledger.complete
    assert result.ledger.lost == 0
    assert bench.ordered[:4] == [Consume, Produce, StopProducing, StopConsuming]


@in_virtual_time
async def test_a_warm_up_that_does_not_settle_ends_after_a_minute_and_is_said() -> None:
    result = await Bench(response_us=lambda second: 1_000 * (second - 990)).run()
    assert 60 <= lengths(result)["warmup"] < 63
    assert (result.verdict.word, result.verdict.exit_code) == ("invalid", 5)
    assert "not steady" in result.verdict.line


@in_virtual_time
async def test_a_warm_up_settles_later_than_its_shortest_time() -> None:
    began: list[int] = []

    def response_us(second: int) -> int:
        began.append(second)
        return 50_000 - 2_000 * min(20, second - began[0])

    result = await Bench(response_us=response_us).run()
    assert 30 <= lengths(result)["warmup"] < 45
    assert result.verdict.word == "pass", result.verdict


@in_virtual_time
async def test_a_short_warm_up_is_not_judged() -> None:
    result = await Bench(shape={"warmup_s": 3}, response_us=lambda second: 1_000 * (second - 990)).run()
    assert lengths(result)["warmup"] < 6
    assert any("too short to judge" in note for note in result.notes)
    assert result.verdict.word == "pass", result.verdict


@in_virtual_time
async def test_what_is_kept_back_until_the_drain_ends_in_silence_is_lost() -> None:
    result = await Bench(keeps=7).run()
    assert 30 <= lengths(result)["drain"] < 33
    assert (result.verdict.word, result.ledger.lost) == ("wrong", 7)
    assert any("did not reach its end" in note for note in result.notes)


@in_virtual_time
async def test_after_failed_requests_leases_are_waited_for_before_anything_is_lost() -> None:
    """What was delivered into a connection that was cut comes again when its lease has run out, not earlier."""
    result = await Bench(keeps=7, errors={"connection": 1}, shape={"lease_s": 50}).run()
    assert lengths(result)["drain"] >= 50
    assert (result.verdict.word, result.ledger.lost) == ("wrong", 7)


@in_virtual_time
async def test_a_worker_in_trouble_ends_the_run_and_keeps_what_was_measured() -> None:
    result = await Bench(trouble_after_s=25).run()
    assert result.partial
    assert (result.verdict.word, result.verdict.exit_code) == ("partial", 3)
    assert "the server is gone" in result.verdict.line
    assert result.ledger.accepted > 1000


@pytest.mark.parametrize("after_s", [2.0, 12.0, 30.0, 42.5])
def test_an_interrupted_run_is_partial(after_s: float) -> None:
    @in_virtual_time
    async def run() -> None:
        bench = Bench()
        asyncio.get_running_loop().call_later(after_s, bench.stop.set)
        result = await bench.run()
        assert result.partial
        assert (result.verdict.word, result.verdict.exit_code) == ("partial", 130)
        if bench.crews:
            assert {StopProducing, StopConsuming} <= set(bench.ordered)

    run()


@in_virtual_time
async def test_an_interrupt_while_measuring_ends_the_measured_time() -> None:
    bench = Bench(keeps=7)
    asyncio.get_running_loop().call_later(30, bench.stop.set)
    result = await bench.run()
    measured = [
        second for second, phase in zip(result.series.second, result.series.phase, strict=True) if phase == "measure"
    ]
    assert 0 < len(measured) < 20
    assert result.latency["response"].count == 100 * len(measured)


@in_virtual_time
async def test_a_backlog_is_stored_and_then_drained() -> None:
    ask = {"mode": "backlog", "messages": 1_000, "judge_rate": False, "full_speed": True, "null_run": False}
    bench = Bench(ask=ask, shape={"consume": "later"})
    result = await bench.run()
    assert result.verdict.word == "pass", result.verdict
    assert [phase.name for phase in result.phases] == ["setup", "measure", "drain"]
    assert (result.ledger.accepted, result.ledger.acked) == (1_000, 1_000)
    assert "response" not in result.latency, "nothing is intended at full speed"
    assert result.drain_per_s is not None
    assert result.drain_s is not None
    assert round(result.drain_per_s * result.drain_s) == 1_000
    assert "drained 1,000 messages" in result.verdict.line
    assert bench.ordered.index(Consume) > bench.ordered.index(StopProducing)
