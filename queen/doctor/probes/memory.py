"""Memory of the machine and of the control group that PostgreSQL runs in, from /proc and /sys. Linux; elsewhere None.

Sizes are bytes. Running totals (swapping, kills) are counted since the machine, or the group, was started.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from queen.tune import machine

ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True)
class MachineMemory:
    """`limit`: what PostgreSQL may use, the least of the machine's memory and every limit above its process.
    `available`: what is left of it. `oom_kills`: processes that the kernel ended for want of memory, in this group
    or, where the group does not count them, on this machine."""

    total: int
    limit: int
    available: int
    limited_by: str
    swap_total: int
    swap_free: int
    swapped_pages: int
    oom_kills: int
    huge_pages: int
    huge_page_bytes: int


def look(pid: int, root: Path = ROOT) -> MachineMemory | None:
    """What the process of this id may use. None where /proc does not tell."""
    sizes = _numbers(root / "proc/meminfo")
    if "MemTotal" not in sizes:
        return None
    total, available = sizes["MemTotal"] * 1024, sizes.get("MemAvailable", sizes.get("MemFree", 0)) * 1024
    limit, limited_by = total, "the machine"
    kills = [_numbers(root / "proc/vmstat").get("oom_kill", 0)]
    for group in machine.groups(pid, "memory", root):
        for name, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most = machine.limit_of(machine.text_of(group / name))
            if most is not None:
                limit, limited_by = min((limit, limited_by), (most, f"control group, {name}"))
                available = min(available, most - max(0, (_number(group / used) or 0) - _reclaimable(group)))
    for group in machine.groups(pid, "memory", root):
        counted = _numbers(group / "memory.events") or _numbers(group / "memory.oom_control")
        if "oom_kill" in counted:
            kills = [counted["oom_kill"]]
            break
    swapped = _numbers(root / "proc/vmstat")
    return MachineMemory(
        total=total,
        limit=limit,
        available=max(0, available),
        limited_by=limited_by,
        swap_total=sizes.get("SwapTotal", 0) * 1024,
        swap_free=sizes.get("SwapFree", 0) * 1024,
        swapped_pages=swapped.get("pswpin", 0) + swapped.get("pswpout", 0),
        oom_kills=kills[0],
        huge_pages=sizes.get("HugePages_Total", 0),
        huge_page_bytes=sizes.get("Hugepagesize", 2048) * 1024,
    )


def _reclaimable(group: Path) -> int:
    """What a group uses for cached files that nobody waits for: the kernel gives it back when it is needed."""
    stat = _numbers(group / "memory.stat")
    return stat.get("inactive_file", stat.get("total_inactive_file", 0))


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number, with or without a colon and a unit."""
    found = {}
    for line in machine.text_of(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[1].isdecimal():
            found[words[0]] = int(words[1])
    return found


def _number(path: Path) -> int | None:
    text = machine.text_of(path).strip()
    return int(text) if text.isdecimal() else None
