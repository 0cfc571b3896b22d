"""Runs as a program of its own between us and PostgreSQL: give up root, tie the life to the parent, then become it.

Started as `python -I -S launch.py SIGNAL PARENT UID GID PROGRAM ARGUMENTS…`. A program rather than code between fork
and exec, because the parent may have threads. Uses the standard library only, and loads all of it before it gives up
root, for the interpreter may lie where the other user cannot read. UID -1 keeps the user.

On Linux the kernel sends SIGNAL when the *thread* that started this program ends. Elsewhere there is no such signal.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT_RUN = 126


def main(arguments: list[str]) -> None:
    """Becomes the program, or exits with code 126 and a line on stderr."""
    death_signal, parent, uid, gid = (int(word) for word in arguments[:4])
    program = arguments[4:]
    # A shell may have us ignore SIGINT, and an ignored signal stays ignored through exec until the server is up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _become(uid, gid)
        _tie(libc, death_signal, parent)
        os.umask(0o077)
        os.execv(program[0], program)
    except OSError as error:
        sys.stderr.write(f"cannot run {program[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(_CANNOT_RUN)


def _become(uid: int, gid: int) -> None:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _tie(libc: ctypes.CDLL, death_signal: int, parent: int) -> None:
    """Asks for the signal after the change of user, which would clear it; then sees whether it came too late."""
    if sys.platform == "linux" and libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses a parent-death signal")
    if os.getppid() != parent:
        os._exit(_CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
