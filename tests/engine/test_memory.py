"""The budget: what is admitted, what is refused, how few partitions one call asks when answers are large."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queen import errors
from queen.engine import memory
from queen.engine.memory import Memory
from queen.settings import EngineSettings
from tests.support.fake_clock import in_virtual_time

MIB = 1 << 20
pytestmark = pytest.mark.spec("R3")


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """256 MiB for a process that holds 64 already: 96 for requests, 48 for answers."""
    monkeypatch.setattr(memory, "rss_bytes", lambda: 64 * MIB)
    return Memory(replace(EngineSettings(), memory_bytes_max=256 * MIB))


def test_requests_take_half_of_what_is_left(budget: Memory) -> None:
    budget.admit(50 * MIB)
    with pytest.raises(errors.Overloaded, match="memory budget"):
        budget.admit(47 * MIB)
    budget.admit(46 * MIB)
    assert (budget.used, budget.refused) == (96 * MIB, 1)
    budget.release(46 * MIB)
    budget.admit(40 * MIB)


def test_the_first_request_is_admitted_whatever_its_size(budget: Memory) -> None:
    budget.closed = True
    budget.admit(500 * MIB)
    with pytest.raises(errors.Overloaded):
        budget.admit(1)


def test_operations_and_bodies_follow_a_small_budget(budget: Memory) -> None:
    fitted = budget.fitted(EngineSettings(push_bytes_max=64 * MIB))
    assert fitted.push_bytes_max == fitted.pop_bytes_max == 8 * MIB
    assert budget.body_bytes_max(64 * MIB) == 24 * MIB
    assert budget.body_bytes_max(MIB) == MIB


def test_unread_answers_stop_pops(budget: Memory) -> None:
    budget.answers = 48 * MIB
    budget.admit_pop()
    budget.answers += 1
    with pytest.raises(errors.Overloaded):
        budget.admit_pop()


def test_answers_are_reserved_as_far_as_there_is_room(budget: Memory) -> None:
    with budget.reserved_answer(20 * MIB) as first, budget.reserved_answer(20 * MIB) as second:
        assert (first, second) == (20 * MIB, 4 * MIB)
        with budget.reserved_answer(MIB) as least:
            assert least == MIB // 16
            with pytest.raises(errors.Overloaded), budget.reserved_answer(1):
                pass
    assert budget.answers == 0
    with pytest.raises(ZeroDivisionError), budget.reserved_answer(MIB):
        raise ZeroDivisionError
    assert budget.answers == 0


def test_large_answers_make_calls_ask_fewer_partitions_until_small_ones_come(budget: Memory) -> None:
    assert budget.partitions_per_call(8 * MIB) == 1
    for _ in range(100):
        budget.answered(8192, 2)
    assert budget.partitions_per_call(8 * MIB) >= 1000
    budget.answered(4 * MIB, 1)
    assert budget.partitions_per_call(8 * MIB) == 2


@in_virtual_time
async def test_the_gate_closes_near_the_limit_and_opens_below(budget: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = []

    async def renew() -> None:
        renewed.append(1)

    for rss, is_closed in ((100, False), (240, True), (180, True), (150, False)):
        monkeypatch.setattr(memory, "rss_bytes", lambda rss=rss: rss * MIB)
        await budget.sample(renew)
        assert budget.closed == is_closed, rss
    assert renewed == [1]


def test_a_control_group_may_have_less_than_the_machine() -> None:
    assert 0 < memory.machine_bytes() < 1 << 50
    assert not Memory(EngineSettings()).watched
