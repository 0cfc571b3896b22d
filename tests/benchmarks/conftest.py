"""A Queen in memory as a process of its own, for the timed commands to be run against."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_queen.py")

Serve = Callable[[str], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a fake with the given fault and returns its URL."""
    processes: list[subprocess.Popen[str]] = []

    def start(fault: str) -> str:
        process = subprocess.Popen([sys.executable, str(FAKE), "0", fault], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield start
    for process in processes:
        process.kill()
        process.communicate()
