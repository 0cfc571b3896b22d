"""How a run goes, on stderr: one redrawn line on a terminal, else one greppable line every interval."""

from __future__ import annotations

import asyncio
import sys

from queen.bench.live import Live
from queen.cli import console

_REDRAW_S = 0.5
INTERVAL_S_DEFAULT = 10.0


async def show(live: Live, *, quiet: bool, every_s: float | None) -> None:
    """Until cancelled. Quiet: nothing at all."""
    if quiet:
        return
    if sys.stderr.isatty() and every_s is None:
        await _redraw(live)
    else:
        await _lines(live, every_s or INTERVAL_S_DEFAULT)


async def _lines(live: Live, every_s: float) -> None:
    phase = ""
    waited_s = 0.0
    while True:
        _say_news(live)
        if live.phase != phase or waited_s >= every_s:
            phase, waited_s = live.phase, 0.0
            console.say(live.line())
        await asyncio.sleep(min(every_s, 0.25))
        waited_s += min(every_s, 0.25)


async def _redraw(live: Live) -> None:
    from rich.console import Console
    from rich.live import Live as Screen
    from rich.text import Text

    with Screen(console=Console(stderr=True), transient=True, auto_refresh=False) as screen:
        while True:
            screen.update(Text(live.line(), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(_REDRAW_S)


def _say_news(live: Live) -> None:
    while live.says:
        console.say(live.says.pop(0))
