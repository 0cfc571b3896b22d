"""Keeps the state file of a reload up to date while a producer runs: at most once a second, and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from queen.cli.traffic.blocking import in_daemon_thread
from queen.cli.traffic.resume_file import ResumeFile
from queen.cli.traffic.settled import Settled
from queen.cli.traffic.stop import Stop
from queen.errors import ResumeNotWritten

_EVERY_S = 1.0


@asynccontextmanager
async def kept(file: ResumeFile, settled: Settled, stop: Stop) -> AsyncIterator[None]:
    """Around the work. Writes before it too, so that a place that cannot be written to shows before anything is sent.

    Raises ResumeNotWritten at the start or the end; in between, the run is asked to end with it."""
    _write(file, settled)
    ended = asyncio.Event()
    keeper = asyncio.create_task(_keep(file, settled, stop, ended))
    try:
        yield
    finally:
        # Not cancelled: two writes at once would meet in one file.
        ended.set()
        await keeper
        _write(file, settled)


async def _keep(file: ResumeFile, settled: Settled, stop: Stop, ended: asyncio.Event) -> None:
    written = settled.acknowledged
    while not ended.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await ended.wait()
        if settled.acknowledged == written:
            continue
        written = settled.acknowledged
        place, skip = settled.position()
        try:
            await in_daemon_thread(lambda: file.write(place, skip, written))  # noqa: B023  awaited in this turn
        except ResumeNotWritten as error:
            stop.request("error", error=error)
            return


def _write(file: ResumeFile, settled: Settled) -> None:
    place, skip = settled.position()
    file.write(place, skip, settled.acknowledged)
