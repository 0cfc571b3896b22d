"""Room to swap to, for as long as a test lasts: a file. Needs root on Linux.

Nothing else goes there: the machine has memory enough, only the control group of the test has not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.fix_server import open_folder

_BYTES = 256 << 20


@pytest.fixture
def swap() -> Iterator[None]:
    """The machine may swap out 256 MB more. Skips where it cannot be told to."""
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in ("mkswap", "swapon", "swapoff")):
        pytest.skip("needs root, mkswap and swapon")
    folder = open_folder()
    file = folder / "swap"
    try:
        # No holes: the kernel writes to its blocks and asks no file system.
        with file.open("wb") as made:
            os.posix_fallocate(made.fileno(), 0, _BYTES)
        file.chmod(0o600)
        try:
            for program in ("mkswap", "swapon"):
                subprocess.run([program, str(file)], check=True, capture_output=True, timeout=60)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine does not swap to a file: {error.stderr.decode('utf-8', 'replace').strip()}")
        try:
            yield
        finally:
            subprocess.run(["swapoff", str(file)], check=True, capture_output=True, timeout=120)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
