"""`queen produce` and `queen consume` beside a test, ended with the block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import clean_environment

_ENDS_S = 30


@contextmanager
def producing(
    url: str, home: Path, *, rate: int, seconds: int, queue: str = "load"
) -> Iterator[subprocess.Popen[bytes]]:
    """An open loop of so many messages a second, for so long at most."""
    options = ["--target", str(rate), "--open-loop", "--duration", f"{seconds}s", "--partitions", "20"]
    with _running("produce", home, "--url", url, "--queue", queue, *options) as process:
        yield process


@contextmanager
def consuming(url: str, home: Path, *, seconds: int, queue: str = "load") -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that acks all it gets, for so long at most."""
    with _running("consume", home, "--url", url, "--queue", queue, "--duration", f"{seconds}s") as process:
        yield process


@contextmanager
def _running(command: str, home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    with (home / f"{command}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "queen", command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=clean_environment(home),
            cwd=home,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
