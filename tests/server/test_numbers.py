"""The line of numbers in the log: rates and latencies of its interval alone, and what there is at its end."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from queen.engine.board import Numbers
from queen.measure.buckets import Buckets
from queen.server.numbers import Lines, line


def numbers(pushed: int, popped: int, times: list[int], flushes: list[int], **gauges: float) -> Numbers:
    push_us, entries = Buckets(), Buckets()
    for time in times:
        push_us.record(time)
    for flush in flushes:
        entries.record(flush)
    return Numbers(
        {"push_messages": pushed, "pop_messages": popped, "requests_refused": pushed // 100},
        gauges,
        {"push_us": push_us, "push_flush_entries": entries},
    )


@pytest.mark.spec("R2")
def test_a_line_tells_of_its_interval() -> None:
    before = numbers(1000, 0, [100_000] * 50, [1] * 50)
    now = numbers(4000, 900, [100_000] * 50 + [900] * 98 + [3000] * 2, [1] * 50 + [100] * 30, pool_size=5, pool_idle=2)
    facts = line(before, now, 30.0)
    assert (facts["push_per_s"], facts["pop_per_s"], facts["ack_per_s"]) == (100.0, 30.0, 0.0)
    assert 0.5 <= facts["push_p50_ms"] <= 1.024, "the slow ones were before"
    assert 2 <= facts["push_p99_ms"] <= 4.096
    assert facts["push_batch"] == 100.0
    assert (facts["pool_size"], facts["pool_idle"], facts["pool_waiting"], facts["parked_polls"]) == (5, 2, 0, 0)
    assert (facts["refused"], facts["failed"]) == (30, 0)
    assert "pop_p50_ms" not in facts, "there was no pop"
    assert not set(facts) & set(vars(logging.makeLogRecord({}))), "no fact has a name that the log uses itself"


async def _two_lines(rows: list[Numbers]) -> None:
    lines = Lines(lambda: rows.pop(0))
    await lines.tick()
    await lines.tick()


def test_each_line_begins_where_the_last_one_ended(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    rows = [numbers(n, 0, [], []) for n in (0, 700, 700)]
    with caplog.at_level(logging.INFO):
        asyncio.run(_two_lines(rows))
    found: list[Any] = [vars(record)["push_per_s"] for record in caplog.records if record.message == "metrics"]
    assert found[0] > 0
    assert found[1] == 0
