"""Cleans up after a bench that was killed: `python -m queen.bench.guard FOLDER` ends servers and removes the folder.

The bench holds the other end of standard input and writes `add PID`, `drop PID`, `keep` or `done`, one a line. When the
input ends without `done`, the bench is dead: every process added and not dropped is asked to end, then killed, and the
folder goes. A process is known by its number and its start, so that a number given out again is left alone.
PostgreSQL needs no entry: it ends with the process that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from queen.embedded import processes
from queen.embedded.account import Account
from queen.embedded.folders import Home
from queen.embedded.sockets import remove_socket_folder
from queen.embedded.state import read_note
from queen.settings.places import environment_without_settings

_PATIENCE_S = 20.0
_POLL_S = 0.05


class Guard:
    """The bench's side. A guard that died is no failure of the run: what it is told then is lost."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "queen.bench.guard", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_without_settings(),
            start_new_session=True,  # Ctrl-C at the terminal is for the bench
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, pid: int) -> None:
        """End this process when the bench dies."""
        self._tell(f"add {pid}")

    def drop(self, pid: int) -> None:
        """That process has ended."""
        self._tell(f"drop {pid}")

    def keep(self) -> None:
        """Leave the folder, whatever happens."""
        self._tell("keep")

    def close(self) -> None:
        """The bench has cleaned up by itself. Waits for the guard to end."""
        self._tell("done")
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass


def watch(lines: Iterable[str], folder: Path, identity: Callable[[int], str] = processes.identity) -> None:
    """Reads until the end of `lines`, then cleans up unless told `done`."""
    children: dict[int, str] = {}
    keep = False
    for line in lines:
        word, _, number = line.strip().partition(" ")
        if word == "done":
            return
        if word == "keep":
            keep = True
        elif word == "add" and number.isdigit():
            children[int(number)] = identity(int(number))
        elif word == "drop" and number.isdigit():
            children.pop(int(number), None)
    end_all({pid: mark for pid, mark in children.items() if mark}, identity)
    if not keep:
        _remove_sockets(folder)
        _remove(folder)


def end_all(children: dict[int, str], identity: Callable[[int], str] = processes.identity) -> None:
    """Asks each process to end, and kills those that do not within 20 s."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = [pid for pid, mark in children.items() if identity(pid) == mark]
        for pid in alive:
            try:
                os.kill(pid, number)
            except OSError:
                pass
        ends_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends_at and any(identity(pid) == children[pid] for pid in alive):
            time.sleep(_POLL_S)


def _remove_sockets(folder: Path) -> None:
    """PostgreSQL's socket lies outside, where paths are short; the note of its owner beside the data says where."""
    for state in folder.glob("**/queen.json"):
        home = Home(state.parent, 0)
        note = read_note(home)
        if note is not None:
            remove_socket_folder(Path(note.socket_dir), Account("", state.stat().st_uid, 0, switch=False))


def _remove(folder: Path) -> None:
    """PostgreSQL may still be writing its last files: tries until the folder is gone or patience is."""
    ends_at = time.monotonic() + _PATIENCE_S
    while folder.exists() and time.monotonic() < ends_at:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_POLL_S)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(sys.stdin, Path(sys.argv[1]))
