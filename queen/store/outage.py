"""Is the database there? A gate that shuts when connections fail, and one prober that opens it again.

While the gate is shut every request is refused at once instead of waiting for its time-out, and only the prober tries
to connect: exponential back-off with full jitter up to a low ceiling, so that the load comes back soon after the
database, and many servers do not come back in step. One line in the log for each change. Knows nothing of the pool.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from queen import errors

log = logging.getLogger(__name__)

_FIRST_S = 0.05

Probe = Callable[[], Awaitable[str | None]]


class Outage:
    """The gate. `probe` connects once: None, or why it did not; `on_away` and `on_back` hear of changes."""

    def __init__(
        self, probe: Probe, ceiling_s: float, on_away: Callable[[str], None], on_back: Callable[[float], None]
    ) -> None:
        self._probe = probe
        self._ceiling_s = ceiling_s
        self._on_away = on_away
        self._on_back = on_back
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0
        self._reason = ""
        self.away = False

    def suspect(self) -> None:
        """A connection could not be made: look whether another can. The gate shuts when not."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def refusal(self) -> errors.StoreUnavailable:
        """What a request is told while the gate is shut. Nothing of it was sent."""
        return errors.StoreUnavailable(
            f"the database is away for {time.monotonic() - self._since:.1f} s: {self._reason}",
            hint="the server tries to reach it all the time; repeat the request later",
            retry_after_ms=max(1000, int(self._ceiling_s * 1000)),
        )

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        ceiling_s = min(_FIRST_S, self._ceiling_s)
        while (reason := await self._probe()) is not None:
            self._shut(reason)
            await asyncio.sleep(random.uniform(0, ceiling_s))
            ceiling_s = min(self._ceiling_s, ceiling_s * 2)
        if not self.away:
            # It refused one and let in the next, as a full server does: no reason to hurry.
            await asyncio.sleep(random.uniform(0, self._ceiling_s))
        self._open()

    def _shut(self, reason: str) -> None:
        self._reason = reason
        if not self.away:
            self.away = True
            self._since = time.monotonic()
            log.warning("database away reason=%s", reason)
            self._on_away(reason)

    def _open(self) -> None:
        lasted_s = time.monotonic() - self._since if self.away else 0.0
        if self.away:
            self.away = False
            log.info("database back away_s=%.1f", lasted_s)
        self._on_back(lasted_s)
