"""Facts about the machine: processor, memory, limits, disk. No host name, no user, no path. Linux; elsewhere null."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

from queen.measure.disk import fdatasync_times

_SYS, _PROC = Path("/sys"), Path("/proc")
_CPU: Final = "devices/system/cpu"


def machine(*, proc: Path = _PROC, sys: Path = _SYS) -> dict[str, Any]:
    """Processor, memory, limits and kernel."""
    info = _text(proc / "cpuinfo") or ""
    flags = _field(info, "flags") or ""
    no_turbo = _text(sys / _CPU / "intel_pstate/no_turbo")
    boost = _text(sys / _CPU / "cpufreq/boost")
    return {
        "cpu": _field(info, "model name"),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _text(sys / _CPU / "cpu0/cpufreq/scaling_governor"),
        "turbo": no_turbo == "0" if no_turbo is not None else (boost == "1" if boost is not None else None),
        "smt": _text(sys / _CPU / "smt/active") == "1" if (sys / _CPU / "smt/active").exists() else None,
        "memory_bytes": _memory(proc),
        "limits": _limits(sys / "fs/cgroup"),
        "virtualised": "hypervisor" in flags.split() if flags else None,
        "hypervisor": _text(sys / "hypervisor/type") or _text(sys / "class/dmi/id/sys_vendor"),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "clock_source": _text(sys / "devices/system/clocksource/clocksource0/current_clocksource"),
        "page_size": os.sysconf("SC_PAGE_SIZE"),
    }


def disk(folder: Path, *, proc: Path = _PROC, sys: Path = _SYS) -> dict[str, Any]:
    """The filesystem that a folder lies on, its device's kind, and what an fdatasync of 8 kB takes there."""
    found: dict[str, Any] = _mount(folder, _text(proc / "self/mountinfo") or "")
    number = os.stat(folder).st_dev
    device = sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}"
    queue = next((path for path in (device / "queue", device.resolve().parent / "queue") if path.is_dir()), None)
    scheduler = _text(queue / "scheduler") if queue else None
    if scheduler and "[" in scheduler:
        scheduler = scheduler.partition("[")[2].partition("]")[0]
    rotational = _text(queue / "rotational") if queue else None
    found |= {"scheduler": scheduler, "rotational": None if rotational is None else rotational == "1"}
    return found | fdatasync_times(folder)


def _mount(folder: Path, mountinfo: str) -> dict[str, Any]:
    """Kind and options of the deepest mount that holds the folder; never its place or source."""
    real = str(folder.resolve())
    best: tuple[str, str | None, str | None] = ("", None, None)
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 6 or not kind:
            continue
        point = fields[4]
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind[0], fields[5])
    return {"filesystem": best[1], "mount_options": best[2]}


def _memory(proc: Path) -> int | None:
    total = _field(_text(proc / "meminfo") or "", "MemTotal")
    return int(total.split()[0]) * 1024 if total else None


def _limits(cgroup: Path) -> dict[str, str | None]:
    names = {
        "cpu_max": ("cpu.max", "cpu/cpu.cfs_quota_us"),
        "memory_max": ("memory.max", "memory/memory.limit_in_bytes"),
    }
    return {
        name: next((text for path in paths if (text := _text(cgroup / path)) is not None), None)
        for name, paths in names.items()
    }


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
