"""The parts of the pool by themselves: the line, the gate, the history, the budget and its advice, the buckets."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from queen import errors
from queen.measure.buckets import BUCKETS, Buckets
from queen.store import history
from queen.store.budget import Budget, read_budget, remedy
from queen.store.history import History
from queen.store.line import Dismissed, Expired, Full, Line
from queen.store.outage import Outage
from queen.store.pool import Work, name_of
from tests.support.fake_clock import in_virtual_time, settle

POOL = {"size": 2, "idle": 0, "waiting": 5}


@pytest.mark.spec("R13")
@in_virtual_time
async def test_places_go_to_the_first_who_still_waits() -> None:
    line = Line(1, 3)
    assert line.enter()
    assert not line.enter()
    impatient, leaver, stayer = (asyncio.ensure_future(line.wait(seconds)) for seconds in (1, 100, 100))
    await settle()
    assert line.waiting == 3
    with pytest.raises(Full):
        await line.wait(1)
    await asyncio.sleep(2)
    with pytest.raises(Expired):
        await impatient
    leaver.cancel()
    await settle()
    assert line.waiting == 1
    line.leave()
    await stayer
    assert (line.free, line.waiting) == (0, 0)
    line.leave()
    assert line.free == 1
    assert line.enter()


@pytest.mark.spec("R12")
@in_virtual_time
async def test_a_place_that_comes_together_with_a_cancellation_is_passed_on() -> None:
    line = Line(1, 10)
    assert line.enter()
    first, second = (asyncio.ensure_future(line.wait(100)) for _ in range(2))
    await settle()
    line.leave()
    first.cancel()
    await second
    assert first.cancelled()
    line.leave()
    assert line.free == 1


@in_virtual_time
async def test_whoever_waits_can_be_sent_away() -> None:
    line = Line(1, 10)
    assert line.enter()
    waiting = [asyncio.ensure_future(line.wait(100)) for _ in range(3)]
    await settle()
    line.dismiss()
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [Dismissed] * 3
    line.leave()
    assert (line.free, line.waiting) == (1, 0)


@pytest.mark.spec("R11")
@in_virtual_time
async def test_one_prober_with_growing_pauses_opens_the_gate_again() -> None:
    loop = asyncio.get_running_loop()
    asked_at: list[float] = []
    changes: list[str] = []
    came_back = asyncio.Event()

    async def probe() -> str | None:
        asked_at.append(loop.time())
        return "connection refused" if loop.time() < began + 30 else None

    def back(_: float) -> None:
        changes.append("back")
        came_back.set()

    began = loop.time()
    outage = Outage(probe, 1.0, lambda reason: changes.append(reason), back)
    for _ in range(20):
        outage.suspect()
    await settle()
    assert outage.away
    refusal = outage.refusal()
    assert "connection refused" in refusal.message
    assert refusal.retry_after_ms >= 1000
    assert not refusal.unknown, "nothing was sent"
    await came_back.wait()
    assert not outage.away
    assert changes == ["connection refused", "back"]
    assert loop.time() - began < 31, "back within the ceiling"
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert max(pauses) <= 1.0
    assert pauses[0] <= 0.05
    assert 35 < len(pauses) < 140, "half a second on average"
    assert len({round(pause, 6) for pause in pauses}) > len(pauses) * 0.9, "random, so that servers do not meet"
    await outage.close()


@in_virtual_time
async def test_a_refusal_that_does_not_last_shuts_nothing() -> None:
    back: list[float] = []

    async def probe() -> str | None:
        return None

    outage = Outage(probe, 1.0, lambda reason: pytest.fail(reason), back.append)
    outage.suspect()
    await asyncio.sleep(2)
    assert back == [0.0]
    assert not outage.away
    await outage.close()


def test_the_history_is_bounded_and_counts_repetitions_together() -> None:
    past = History(events_max=10)
    for _ in range(1000):
        past.note(history.TIMEOUT, 0.5, POOL)
    past.note(history.TIMEOUT, 2.0, POOL)
    (event,) = past.events()
    assert (event["kind"], event["count"], event["duration_ms"], event["waiting"]) == ("timeout", 1001, 2000, 5)
    for number in range(100):
        past.note(history.LOST, 0.0, POOL, f"number {number}")
    assert [event["text"] for event in past.events()] == [f"number {number}" for number in range(90, 100)]
    assert past.totals[history.TIMEOUT] == 1001


def budget(pool_size: int = 16, instances: int = 1, most: int = 100, others: int = 10, pooled: bool = False) -> Budget:
    return Budget(pool_size, instances, most, 3, others, pooled)


def test_the_budget_refuses_what_can_never_work() -> None:
    budget().check()
    budget(95).check()
    assert budget(95).tight, "only when the others go"
    assert not budget(16).tight
    with pytest.raises(errors.SettingsError, match=r"98 connections \(1 x \(pool 96 \+ 2\)\) of 97") as refused:
        budget(96).check()
    assert refused.value.hint is not None
    assert "DB_POOL_SIZE=95" in refused.value.hint
    assert "max_connections of PostgreSQL to 111" in refused.value.hint
    with pytest.raises(errors.SettingsError):
        budget(32, instances=3).check()
    budget(500, pooled=True).check()


@pytest.mark.spec("R22")
def test_the_remedy_is_a_command_or_the_reason_why_there_is_none() -> None:
    assert "DB_POOL_SIZE=32 DB_CONNECTION_TIMEOUT=10000 queen serve" in remedy(budget(), 16, 5000, 100)
    assert "DB_POOL_SIZE=20 DB_CONNECTION_TIMEOUT=30000" in remedy(budget(), 16, 15_000, 1)
    assert "DB_POOL_SIZE=85 " in remedy(budget(60), 60, 5000, 100), "as many as fit"
    full = remedy(budget(85), 85, 5000, 100)
    assert "more connections would make it worse" in full
    assert "97" in full
    assert "DB_POOL_SIZE=200 " in remedy(budget(100, pooled=True), 100, 5000, 1000)
    assert "DB_POOL_SIZE" not in remedy(budget(1000, pooled=True), 1000, 5000, 1000)
    assert "DB_POOL_SIZE=32 " in remedy(None, 16, 5000, 100)


def test_the_budget_of_a_real_server(module_dsn: str) -> None:
    found = asyncio.run(read_budget(module_dsn, 7))
    assert (found.pool_size, found.instances, found.pooled) == (7, 1, False)
    assert found.max_connections > found.reserved >= 3
    assert found.others >= 0
    assert found.needed == 9
    found.check()


def test_buckets_double() -> None:
    buckets = Buckets()
    assert buckets.percentile(50) is None
    for us in (0, 1, 2, 3, 4, 1000, 1 << 60):
        buckets.record(us)
    assert buckets.count == 7
    assert buckets.counts[:4] == [1, 1, 2, 1]
    assert buckets.counts[10] == 1, "512 to 1023"
    assert buckets.counts[BUCKETS - 1] == 1
    assert buckets.sum == 1010 + (1 << 60)
    middle = buckets.percentile(50)
    assert middle is not None
    assert 1 < middle <= 3


def test_the_history_names_the_calls_that_trouble_happened_to() -> None:
    past = History()
    for work in ("push", "pop", "push", ""):
        past.note("timeout", 0.4, POOL, work=work)
    (event,) = past.events()
    assert (event["count"], event["work"]) == (4, {"push": 2, "pop": 1})
    assert sum(words["timeout"] for words in past.by_minute().values()) == 4


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (b'select * from "queen"."pop_17"($1, $2)', "pop"),
        (b'select place, extract(epoch from x) from "with ""quotes"""."extend"($1)', "extend"),
        (b"select 1", ""),
        ("list_queues", "list_queues"),
    ],
)
def test_a_call_is_named_by_its_function(work: Work, name: str) -> None:
    assert name_of(work) == name
