"""Faults that other sessions of the database are: pin-xmin, readers, exhaust-pool, terminate-backends.

Each is undone by closing the sessions, which PostgreSQL does by itself should this process die.
"""

from __future__ import annotations

from queen.bench.faults.arena import Arena, Marks, database_of
from queen.store import havoc

TICK_S = 1.0


async def pin_xmin(arena: Arena, length_s: float, strength: int) -> Marks:
    """A transaction with an id stays open for `length_s`."""
    async with havoc.pinned(database_of(arena).dsn) as pin:
        begin_s = arena.now_s()
        await arena.sleep(length_s)
        held = await pin.holds()
        end_s = arena.now_s()
    return {"begin_s": begin_s, "end_s": end_s, "held": float(held)}


async def readers(arena: Arena, length_s: float, strength: int) -> Marks:
    """`strength` sessions scan all messages again and again."""
    database = database_of(arena)
    async with havoc.readers(database.dsn, database.schema, strength) as scans:
        begin_s = arena.now_s()
        await arena.sleep(length_s)
        end_s = arena.now_s()
    return {"begin_s": begin_s, "end_s": end_s, "readers": strength, "scans": scans.done, "failed": scans.failed}


async def exhaust_pool(arena: Arena, length_s: float, strength: int) -> Marks:
    """Holds `strength` sessions (0: all that are left), then the places of half of Queen's."""
    begin_s = arena.now_s()
    async with havoc.held(database_of(arena).dsn, strength) as hold:
        await arena.sleep(length_s)
        end_s = arena.now_s()
    return {"begin_s": begin_s, "end_s": end_s, "held": hold.sessions, "taken": hold.taken}


async def terminate_backends(arena: Arena, length_s: float, strength: int) -> Marks:
    """Ends `strength` of Queen's sessions a second."""
    begin_s, ended = arena.now_s(), 0
    async with havoc.terminator(database_of(arena).dsn) as terminator:
        while arena.now_s() < begin_s + length_s:
            ended += await terminator.end_some(strength)
            await arena.sleep(TICK_S)
    return {"begin_s": begin_s, "end_s": arena.now_s(), "terminated": ended}
