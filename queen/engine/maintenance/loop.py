"""The shape of background loops: what runs until it is stopped, and one that calls `tick` every so often: a failed tick
is logged, the next one tried."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from queen import errors

log = logging.getLogger(__name__)


class Background:
    """What runs beside requests, as a task named after it: start, stop."""

    name: str
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"loop {self.name}")

    async def stop(self) -> None:
        """End, also in the middle of a tick."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        raise NotImplementedError


async def wait_until(at: float, event: asyncio.Event) -> None:
    """Wait until this time of the loop's clock, or until the event; it is set afterwards."""
    timer = asyncio.get_running_loop().call_at(at, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


class Loop(Background):
    """Calls `tick` every `interval_s`, spread a little so that several servers do not march in step.

    The first time after an interval, or `at_once`.
    """

    def __init__(
        self, name: str, tick: Callable[[], Awaitable[None]], interval_s: float, *, at_once: bool = False
    ) -> None:
        self.name = name
        self._tick = tick
        self._interval_s = interval_s
        self._at_once = at_once

    async def _run(self) -> None:
        if not self._at_once:
            await self._pause()
        while True:
            try:
                await self._tick()
            except errors.QueenError as error:
                log.warning("tick failed loop=%s error=%s", self.name, error)
            except Exception:
                log.exception("tick failed loop=%s", self.name)
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.1))
