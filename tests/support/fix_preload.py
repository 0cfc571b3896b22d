"""Illnesses of a machine for one process: libraries that stand between it and the system's own calls.

Each is a small file of C in tests/support/preload, built with gcc and named to a process in LD_PRELOAD. Linux only.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fix_server import open_folder

SOURCES = Path(__file__).parent / "preload"


class OtherClock:
    """The time of day of processes started with `environment`: it differs from the machine's by `shift` seconds."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {"LD_PRELOAD": str(library), "OTHER_CLOCK": str(file)}
        self.shift(0)

    def shift(self, seconds: int) -> None:
        """Set it; processes that run see it at once."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture(scope="session")
def preload() -> Iterator[Callable[[str], Path]]:
    """Builds a library by the name of its file without `.c`. Skips where there is no gcc; in CI that is a failure."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        if "CI" in os.environ:
            pytest.fail("CI needs the Debian packages gcc and libc6-dev")
        pytest.skip("needs gcc, on Linux")
    folder = open_folder()

    def build(name: str) -> Path:
        made = folder / f"{name}.so"
        if not made.exists():
            command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(made), str(SOURCES / f"{name}.c"), "-ldl"]
            subprocess.run(command, check=True, timeout=60)
        return made

    yield build
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slow_disk(preload: Callable[[str], Path]) -> Callable[[int], dict[str, str]]:
    """The environment of a process whose syncs of a file's data take so many milliseconds longer."""
    return lambda ms: {"LD_PRELOAD": str(preload("slow_disk")), "SLOW_DISK_MS": str(ms)}


@pytest.fixture
def other_clock(preload: Callable[[str], Path], tmp_path: Path) -> OtherClock:
    """A time of day of one's own."""
    return OtherClock(preload("other_clock"), tmp_path / "clock")
