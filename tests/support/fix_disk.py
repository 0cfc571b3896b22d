"""A disk of a test's own: a file that the kernel takes for a device, with a file system. Whether it turns can be said.

Needs root on Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fix_server import open_folder

_BYTES = 512 << 20
"""Of the file, which has holes: it takes what is written."""


class LoopDisk:
    """One device, mounted at `folder`."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self._device = ""
        file = place / "file"
        with file.open("wb") as made:
            made.truncate(_BYTES)
        self._device = _run("losetup", "--find", "--show", str(file)).strip()
        try:
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1", self._device)
            self.folder.mkdir()
            _run("mount", self._device, str(self.folder))
        except OSError:
            _run("losetup", "--detach", self._device)
            raise
        self.folder.chmod(0o755)

    def turn(self, turns: bool) -> None:
        """Say to the kernel what kind of disk it is."""
        path = Path("/sys/block") / Path(self._device).name / "queue/rotational"
        path.write_text("1" if turns else "0", "ascii")

    def close(self) -> None:
        """Give it back."""
        _run("umount", str(self.folder))
        _run("losetup", "--detach", self._device)


@pytest.fixture
def loop_disk() -> Iterator[LoopDisk]:
    """The disk; nothing may be open on it when the test ends. Skips where it cannot be made."""
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in ("losetup", "mkfs.ext4", "mount")):
        pytest.skip("needs root, losetup and mkfs.ext4")
    place = open_folder()
    try:
        try:
            disk = LoopDisk(place)
        except OSError as error:
            pytest.skip(f"a device cannot be made here: {error}")
        try:
            yield disk
        finally:
            disk.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _run(*command: str) -> str:
    """What it printed. Raises OSError when it failed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
