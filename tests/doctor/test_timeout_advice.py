"""What is advised about time-outs: the command where it helps, else why more connections would make it worse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queen.doctor.timeout_advice import Load, advise
from queen.store.budget import Budget

LOAD = Load(
    pool_size=100, timeout_ms=5_000, waiting=50, in_use_mean=90.0, hold_ms=4.0, slow_calls=0, busy=0.4
)  # fmt: skip
ROOM = Budget(pool_size=100, instances=1, max_connections=200, reserved=3, others=10, pooled=False)


@pytest.mark.spec("R22")
def test_where_there_is_room_and_time_a_ready_command_is_given() -> None:
    advice = advise(LOAD, ROOM, False)
    assert advice.command == "DB_POOL_SIZE=150 DB_CONNECTION_TIMEOUT=10000 queen serve"
    assert advice.command in advice.text


@pytest.mark.spec("R22")
@pytest.mark.parametrize(
    ("load", "budget", "reason"),
    [
        (replace(LOAD, busy=0.95), ROOM, "the processors of the database are busy (95 %)"),
        (replace(LOAD, slow_calls=7, in_use_mean=1.2), ROOM, "7 calls held one for a second or more"),
        (LOAD, replace(ROOM, max_connections=110), "PostgreSQL grants 107"),
    ],
)
def test_where_more_would_make_it_worse_it_says_why(load: Load, budget: Budget, reason: str) -> None:
    advice = advise(load, budget, False)
    assert advice.command is None
    assert advice.text.startswith("More connections would ")
    assert reason in advice.text


def test_an_unknown_load_of_the_database_is_not_a_busy_one() -> None:
    assert advise(replace(LOAD, busy=None), ROOM, False).command is not None


def test_calls_that_are_slow_because_there_are_many_get_more_connections() -> None:
    assert advise(replace(LOAD, slow_calls=7), ROOM, False).command is not None


def test_through_a_pooler_the_pooler_is_looked_at_first() -> None:
    advice = advise(LOAD, replace(ROOM, pooled=True), True)
    assert "C5" in advice.text
    assert advice.command == "DB_CONNECTION_TIMEOUT=10000 queen serve"
