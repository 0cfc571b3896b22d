"""What the machine offers to PostgreSQL: memory, processors, disk, room for the log, clock. Linux; elsewhere nothing.

Everything is read below a root folder, for one process: a postmaster in a container has limits of its own, which only
its entries in /proc and /sys tell. So this is right only where PostgreSQL runs; who asks must have proof of that
(`queen.measure.locality`). It opens files that only tell, and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from queen.tune.inputs import Storage

ROOT: Final = Path("/")
NO_LIMIT: Final = 1 << 60
"""Version 1 of cgroups writes a huge number where there is no limit."""

_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.glusterfs", "9p", "virtiofs"})
_VIRTUAL: Final = ("vd", "xvd")
_CLOCK: Final = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@dataclass(frozen=True, slots=True)
class Seen:
    """A value and where it was seen, in words."""

    value: int
    where: str


@dataclass(frozen=True, slots=True)
class Disk:
    """What a folder lies on. `doubt` says why this may be wrong."""

    storage: Storage
    where: str
    doubt: str = ""


def memory(pid: int | str = "self", root: Path = ROOT) -> Seen | None:
    """The least of the machine's memory and the limits of every control group above the process. None: not seen."""
    total = _field(text_of(root / "proc/meminfo"), "MemTotal")
    found = [Seen(int(total.split()[0]) * 1024, "MemTotal")] if total else []
    for path in groups(pid, "memory", root):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            limit = limit_of(text_of(path / name))
            if limit is not None:
                found.append(Seen(limit, f"limit of the control group ({name})"))
    return min(found, key=lambda seen: seen.value, default=None)


def available(root: Path = ROOT) -> int | None:
    """Bytes that programs can still take without others being pushed out. None: not seen."""
    text = _field(text_of(root / "proc/meminfo"), "MemAvailable")
    return int(text.split()[0]) * 1024 if text else None


def processors(pid: int | str = "self", root: Path = ROOT) -> Seen | None:
    """The least of the processors that the process may use and every control group's share of them, rounded up."""
    allowed = _field(text_of(root / "proc" / str(pid) / "status"), "Cpus_allowed_list")
    found = [Seen(_count(allowed), "processors that it may use")] if allowed else []
    for path in groups(pid, "cpu", root):
        share = _share(path)
        if share is not None:
            found.append(Seen(share, "share of the control group"))
    return min(found, key=lambda seen: seen.value, default=None)


def disk(folder: Path, root: Path = ROOT, device: tuple[int, int] | None = None) -> Disk | None:
    """The kind of disk below a folder; `device` is its number where the caller knows it. None: not seen."""
    kind = _filesystem(folder, text_of(root / "proc/self/mountinfo"))
    if kind in _NETWORK:
        return Disk("network", f"file system {kind}")
    number = device or _device(folder)
    place = root / "sys/dev/block" / f"{number[0]}:{number[1]}" if number else None
    if place is None or not place.exists():
        return None
    return _block_device(place.resolve())


def wal_space(data_dir: Path) -> int | None:
    """Bytes that the write-ahead log of this data directory may use: free space, and what it holds. None: not seen."""
    folder = data_dir / "pg_wal"
    try:
        room = os.statvfs(folder if folder.exists() else data_dir)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize + _held(folder)


def clock(root: Path = ROOT) -> str | None:
    """The kernel's clock: tsc, kvm-clock, hpet … None: not seen."""
    return text_of(root / _CLOCK).strip() or None


def groups(pid: int | str, controller: str, root: Path) -> Iterator[Path]:
    """The folders of every control group above a process that may hold limits of this controller, in both versions,
    the nearest first."""
    for line in text_of(root / "proc" / str(pid) / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",") if controllers else []
        if names and controller not in names:
            continue
        tops = (controllers, controller) if names else ("", "unified")
        for top in dict.fromkeys(tops):
            yield from _upwards(root / "sys/fs/cgroup" / top, path)


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """From a group up to the top. A path that leads out of what is mounted here has no folder: the top alone."""
    parts = [part for part in path.split("/") if part]
    if ".." not in parts:
        for depth in range(len(parts), 0, -1):
            yield top.joinpath(*parts[:depth])
    yield top


def limit_of(text: str) -> int | None:
    """The limit that a file of a control group holds. None: there is none."""
    word = text.strip()
    if not word.isdecimal():
        return None
    return int(word) if 0 < int(word) < NO_LIMIT else None


def _share(path: Path) -> int | None:
    words = text_of(path / "cpu.max").split()
    if len(words) != 2:
        words = [text_of(path / "cpu.cfs_quota_us").strip(), text_of(path / "cpu.cfs_period_us").strip()]
    if not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return max(1, -(-int(words[0]) // int(words[1])))


def _count(allowed: str) -> int:
    """Members of a list such as 0-3,8."""
    total = 0
    for span in allowed.split(","):
        first, _, last = span.strip().partition("-")
        total += int(last or first) - int(first) + 1
    return total


def _block_device(place: Path) -> Disk | None:
    """A partition has its facts one folder up; a mapped device in those that it lies on."""
    below = [_block_device(path.resolve()) for path in sorted((place / "slaves").glob("*"))]
    known = [disk for disk in below if disk is not None]
    if known:
        return next((disk for disk in known if disk.storage == "hdd"), known[0])
    whole = place if (place / "queue").is_dir() else place.parent
    turns = text_of(whole / "queue/rotational").strip()
    if turns not in ("0", "1"):
        return None
    if whole.name.startswith("nvme"):
        return Disk("nvme", f"device {whole.name}")
    if whole.name.startswith(_VIRTUAL):
        return Disk(
            "ssd", f"device {whole.name}", doubt="a virtual disk does not tell what is below it; --storage does"
        )
    return Disk("hdd" if turns == "1" else "ssd", f"device {whole.name}")


def _filesystem(folder: Path, mountinfo: str) -> str | None:
    """The kind of the deepest mount that holds the folder."""
    real = str(folder.resolve())
    best: tuple[int, str | None] = (-1, None)
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) > 4 and kind and len(fields[4]) >= best[0]:
            point = fields[4].rstrip("/")
            if real == point or real.startswith(point + "/"):
                best = (len(fields[4]), kind[0])
    return best[1]


def _device(folder: Path) -> tuple[int, int] | None:
    try:
        number = folder.stat().st_dev
    except OSError:
        return None
    return os.major(number), os.minor(number)


def _held(folder: Path) -> int:
    """What lies in the folder of the log; 0 where it may not be looked at."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return 0


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def text_of(path: Path) -> str:
    """What a file says; nothing when it is not to be had."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
