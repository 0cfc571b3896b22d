"""What a folder of this machine lies on: free space, and whether the device below turns. Linux; elsewhere in part."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYS: Final = Path("/sys")


@dataclass(frozen=True, slots=True)
class Disk:
    """`rotational`: the kernel takes the device for a turning one; None: it does not say. Virtual disks often call
    themselves turning, never the other way round. Sizes are bytes."""

    folder: str
    free: int
    total: int
    rotational: bool | None = None
    device: int | None = None
    """Tells whether two folders lie on the same file system."""


def look(folder: str, sys: Path | None = None) -> Disk | None:
    """The disk below a folder; None when the folder cannot be looked at."""
    with suppress(OSError):
        room = os.statvfs(folder)
        number = os.stat(folder).st_dev
        free, total = (blocks * room.f_frsize for blocks in (room.f_bavail, room.f_blocks))
        return Disk(folder, free, total, _turns(number, sys or SYS), number)
    return None


def _turns(number: int, sys: Path) -> bool | None:
    """A partition has its queue one folder up; a mapped device is made of those in `slaves`."""
    place = sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}"
    if not place.exists():
        return None
    return _device_turns(place.resolve())


def _device_turns(device: Path) -> bool | None:
    below = [_device_turns(path.resolve()) for path in sorted((device / "slaves").glob("*"))]
    if below:
        return None if None in below else any(below)
    for folder in (device, device.parent):
        with suppress(OSError):
            return (folder / "queue/rotational").read_text("ascii").strip() == "1"
    return None
