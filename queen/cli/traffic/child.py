"""One shell command as a child process: fed, bounded in time, and ended with everything it started.

The child gets its variables through `env`, so that our own environment is passed on without being read. It leads a
session of its own: a Ctrl-C at the terminal reaches only us, and we end the whole process group. Standard output and
standard error are ours. What a command leaves running in the background when it ends is its own affair.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from queen.cli.traffic.stop import Stop
from queen.client.tasks import cancel

_FINISH_S = 5.0
_TERM_S = 2.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended. `trouble` is None when it exited with 0; `interrupted`: we ended it for the run's sake;
    `started` is false when the system had no room for it."""

    trouble: str | None = None
    interrupted: bool = False
    started: bool = True


async def run_shell(command: str, variables: Mapping[str, str], data: bytes, timeout_s: float, stop: Stop) -> Ending:
    """Run `sh -c command` with `data` as its standard input.

    After `timeout_s` it is ended: asked, and killed two seconds later. When the run is to end, too: at once after a
    signal, else after five seconds. A cancelled caller kills it."""
    assignments = [f"{name}={value}" for name, value in variables.items()]
    try:
        process = await asyncio.create_subprocess_exec(
            "env", *assignments, "sh", "-c", command, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        return Ending(f"not started: {error.strerror or error}", started=False)
    work = asyncio.ensure_future(process.communicate(data))
    finished = False
    try:
        interrupted = await _wait(work, timeout_s, stop)
        finished = work.done()
        if finished:
            return Ending(_trouble(process.returncode or 0))
        await _end(process, work)
        return Ending("interrupted", interrupted=True) if interrupted else Ending("timed out")
    finally:
        if not finished:
            _signal(process, signal.SIGKILL)
            await cancel(work)


async def _wait(work: asyncio.Future[Any], timeout_s: float, stop: Stop) -> bool:
    """Until the work is done, its time is up (False), or the run is to end and has waited long enough (True)."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and stop.requested and not stop.exit_code:
            await asyncio.wait({work}, timeout=_FINISH_S)
    finally:
        stopped.cancel()
    return stop.requested


async def _end(process: asyncio.subprocess.Process, work: asyncio.Future[Any]) -> None:
    """Ask the whole group to end, then kill what is left of it."""
    _signal(process, signal.SIGTERM)
    await asyncio.wait({work}, timeout=_TERM_S)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # The child leads its session, so its process id is that of the group.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _trouble(code: int) -> str | None:
    if code == 0:
        return None
    return f"exit code {code}" if code > 0 else f"killed by signal {-code}"
