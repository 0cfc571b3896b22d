"""Another process with a cluster in it, and waiting for things to become true."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from queen.embedded import processes

PATIENCE_S = 90.0
"""Far more than anything here needs: a loaded machine must not fail a test."""

ROOT = Path(__file__).parents[2]


def until(true: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds. Fails the test when it does not within PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def until_gone(pid: int) -> None:
    """Waits until the process has ended."""
    until(lambda: not processes.is_running(pid), f"process {pid} is gone")


class Holder:
    """A process that opens the cluster of a data folder and then does what it is told (holder.py)."""

    def __init__(self, data_dir: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded.holder", data_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(environment),
        )
        self.state: dict[str, Any] = {}

    def opened(self) -> dict[str, Any]:
        """Waits for the cluster to be open; what the process told about it."""
        return self._read()

    def tell(self, word: str) -> dict[str, Any]:
        """Sends `ensure` or `close`, and waits for it to be done."""
        self.send(word)
        return self._read()

    def send(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Waits for the answer to a word that was sent."""
        return self._read()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def postmaster(self) -> int:
        return int(self.state["postmaster"])

    def kill(self) -> None:
        """Ends the process by SIGKILL and reaps it."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def tidy(self) -> None:
        """Waits for the server that died with its owner, and removes the folder that the next start would reuse."""
        if self.state.get("postmaster"):
            until_gone(self.postmaster)
            shutil.rmtree(self.state["socket_dir"], ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended with code {self._process.wait(PATIENCE_S)}"
        self.state = json.loads(line)
        assert "error" not in self.state, self.state["error"]
        return self.state


def kill(pid: int) -> None:
    """SIGKILL, and waits until the process is gone."""
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
