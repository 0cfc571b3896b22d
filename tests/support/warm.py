"""Commands forked from one process that has imported Queen already: half a second of processor time less for each.

`python -m tests.support.warm SOCKET` listens. Each caller sends one line of JSON (`args`, `env`, `cwd`) with
the ends for input, output and errors. The command runs in a process of its own, and the caller is told its process id
and then its exit code, a line each. All ends with the process that started it: its standard input closes.

What a fork cannot prove, `queen_command` and `start_queen` do from scratch: what is imported when, what the environment
does to Python itself, and how a command looks in /proc.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import queen
from queen.cli.main import run

_PACKAGES = ("queen.cli", "queen.client", "queen.bench")
_LINE_BYTES_MAX = 1 << 20


def preload() -> None:
    """Import what commands import, and keep the collector from touching it: pages stay shared that way."""
    for found in pkgutil.walk_packages(queen.__path__, "queen."):
        if found.name.startswith(_PACKAGES):
            importlib.import_module(found.name)
    # What Typer imports on its first use only; the usage is wrong, so that nothing else happens.
    run(["produce", "--queue", "q", "--no-such-option"])
    gc.collect()
    gc.freeze()


def next_command(listener: socket.socket) -> dict[str, Any] | None:
    """Serve callers. Returns in each process that shall be a command, with its order; None: the end of the service."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in ready:
            return None
        caller, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> dict[str, Any]:
    """Between caller and command: starts the command, tells of its end. Returns in the command only."""
    text, ends, _, _ = socket.recv_fds(caller, _LINE_BYTES_MAX, 3)
    if not text:
        os._exit(0)
    while not text.endswith(b"\n"):
        text += caller.recv(_LINE_BYTES_MAX)
    order: dict[str, Any] = json.loads(text)
    pid = os.fork()
    if pid == 0:
        caller.close()
        for number, end in enumerate(ends):
            os.dup2(end, number)
            os.close(end)
        return order
    for end in ends:
        os.close(end)
    with contextlib.suppress(OSError):
        caller.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(order: dict[str, Any]) -> NoReturn:
    """Be `python -m queen ARGS…` from here on."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.argv = ["queen", *order["args"]]
    code = 0
    try:
        runpy.run_module("queen", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    # What Python does at its end, without taking all modules apart: with this many, that is half of the time.
    _join_threads()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def main() -> None:
    place = Path(sys.argv[1])
    preload()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(16)
        order = next_command(listener)
    if order is not None:
        become(order)
    shutil.rmtree(place.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
