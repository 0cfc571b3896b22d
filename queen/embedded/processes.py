"""Who is that process? A number alone is no answer, for numbers are given out again.

Linux tells by /proc. Where there is none, `ps` is asked, and less is known. This module ends no process.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE_FIELD, _START_FIELD = 0, 19
"""Places in /proc/N/stat counted from the first field after the program's name."""


def is_running(pid: int) -> bool:
    """Whether the process exists and is not merely waiting to be reaped."""
    if _has_proc():
        fields = _stat_fields(pid)
        return fields is not None and fields[_STATE_FIELD] not in ("Z", "X")
    return _ps(pid, "stat") not in ("", "Z", "Z+")


def identity(pid: int) -> str:
    """A text that no other process of this machine has, before or later. Empty when there is no such process."""
    if not _has_proc():
        return _ps(pid, "lstart")
    fields = _stat_fields(pid)
    if fields is None or fields[_STATE_FIELD] in ("Z", "X"):
        return ""
    return f"{_boot_id()}:{fields[_START_FIELD]}"


def command_line(pid: int) -> str:
    """The words a process was started with, or an empty text."""
    if not _has_proc():
        return _ps(pid, "command")
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def works_in(pid: int, folder: Path) -> bool:
    """Whether the folder is the process's working directory. A PostgreSQL server always works in its data."""
    if not _has_proc():
        return str(folder) in command_line(pid)
    try:
        return os.path.samefile(_PROC / str(pid) / "cwd", folder)
    except OSError:
        return False


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself contain some, and blanks.
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "boot"


def _ps(pid: int, column: str) -> str:
    try:
        done = subprocess.run(
            ["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
