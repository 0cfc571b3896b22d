"""Which runs a question takes: one, or those of a search. What one run is, `run` knows."""

from __future__ import annotations

import asyncio

import msgspec

from queen.bench.ask import Ask
from queen.bench.campaign import searched
from queen.bench.live import Live
from queen.bench.result import Campaign, Result
from queen.bench.run import Run
from queen.bench.target import System


async def run(ask: Ask, system: System, live: Live, stop: asyncio.Event) -> Result | Campaign:
    """The record of the run, or of the campaign. Raises QueenError when nothing could be measured."""
    if ask.mode == "search":
        return await searched(ask, lambda one: Run(one, system, live, stop).run())
    return await Run(msgspec.structs.replace(ask), system, live, stop).run()
