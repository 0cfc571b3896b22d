"""One running PostgreSQL server as our child, and other programs that run as its user.

The server's life hangs on ours: the kernel interrupts it when the *thread* that started it ends (launch.py). So each
server gets a keeper, a thread that starts it, waits for it and lives exactly as long. That makes `start` callable
from any thread, and leaves no zombie. Away from Linux there is no such signal, and an exit handler must do.

Knows nothing of locks, notes and data: see cluster.py.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from queen.embedded import launch
from queen.embedded.account import Account
from queen.embedded.find import CLEAN_ENVIRONMENT
from queen.errors import EmbeddedError

_FAST_S, _IMMEDIATE_S = 30.0, 15.0
"""Patience with a fast shutdown, and then with an immediate one. SIGKILL would leave children and shared memory."""


class Postmaster:
    """A server process and its keeper."""

    def __init__(self, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
        self._process = process
        self._ended = ended

    @classmethod
    def start(cls, command: Sequence[str], account: Account, output: IO[bytes]) -> Postmaster:
        """Starts the server; what it says first goes to `output`. Raises EmbeddedError when no process can be made."""
        keeper = _Keeper(as_account(command, account, signal.SIGINT), output)
        keeper.start()
        keeper.begun.wait()
        if keeper.process is None:
            raise EmbeddedError(f"PostgreSQL cannot be started: {keeper.failure}")
        server = cls(keeper.process, keeper.ended)
        if sys.platform != "linux":
            atexit.register(server.stop)
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Waits for the server to end. True when it has."""
        return self._ended.wait(timeout_s)

    def stop(self) -> bool:
        """Ends the server: fast at first, then without the closing checkpoint. False when it still runs."""
        for number, patience_s in ((signal.SIGINT, _FAST_S), (signal.SIGQUIT, _IMMEDIATE_S)):
            if self._ended.is_set():
                return True
            self._process.send_signal(number)
            if self._ended.wait(patience_s):
                return True
        return False


class _Keeper(threading.Thread):
    """Starts a process and waits for it. Set `begun` tells that `process` or `failure` is there."""

    def __init__(self, command: Sequence[str], output: IO[bytes]) -> None:
        super().__init__(name="queen-postgres-keeper", daemon=True)
        self.begun, self.ended = threading.Event(), threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.failure: OSError | None = None
        self._command = command
        self._output = output

    def run(self) -> None:
        try:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                cwd="/",
                env=CLEAN_ENVIRONMENT,
                start_new_session=True,  # Ctrl-C at the terminal is for us; we then stop the server in order
            )
        except OSError as error:
            self.failure = error
        self.begun.set()
        if self.process is not None:
            self.process.wait()
        self.ended.set()


def run_program(command: Sequence[str], account: Account, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs a program as the account and waits. It ends when we end. Raises EmbeddedError on a time-out."""
    try:
        return subprocess.run(
            as_account(command, account, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            start_new_session=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        name = Path(command[0]).name
        raise EmbeddedError(
            f"{name} did not end within {timeout_s:.0f} s", hint="allow more with embedded.start_timeout_ms"
        ) from None
    except OSError as error:
        raise EmbeddedError(f"{command[0]} cannot be run: {error.strerror or error}") from error


def as_account(command: Sequence[str], account: Account, death_signal: signal.Signals) -> list[str]:
    """The command line that runs `command` as the account, and ends it by the signal when the caller's thread ends."""
    uid, gid = (account.uid, account.gid) if account.switch else (-1, -1)
    words = [str(int(death_signal)), str(os.getpid()), str(uid), str(gid)]
    return [sys.executable, "-I", "-S", os.path.abspath(launch.__file__), *words, *command]
