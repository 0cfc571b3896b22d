"""When does `queen consume --until-empty` end? Not on an answer that was true while another worker had the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from msgspec import Raw

from queen.cli.traffic.consumer import Consumer, Intake
from queen.cli.traffic.settler import Settler
from queen.cli.traffic.stop import Stop
from queen.cli.traffic.tally import Tally
from queen.client import Ack, Client, LeasedBatch, Message
from queen.client.messages import EMPTY, Acked

MESSAGES = 6


class OnePartition:
    """A server with one partition, one message a pop. Its answer to whoever comes while that is leased is "nothing",
    and arrives when the lease has ended; the answer to the ack arrives some turns of the event loop later."""

    def __init__(self, turns: int) -> None:
        self.left = list(range(MESSAGES))
        self._turns = turns
        self._leased = False
        self._ended = asyncio.Event()

    async def pop(self, *_: Any, **__: Any) -> LeasedBatch:
        await asyncio.sleep(0)
        if self._leased:
            await self._ended.wait()
            return EMPTY
        if not self.left:
            return EMPTY
        self._leased = True
        self._ended = asyncio.Event()
        message = Message("m", str(self.left[0]), "p", Raw(b"1"))
        return LeasedBatch("lease", [message], [b"1"])

    async def settle(self, acks: Sequence[Ack]) -> list[Acked]:
        # Time for another worker to ask while the lease lasts.
        for _ in range(20):
            await asyncio.sleep(0)
        self.left.pop(0)
        self._leased = False
        self._ended.set()
        for _ in range(self._turns):
            await asyncio.sleep(0)
        return [Acked(True) for _ in acks]


@pytest.mark.parametrize("turns", range(12))
def test_a_late_nothing_does_not_end_the_run(turns: int) -> None:
    async def run() -> tuple[str | None, list[int], int]:
        server, stop, tally = OnePartition(turns), Stop(), Tally("pop", "ack")

        async def handle(batch: LeasedBatch) -> int:
            await Settler(cast(Client, server), tally).settle([Ack(message) for message in batch.messages])
            return len(batch.messages)

        intake = Intake("q", batch=1, concurrency=2, until_empty=True)
        await asyncio.wait_for(Consumer(cast(Client, server), intake, handle, tally, stop).run(), 60)
        return stop.reason, server.left, tally.counts["acked"]

    assert asyncio.run(run()) == ("empty", [], MESSAGES)
