"""Runs the real `queen` command as a process of its own, away from the developer's settings and environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120
"""Generous: the machine may be slow and loaded. Nothing passes or fails by how fast it is."""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: bytes
    err: str

    def json(self) -> Any:
        """The JSON object of standard output."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Standard output as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def queen_command(home: Path, *args: str, stdin: bytes = b"", **variables: str) -> Done:
    """Run `queen ARGS…` to its end in the empty folder `home`."""
    done = subprocess.run(
        [sys.executable, "-m", "queen", *args],
        input=stdin,
        capture_output=True,
        env=_environment(home, variables),
        cwd=home,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def start_queen(home: Path, *args: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start `queen ARGS…` with pipes at all three ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "queen", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(home, variables),
        cwd=home,
    )


def end(process: subprocess.Popen[bytes]) -> Done:
    """Wait for the end of a started command; a stuck one is killed and fails the test."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, out, err.decode())


def signal_until_gone(process: subprocess.Popen[bytes], number: signal.Signals, every_s: float = 0.3) -> None:
    """Send the signal again and again, like an impatient person, until the process has ended."""
    ends_at = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < ends_at:
        process.send_signal(number)
        try:
            process.wait(every_s)
        except subprocess.TimeoutExpired:
            continue


def wait_until(condition: Any, what: str) -> None:
    """Wait for a condition that another process or thread will bring about."""
    ends_at = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < ends_at, f"waited in vain for {what}"
        time.sleep(0.01)


def _environment(home: Path, variables: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}
