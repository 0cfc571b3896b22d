"""Blocking reads and writes of file descriptors that must not hold up the event loop, nor the end of the program.

A pipe may block for ever. Threads of an executor are joined at exit and would hang there, so each call gets a daemon
thread; and the calls go to the descriptor itself, since a daemon thread inside a buffered file object makes the
interpreter abort at exit. One thread a chunk of up to 256 KiB is cheap.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

CHUNK_BYTES = 256 * 1024


async def read_chunk(descriptor: int) -> bytes:
    """The next bytes, as soon as there are any; empty at the end."""
    return await in_daemon_thread(lambda: os.read(descriptor, CHUNK_BYTES))


async def write_all(descriptor: int, data: bytes) -> None:
    """Returns when everything is written. Raises BrokenPipeError when nobody reads any more."""

    def write() -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    await in_daemon_thread(write)


async def in_daemon_thread(work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread of its own. A cancelled caller leaves the thread behind; it dies with the program."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_Result] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            _tell(loop, outcome, None, error)
        else:
            _tell(loop, outcome, result, None)

    threading.Thread(target=run, daemon=True).start()
    return await outcome


def _tell(
    loop: asyncio.AbstractEventLoop,
    outcome: asyncio.Future[_Result],
    result: _Result | None,
    error: Exception | None,
) -> None:
    def settle() -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop is closed: the program is ending and nobody waits for this outcome.
        return
