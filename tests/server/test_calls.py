"""What a hot request costs in calls of Python functions: a measure of work that no busy machine disturbs.

The bounds are half again what was counted when they were written. Whoever goes beyond one has put something new on the
way of every request; `scripts/bench hotpath` then says what it costs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from types import FrameType

import pytest

from tests.server.test_garbage import Client, serving
from tests.support.api import dumps
from tests.support.fake_clock import in_real_time

REQUESTS = 20
BOUNDS = {"push": 425, "pop and ack": 800}
"""Ten messages each; 283 and 532 were counted under Python 3.11."""


async def counted(work: Callable[[], Awaitable[None]]) -> float:
    """Calls of Queen's and of the HTTP server's functions while `work` runs, for each of its requests."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            name = frame.f_globals.get("__name__", "")
            if name.startswith(("queen.", "uvicorn.", "psycopg")):
                calls[f"{name}.{frame.f_code.co_qualname}"] += 1

    sys.setprofile(note)
    try:
        await work()
    finally:
        sys.setprofile(None)
    print(calls.most_common(12))  # Shown when the test fails.
    return calls.total() / REQUESTS


@pytest.mark.spec("R14")
@in_real_time
async def test_a_hot_request_takes_few_calls(database_dsn: str) -> None:
    async with serving(database_dsn) as (client, _):
        await push_all(client)
        await pop_all(client)
        found = {
            "push": await counted(lambda: push_all(client)),
            "pop and ack": await counted(lambda: pop_all(client)),
        }
    assert found["push"] < BOUNDS["push"]
    assert found["pop and ack"] < BOUNDS["pop and ack"]


async def push_all(client: Client) -> None:
    for _ in range(REQUESTS):
        await client.ask("POST", "/api/v1/push", dumps({"items": [{"queue": "calls", "payload": 1}] * 10}))


async def pop_all(client: Client) -> None:
    for _ in range(REQUESTS):
        found = await client.ask("GET", "/api/v1/pop/queue/calls?batch=10")
        acks = [{key: one[key] for key in ("transactionId", "partitionId", "leaseId")} for one in found["messages"]]
        assert len(acks) == 10
        await client.ask("POST", "/api/v1/ack/batch", dumps({"acknowledgments": acks}))
