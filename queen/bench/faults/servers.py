"""kill-server and drain-server: the first server goes, and comes back. Others, where there are some, go on meanwhile.

The fault ends when the server may come back; what its start takes is part of the recovery.
"""

from __future__ import annotations

from queen.bench.faults.arena import Arena, Marks


async def kill(arena: Arena, length_s: float, strength: int) -> Marks:
    """SIGKILL, and a start after `length_s`."""
    server, begin_s = arena.servers[0], arena.now_s()
    try:
        await server.kill()
        await arena.sleep(length_s)
        end_s = arena.now_s()
    finally:
        await server.restart()
    return {"begin_s": begin_s, "end_s": end_s, "ready_s": arena.now_s(), "other_servers": len(arena.servers) - 1}


async def drain(arena: Arena, length_s: float, strength: int) -> Marks:
    """SIGTERM, and a start `length_s` after the server has ended in order."""
    server, begin_s = arena.servers[0], arena.now_s()
    try:
        code = await server.terminate()
        drained_s = arena.now_s() - begin_s
        await arena.sleep(length_s)
        end_s = arena.now_s()
    finally:
        await server.restart()
    return {
        "begin_s": begin_s,
        "end_s": end_s,
        "ready_s": arena.now_s(),
        "drained_s": drained_s,
        "exit_code": code,
        "other_servers": len(arena.servers) - 1,
    }
