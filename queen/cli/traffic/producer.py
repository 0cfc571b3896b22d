"""Pushes a stream of messages: feeder → inbox → lane, several lanes side by side.

Invariants
- A partition belongs to one lane, and a lane has one push in flight: the order of a partition is the order of its
  source, also across retries, which repeat the same batch under the same transaction ids.
- Memory is bounded: a full inbox holds up the feeder, and so the source.
- Every message taken from the source ends in one count: queued, duplicate, buffered, failed, unknown (sent, no answer)
  or unsent (taken but not sent when the run was stopped).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from queen.cli.traffic.inbox import Inbox
from queen.cli.traffic.open_loop import OpenLoop
from queen.cli.traffic.pacer import Pacer
from queen.cli.traffic.settled import Settled
from queen.cli.traffic.source import Chunk
from queen.cli.traffic.stop import Stop, finish
from queen.cli.traffic.tally import Tally
from queen.client import Client, NewMessage, Pushed
from queen.client.tasks import cancel
from queen.errors import QueenError

GRACE_S = 10.0
_OVERTIME_S = 1.0
_STORED = ("queued", "duplicate", "buffered")
_ANSWERED = (*_STORED, "failed")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how much: messages a request, lanes, messages a second, and where to end (None: no bound)."""

    batch: int
    concurrency: int
    rate: float | None = None
    count: int | None = None
    duration_s: float | None = None
    linger_s: float = 0.05


class Producer:
    """One run. `tally` holds the counts, `messages` among them: those that the server has taken.

    With `settled` it is told which messages are acknowledged; with `open_loop` that decides when each one is due."""

    def __init__(
        self,
        client: Client,
        pace: Pace,
        tally: Tally,
        stop: Stop,
        *,
        settled: Settled | None = None,
        open_loop: OpenLoop | None = None,
    ) -> None:
        self._client = client
        self._pace = pace
        self._tally = tally
        self._stop = stop
        self._settled = settled
        self._open_loop = open_loop
        self._inboxes = [Inbox(pace.batch, pace.linger_s) for _ in range(pace.concurrency)]

    async def run(self, source: AsyncIterator[Chunk]) -> None:
        """Push until the source, the count or the time is used up, or the run is to end.

        Raises what the source raised, after everything before it was pushed; the server's errors end up in `stop`."""
        lanes = [asyncio.create_task(self._run_lane(lane)) for lane in range(len(self._inboxes))]
        source_error = None
        try:
            try:
                await self._feed_bounded(source)
            except QueenError as error:
                source_error = error
            self._close_inboxes()
            await finish(lanes, self._stop, GRACE_S)
        finally:
            for lane in lanes:
                await cancel(lane)
            self._close_inboxes()
        if source_error is not None:
            raise source_error

    async def _feed_bounded(self, source: AsyncIterator[Chunk]) -> None:
        self._tally.fed_from = time.perf_counter()
        whole = False
        try:
            async with asyncio.timeout(self._feed_s_max()):
                whole = bool(await self._stop.race(self._feed(source)))
        except TimeoutError:
            pass
        finally:
            if self._open_loop is not None and not whole:
                self._open_loop.cut()
            self._tally.fed_s = time.perf_counter() - self._tally.fed_from

    def _feed_s_max(self) -> float | None:
        """A schedule ends by itself; it gets a moment more for what is due and waits for room."""
        if self._pace.duration_s is None or self._open_loop is None:
            return self._pace.duration_s
        return self._pace.duration_s + _OVERTIME_S

    async def _feed(self, source: AsyncIterator[Chunk]) -> bool:
        """True when nothing is left to hand out."""
        pacer = Pacer(self._pace.rate) if self._open_loop is None else self._open_loop
        left = self._pace.count
        async for chunk in source:
            if self._settled is not None:
                await self._settled.room()
            wanted = chunk if left is None else chunk[:left]
            if not await self._hand_out(wanted, pacer):
                break
            if left is not None and (left := left - len(wanted)) == 0:
                break
        return True

    async def _hand_out(self, chunk: Chunk, pacer: Pacer | OpenLoop) -> bool:
        """False when the schedule is at its end."""
        done = 0
        try:
            while done < len(chunk):
                if not (allowed := await pacer.allow(len(chunk) - done)):
                    return False
                for lane, entry in chunk[done : done + allowed]:
                    await self._put(lane % len(self._inboxes), entry)
                    done += 1
        finally:
            self._tally.count("unsent", len(chunk) - done)
        return True

    async def _put(self, lane: int, entry: tuple[NewMessage, int]) -> None:
        was_full = self._inboxes[lane].is_full
        await self._inboxes[lane].put(entry)
        # No lane runs between here and the end, so what is noted is in step with the inbox.
        if self._settled is not None:
            self._settled.take(lane)
        if self._open_loop is not None:
            self._open_loop.take(lane, waited=was_full)

    def _close_inboxes(self) -> None:
        """After the last message: let the lanes drain, or, when the run is to end early, drop what is not sent."""
        for lane, inbox in enumerate(self._inboxes):
            if self._stop.requested:
                self._abandon(lane)
            else:
                inbox.close()

    def _abandon(self, lane: int) -> None:
        self._tally.count("unsent", self._inboxes[lane].abandon())
        for follower in (self._settled, self._open_loop):
            if follower is not None:
                follower.abandon(lane)

    async def _run_lane(self, lane: int) -> None:
        inbox = self._inboxes[lane]
        while batch := await inbox.take():
            await self._push(lane, batch)
            if self._stop.requested:
                self._abandon(lane)

    async def _push(self, lane: int, batch: list[NewMessage]) -> None:
        began_at = time.perf_counter()
        self._tally.count("unknown", len(batch))
        try:
            results = await self._client.push(batch)
        except QueenError as error:
            self._note(lane, [False] * len(batch))
            self._refused(batch, error)
            return
        self._tally.count("unknown", -len(batch))
        self._tally.requests["push"].record(began_at)
        self._count(results)
        self._note(lane, [result.status in _STORED for result in results])

    def _note(self, lane: int, stored: list[bool]) -> None:
        if self._settled is not None:
            self._settled.answer(lane, stored)
        if self._open_loop is not None:
            self._open_loop.answer(lane, stored)

    def _refused(self, batch: list[NewMessage], error: QueenError) -> None:
        """The whole push came to nothing: certainly so when it was refused, perhaps when no answer came."""
        if not error.retryable:
            self._tally.count("unknown", -len(batch))
            self._tally.count("failed", len(batch))
            self._tally.note_error(error.message)
        self._stop.request("error", error=error)

    def _count(self, results: list[Pushed]) -> None:
        for result in results:
            status = result.status if result.status in _ANSWERED else "failed"
            self._tally.count(status)
            if status == "failed":
                self._tally.note_error(result.error or f"status {result.status!r}")
            else:
                self._tally.count("messages")
