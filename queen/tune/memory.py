"""Who gets how much of the memory. The guard: buffers, sessions and vacuum together stay within 80 % of it. Pure.

From comfortable to tight there is a ladder of rungs; the first that fits is taken. A pool that nobody chose shrinks
when the last rung is too much; a pool that was chosen is refused then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from queen.errors import TuneRefused
from queen.tune.inputs import GIB, MIB, Inputs
from queen.tune.known import line
from queen.tune.lines import Line, Note
from queen.tune.sizes import down, rounded, size

GUARD_SHARE: Final = 0.8
SESSION_BYTES: Final = 10 * MIB
"""What a busy session takes beside its work_mem: catalog caches, plans, messages in flight."""

GLOBAL_WORK_MEM: Final = 4 * MIB
BUFFERS_MAX: Final = 16 * GIB
HUGE_FROM: Final = 8 * GIB
_HUGE_PAGE: Final = 2 * MIB


@dataclass(frozen=True, slots=True)
class Memory:
    """A division of the memory, in bytes. `work_mem` is that of Queen's role; others have GLOBAL_WORK_MEM at most."""

    usable: int
    sessions: int
    workers: int
    shared_buffers: int
    work_mem: int
    autovacuum_work_mem: int

    @property
    def guarded(self) -> int:
        """What all may take at once."""
        sessions = self.sessions * (4 * self.work_mem + SESSION_BYTES)
        return self.shared_buffers + sessions + self.workers * self.autovacuum_work_mem

    @property
    def fits(self) -> bool:
        """Whether the guard holds."""
        return self.guarded <= GUARD_SHARE * self.usable


def vacuum_workers(inputs: Inputs) -> int:
    """Autovacuum workers: three, and one more for each eight processors, up to eight."""
    return min(8, 3 + inputs.cpus // 8)


def divide(inputs: Inputs) -> tuple[Inputs, Memory]:
    """The division, and the inputs with the pool that fits. Raises TuneRefused when none fits."""
    rungs = list(_ladder(inputs))
    for rung in rungs:
        if rung.fits:
            return inputs, rung
    tight = rungs[-1]
    room = GUARD_SHARE * tight.usable - tight.shared_buffers - tight.workers * tight.autovacuum_work_mem
    fitting = int(room // (4 * tight.work_mem + SESSION_BYTES))
    pool = fitting // inputs.instances
    if inputs.origin("pool_size") == "default" and inputs.pooled_connections is None and pool >= 1:
        fewer = inputs.replace("reduced to fit the memory", pool_size=pool)
        return fewer, next(rung for rung in _ladder(fewer) if rung.fits)
    raise TuneRefused(
        f"{inputs.sessions} sessions of Queen do not fit into {rounded(max(0, inputs.usable_bytes))} of memory",
        hint=f"at most {max(0, fitting)} fit: a smaller --pool-size, fewer --instances, a pooler, or more memory",
    )


def memory_lines(inputs: Inputs, memory: Memory) -> list[Line]:
    """Buffers, caches and working memory."""
    of = rounded(memory.usable)
    cache, upkeep = down(0.7 * memory.usable), min(2 * GIB, down(memory.usable / 16))
    entries = (
        (
            "shared_buffers",
            size(memory.shared_buffers),
            "the newest messages and all small tables stay in it",
            f"a quarter of {of}, from 128MB to 16GB, less where the guard needs it ({guard_text(memory)})",
        ),
        ("huge_pages", "try", "taken where there are some; on could keep PostgreSQL from starting", "fixed"),
        ("effective_cache_size", size(cache), "tells the planner that index pages are in memory", f"0.7 × {of}"),
        (
            "work_mem",
            size(min(GLOBAL_WORK_MEM, memory.work_mem)),
            "for other programs; Queen's role has its own",
            "4MB, less where the guard needs it",
        ),
        ("maintenance_work_mem", size(upkeep), "an index is built in one pass", f"{of} ÷ 16, up to 2GB"),
        (
            "autovacuum_work_mem",
            size(memory.autovacuum_work_mem),
            "a vacuum reads each index once",
            f"{of} ÷ 64, from 64MB to 1GB, less where the guard needs it; for each of {memory.workers} workers",
        ),
    )
    return [line(inputs, *entry) for entry in entries]


def guard_text(memory: Memory) -> str:
    """The guard with its numbers."""
    sessions = f"{memory.sessions} × (4 × {size(memory.work_mem)} + {size(SESSION_BYTES)})"
    vacuum = f"{memory.workers} × {size(memory.autovacuum_work_mem)}"
    return f"{size(memory.shared_buffers)} + {sessions} + {vacuum} ≤ 0.8 × {rounded(memory.usable)}"


def memory_notes(memory: Memory) -> list[Note]:
    """Huge pages are made by the system, not by PostgreSQL."""
    if memory.shared_buffers < HUGE_FROM:
        return []
    pages = -(-int(memory.shared_buffers * 1.03 + 128 * MIB) // _HUGE_PAGE)
    text = (
        f"about {pages} pages of 2 MiB hold the shared memory (sysctl -w vm.nr_hugepages={pages}); the exact number: "
        "postgres -C shared_memory_size_in_huge_pages (15 and later)"
    )
    return [Note("vm.nr_hugepages", text)]


def _ladder(inputs: Inputs) -> list[Memory]:
    """Divisions from comfortable to tight."""
    usable = inputs.usable_bytes
    wide = 16 * MIB if usable >= 16 * GIB else 8 * MIB
    quarter = min(BUFFERS_MAX, max(128 * MIB, down(usable / 4)))
    eighth = min(quarter, max(32 * MIB, down(usable / 8)))
    vacuum = min(GIB, max(64 * MIB, down(usable / 64)))
    steps = (
        (quarter, wide, vacuum),
        (quarter, 8 * MIB, vacuum),
        (quarter, 4 * MIB, min(vacuum, 64 * MIB)),
        (quarter, 4 * MIB, 32 * MIB),
        (eighth, 4 * MIB, 32 * MIB),
        (eighth, 2 * MIB, 16 * MIB),
        (eighth, MIB, 16 * MIB),
    )
    workers = vacuum_workers(inputs)
    return [Memory(usable, inputs.sessions, workers, *step) for step in steps]
