"""What an earlier owner may have left behind: a server that is still stopping, or a process id that misleads.

When an owner dies, its server gets the death signal and shuts down, which takes a moment; a new owner must wait. A
server that died by SIGKILL leaves `postmaster.pid` with its number. PostgreSQL compares that number with the living
processes of its user, and refuses to start when another program, or an unreaped corpse, now has it.

The caller holds the owner's lock, so no other Queen starts or stops a server meanwhile.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from queen.embedded import processes
from queen.embedded.account import Account
from queen.embedded.conf import CLUSTER_NAME
from queen.embedded.folders import Home, told_plainly, write_file
from queen.errors import EmbeddedError

_POLL_S = 0.02
_GRACE_S = 2.0
"""How long an orphan may take to notice its owner's death before it is told again."""


def running_server(home: Home) -> int | None:
    """The process id of a server that works on this data, whoever started it; None when there is none."""
    pid = _noted_pid(home)
    if pid is None or not processes.is_running(pid) or not processes.works_in(pid, home.data):
        return None
    return pid


def wait_until_free(home: Home, deadline: float) -> None:
    """Waits until no server works on the data. Raises EmbeddedError at the deadline (`time.monotonic`)."""
    told_at = time.monotonic() + _GRACE_S
    while (pid := running_server(home)) is not None:
        now = time.monotonic()
        if now > deadline:
            raise EmbeddedError(
                f"a PostgreSQL server (process {pid}) that is not ours to stop still works on {home.data}",
                hint="stop it, or wait until it has stopped, and start again",
            )
        if now > told_at:
            _interrupt_orphan(pid)
            told_at = deadline
        time.sleep(_POLL_S)


def disarm_pid_file(home: Home, account: Account) -> None:
    """Makes a stale `postmaster.pid` harmless; call it only when `running_server` is None.

    The number is replaced by our own, which PostgreSQL knows for its parent and passes over. The file itself stays,
    because it also names the shared memory, and PostgreSQL uses that to see whether old backends are still at work.
    """
    with told_plainly(home.data):
        try:
            lines = (home.data / "postmaster.pid").read_text(errors="replace").splitlines(keepends=True)
        except FileNotFoundError:
            return
        if lines:
            write_file(home.data / "postmaster.pid", "".join([f"{os.getpid()}\n", *lines[1:]]), account)


def _noted_pid(home: Home) -> int | None:
    try:
        with open(home.data / "postmaster.pid", encoding="utf-8", errors="replace") as file:
            return int(file.readline())
    except (OSError, ValueError):
        return None


def _interrupt_orphan(pid: int) -> None:
    """Asks a server to stop if it is one of ours: it bears our name, and its owner's lock is free."""
    if f"cluster_name={CLUSTER_NAME}" in processes.command_line(pid):
        with suppress(OSError):
            os.kill(pid, signal.SIGINT)
