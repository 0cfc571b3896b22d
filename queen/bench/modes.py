"""Which runs a question takes, and on which system: one, or those of a search, a sweep or a comparison.

What one run is, `run` knows; what several mean, `campaign`. A system is opened by the callback, with the
options of its servers and settings of its PostgreSQL; where steps differ in those, each has a system of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from queen.bench import drift
from queen.bench.ask import Ask
from queen.bench.campaign import NULL_RUN_S, paired, searched, swept
from queen.bench.live import Live
from queen.bench.result import Campaign, NullRun, Result
from queen.bench.run import Run, calibrated
from queen.bench.target import System
from queen.bench.workload import Workload

OpenSystem = Callable[[Workload], AbstractAsyncContextManager[System]]


async def run(ask: Ask, open_system: OpenSystem, live: Live, stop: asyncio.Event) -> Result | Campaign:
    """The record of the run, or of the campaign. Raises QueenError when nothing could be measured."""

    async def alone(one: Ask) -> Result:
        async with open_system(one.workload) as system:
            return await Run(one, system, live, stop).run()

    if ask.mode == "ab":
        return await paired(ask, alone, live.tell)
    if ask.sweep is not None and ask.sweep.knob == "pool":
        return await swept(ask, alone, live.tell)
    async with open_system(ask.workload) as system:

        async def beside(one: Ask) -> Result:
            return await Run(one, system, live, stop).run()

        if ask.mode == "search":
            return await searched(ask, beside, _prove, live.tell)
        if ask.sweep is not None:
            return await swept(ask, beside, live.tell)
        result = await beside(ask)
    return drift.noted(result) if ask.mode == "soak" else result


async def _prove(ask: Ask) -> tuple[int, NullRun]:
    short = msgspec.structs.replace(ask, null_run_s=NULL_RUN_S)
    return await calibrated(short, ask.tightest_ms(ask.objectives()))
