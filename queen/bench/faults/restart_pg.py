"""restart-pg: a fast stop, which lets sessions end, and half-way an immediate one, after which PostgreSQL recovers."""

from __future__ import annotations

from queen.bench.faults.arena import Arena, Marks, database_of


async def strike(arena: Arena, length_s: float, strength: int) -> Marks:
    """Two restarts, `length_s` / 2 apart. A restart that is under way is carried through when this is cancelled:
    the database starts again by itself in `ArenaDatabase.restart`."""
    database, begin_s = database_of(arena), arena.now_s()
    await database.restart("fast")
    second_s = begin_s + max(length_s / 2, arena.now_s() - begin_s)
    await arena.sleep(second_s - arena.now_s())
    await database.restart("immediate")
    return {"begin_s": begin_s, "end_s": arena.now_s(), "restarts": 2}
