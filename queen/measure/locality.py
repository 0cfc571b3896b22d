"""Whether a PostgreSQL runs on this machine, proven and not guessed: checks of files and /proc are true only there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from queen.measure.processes import PROC, read_process

_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1", "")


def postmaster_here(host: str, backend_pid: int, proc: Path = PROC) -> int | None:
    """The pid of the postmaster, when the session came over a local address and its backend is a process of this
    machine, child of another `postgres`; None when either is not so, in a container of its own for one."""
    if not (host.startswith("/") or host in _LOCAL_HOSTS):
        return None
    backend = read_process(backend_pid, proc)
    parent = read_process(backend.parent, proc) if backend is not None and backend.name.startswith("postgres") else None
    return parent.pid if parent is not None and parent.name.startswith("postgres") else None
