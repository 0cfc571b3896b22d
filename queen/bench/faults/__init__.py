"""Does the faults of a schedule, one file a subject, each undone on every path.

`play` is the one way in. What is done to is an `arena.Arena`; what came of it, `queen.bench.recovery` tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from queen.bench.chaos import Fault
from queen.bench.faults import restart_pg, servers, sessions, stall_consumer
from queen.bench.faults.arena import Arena, Marks
from queen.errors import QueenError

Strike = Callable[[Arena, float, int], Awaitable[Marks]]

STRIKES: Final[dict[str, Strike]] = {
    "kill-server": servers.kill,
    "drain-server": servers.drain,
    "restart-pg": restart_pg.strike,
    "terminate-backends": sessions.terminate_backends,
    "exhaust-pool": sessions.exhaust_pool,
    "pin-xmin": sessions.pin_xmin,
    "readers": sessions.readers,
    "stall-consumer": stall_consumer.strike,
}


@dataclass(frozen=True, slots=True)
class Struck:
    """One fault that was done. Seconds count from the beginning of measuring; `failed` says why it was not."""

    fault: Fault
    begin_s: float
    end_s: float
    marks: Marks
    failed: str | None = None


async def play(faults: Iterable[Fault], arena: Arena, tell: Callable[[str], None] = lambda text: None) -> list[Struck]:
    """Does each fault at its time and returns what was done, in the order of their ends. Overlapping ones run side by
    side. When cancelled, every fault under way is undone before this returns. `tell` gets a line at each begin and end.
    """
    done: list[Struck] = []

    async def one(fault: Fault) -> None:
        await arena.sleep(max(0.0, fault.start_s - arena.now_s()))
        tell(f"{fault.text} begins")
        done.append(await _strike(fault, arena))
        tell(f"{fault.name} is over" if done[-1].failed is None else f"{fault.name} failed: {done[-1].failed}")

    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(one(fault))
    return done


async def _strike(fault: Fault, arena: Arena) -> Struck:
    begin_s = arena.now_s()
    try:
        marks = await STRIKES[fault.name](arena, fault.length_s, fault.strength)
    except QueenError as error:
        # A fault that cannot be done is a finding of its own; it must not take the run with it.
        return Struck(fault, begin_s, arena.now_s(), {}, error.message)
    return Struck(fault, marks["begin_s"], marks["end_s"], marks)
