"""What `queen consume` does with a batch when it runs no command: print it, pretend to work, settle it.

Invariants
- A message is acked only after its line was written: at least once, never lost. With `auto` it was acked before it
  came, so what nobody reads any more is lost, and counted.
- The lines of a partition come out in order, and none is written behind a message that failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from queen.cli.traffic.pretend import Drawn, Pretender
from queen.cli.traffic.settler import Settler
from queen.cli.traffic.stop import Stop
from queen.cli.traffic.tally import Tally
from queen.client import Ack, LeasedBatch, Message

Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Style:
    """How messages are written and settled. `ack`: by `batch`, by `message`, not at all (`none`), or by the server at
    delivery (`auto`); `fail_as`: how a failing one is settled."""

    ack: str = "batch"
    envelope: bool = False
    fail_as: str = "retry"


class Printer:
    """The handler of batches that are printed; shared by all workers of a run. `tally` counts `messages` (written),
    `redelivered`, `handler_failed`, and with `auto` those `lost`."""

    def __init__(
        self, write: Write, settler: Settler, pretender: Pretender, tally: Tally, stop: Stop, style: Style
    ) -> None:
        self._write = write
        self._settler = settler
        self._pretender = pretender
        self._tally = tally
        self._stop = stop
        self._style = style
        self._writing = asyncio.Lock()

    async def handle(self, batch: LeasedBatch) -> int:
        """Print and settle; returns how many messages were written out."""
        drawn = self._pretender.draw(batch.messages)
        if self._style.ack == "message":
            return await self._one_by_one(batch, drawn)
        if not await self._print(batch, drawn.handled):
            await self._unread(batch.messages)
            return 0
        await self._work(len(drawn.handled))
        if self._style.ack == "batch":
            acks = [self._ack(batch, drawn, place) for place in drawn.handled]
            await self._settler.settle(acks, [batch.messages[place] for place in drawn.behind])
        return len(drawn.handled)

    async def _one_by_one(self, batch: LeasedBatch, drawn: Drawn) -> int:
        for done, place in enumerate(drawn.handled):
            if self._stop.requested or not await self._print(batch, [place]):
                await self._unread([batch.messages[later] for later in drawn.handled[done:]])
                return done
            await self._work(1)
            await self._settler.settle([self._ack(batch, drawn, place)])
        # A failed message has ended the lease of its partition, and with it those behind were given back.
        self._tally.count("returned", len(drawn.behind))
        return len(drawn.handled)

    async def _print(self, batch: LeasedBatch, places: Sequence[int]) -> bool:
        """Write the lines of these messages; False, with the run to end, when nobody reads them."""
        if not places:
            return True
        try:
            async with self._writing:
                await self._write(b"".join(line_of(batch, place, self._style.envelope) for place in places))
        except BrokenPipeError:
            self._stop.request("closed pipe")
            return False
        self._tally.take([batch.messages[place] for place in places])
        return True

    async def _work(self, messages: int) -> None:
        """Pretend to work. The end of the run cuts it short: the lines are written, so the acks may follow."""
        if work_s := self._pretender.work_s(messages):
            await self._stop.race(asyncio.sleep(work_s))

    def _ack(self, batch: LeasedBatch, drawn: Drawn, place: int) -> Ack:
        if place not in drawn.failing:
            return Ack(batch.messages[place])
        self._tally.count("handler_failed")
        return Ack(batch.messages[place], self._style.fail_as, "failed by --fail-share")

    async def _unread(self, messages: Sequence[Message]) -> None:
        """What was delivered and nobody reads goes back at once, so that others get it."""
        if self._style.ack == "auto":
            self._tally.count("lost", len(messages))
        else:
            await self._settler.settle([], messages)


def line_of(batch: LeasedBatch, place: int, envelope: bool) -> bytes:
    """One message of a batch as a line of JSON, the payload alone or the whole of it."""
    document = batch.envelopes[place] if envelope else bytes(batch.messages[place].data)
    if b"\n" in document or b"\r" in document:
        # Line ends can only stand between tokens, so taking the white space out changes no value.
        document = msgspec.json.format(document, indent=-1)
    return document + b"\n"
