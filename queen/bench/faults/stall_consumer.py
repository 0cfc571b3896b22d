"""stall-consumer: some consumers hold a batch past its lease: others get it, and the late acks are refused."""

from __future__ import annotations

from queen.bench.faults.arena import Arena, Marks
from queen.bench.orders import Stall


async def strike(arena: Arena, length_s: float, strength: int) -> Marks:
    """One order a consumer, over the workers in turn. Nothing to undo: a stall ends by itself."""
    begin_s = arena.now_s()
    for number in range(strength):
        await arena.send(Stall(length_s), number % arena.workers)
    await arena.sleep(length_s)
    return {"begin_s": begin_s, "end_s": arena.now_s(), "consumers": strength}
