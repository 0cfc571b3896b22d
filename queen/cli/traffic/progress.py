"""Shows how a run goes, on stderr: one redrawn line on a terminal, else one greppable line every interval.

Knows the tally, not what the messages are.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from queen.cli.traffic.tally import Tally, per_second, percentiles

_REDRAW_S = 0.5
INTERVAL_S_DEFAULT = 10.0


class Progress:
    """Runs beside the work until it is cancelled. `counted` and `request` name what the line tells; `left` ends it."""

    def __init__(
        self,
        tally: Tally,
        counted: str,
        request: str,
        interval_s: float | None,
        left: Callable[[], str] = lambda: "",
    ) -> None:
        self._tally = tally
        self._counted = counted
        self._request = tally.requests[request]
        self._interval_s = interval_s
        self._left = left
        self._last = (time.perf_counter(), 0)

    async def run(self) -> None:
        if sys.stderr.isatty() and self._interval_s is None:
            await self._redraw()
        else:
            await self._lines(self._interval_s or INTERVAL_S_DEFAULT)

    async def _redraw(self) -> None:
        with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(_REDRAW_S)
                live.update(Text(self._line(), no_wrap=True, overflow="ellipsis"), refresh=True)

    async def _lines(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            print(self._line(), file=sys.stderr, flush=True)

    def _line(self) -> str:
        now, messages = time.perf_counter(), self._tally.counts[self._counted]
        rate = per_second(messages - self._last[1], now - self._last[0])
        self._last = (now, messages)
        return (
            f"progress: {self._tally.seconds():.1f} s, {messages} messages, {rate:.1f} msg/s, "
            f"{percentiles(self._request.take_recent())}, failed {self._tally.counts['failed']}"
            f"{self._left()}"
        )
