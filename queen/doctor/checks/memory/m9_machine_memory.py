"""M9: a machine that is short of memory: little left, swapping, processes killed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from queen.doctor import needs
from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.memory import MachineMemory
from queen.doctor.wal import megabytes


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Up to three findings: what is left, swapping inside the window, and processes killed."""
    now = seen.host.memory if seen.host else None
    before = seen.host_before.memory if seen.host_before else None
    if now is None or before is None:
        raise NotSeen("the memory of this machine cannot be read")
    yield from _left(seen, now)
    yield from _swapping(seen, now, before)
    yield from _killed(now, before)


def _left(seen: Seen, now: MachineMemory) -> Iterable[Finding]:
    limit, share = seen.limits["limit"], now.available / now.limit
    severity = limit.judge_low(share)
    if severity is not None:
        yield Finding(
            severity,
            f"{megabytes(now.available):.0f} MB of memory are left, {share:.0%} of {now.limited_by}",
            {**_facts(now), "left_share": round(share, 3)},
            "See M1 for PostgreSQL's part and M7 for the Queen server's; bound the latter with --max-memory.",
            object="memory",
            threshold=limit,
        )


def _swapping(seen: Seen, now: MachineMemory, before: MachineMemory) -> Iterable[Finding]:
    limit, rate = seen.limits["swap"], (now.swapped_pages - before.swapped_pages) / seen.window_s
    severity = limit.judge(rate)
    if severity is not None:
        yield Finding(
            severity,
            f"the machine swaps {rate:.0f} pages a second",
            {**_facts(now), "swapped_pages_per_s": round(rate, 1)},
            "A database that is swapped out stalls everything: free memory first, then look at swappiness.",
            object="swap",
            threshold=limit,
        )


def _killed(now: MachineMemory, before: MachineMemory) -> Iterable[Finding]:
    new = now.oom_kills - before.oom_kills
    if now.oom_kills > 0:
        yield Finding(
            "crit" if new > 0 else "info",
            f"the kernel killed {now.oom_kills} processes for want of memory, {new} of them inside the window",
            {**_facts(now), "oom_kills": now.oom_kills, "oom_kills_in_window": new},
            "Set vm.overcommit_memory=2 where PostgreSQL has the machine for itself; give Queen --max-memory; see M1.",
            object="oom",
        )


def _facts(now: MachineMemory) -> dict[str, Any]:
    return {
        "memory_MB": megabytes(now.limit),
        "available_MB": megabytes(now.available),
        "limited_by": now.limited_by,
        "swap_used_MB": megabytes(now.swap_total - now.swap_free),
    }


CHECK = Check(
    id="M9",
    group="memory",
    title="Memory of PostgreSQL's machine",
    why="When memory ends the kernel kills a process; if it is one of PostgreSQL's, all sessions end and it recovers.",
    false_positive="Memory that another program holds for a moment.",
    explain="""\
What is left is the machine's MemAvailable, or what the limits of the control groups above PostgreSQL leave, whichever
is less; files in the cache that nobody waits for count as left. Pages swapped in and out and processes killed for want
of memory are counted over the window. Kills from before it are mentioned for information.

High memory use has three usual causes here: work_mem times sessions (M1), large messages in the Queen server (M7: bound
it with QUEEN_MAX_MEMORY or --max-memory), and another program.""",
    evaluate=evaluate,
    thresholds={
        "limit": Threshold(0.10, 0.05, "of the memory"),
        "swap": Threshold(100, 2000, "pages a second"),
    },
    needs=(needs.local,),
    delta=True,
)
