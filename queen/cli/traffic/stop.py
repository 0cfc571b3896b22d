"""Why and when a run ends before its work is done: a signal, a time limit, a lost server, a closed pipe.

States: running → stopping (first reason wins; nothing new is begun, what is in flight may finish within a bound)
→ cancelled (second signal, or the bound ran out). Knows nothing of messages.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from queen.client.tasks import cancel, race

_Result = TypeVar("_Result")

_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stop:
    """The wish to end, shared by all tasks of a run."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason: str | None = None
        self.exit_code = 0
        self.error: Exception | None = None

    def request(self, reason: str, *, exit_code: int = 0, error: Exception | None = None) -> None:
        """Ask the run to end. Only the first reason counts."""
        if not self._event.is_set():
            self.reason, self.exit_code, self.error = reason, exit_code, error
            self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    async def race(self, work: Coroutine[Any, Any, _Result], grace_s: float = 0.0) -> _Result | None:
        """The result of `work`, or None when the run is to end first: `work` is then cancelled, `grace_s` later."""
        return await race(work, self._event, grace_s)


async def finish(tasks: Collection[asyncio.Task[None]], stop: Stop, grace_s: float) -> None:
    """Wait until all tasks are done. Once the run is to end they have `grace_s` seconds left, then are cancelled.

    Raises the first exception that a task let out, after cancelling the others."""
    try:
        await stop.race(asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))
        if stop.requested:
            await asyncio.wait(tasks, timeout=grace_s, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            await cancel(task)


@contextmanager
def signals(stop: Stop) -> Iterator[None]:
    """While inside: the first Ctrl-C or SIGTERM asks the run to end, the second cancels the calling task at once.

    A run that was interrupted stays deaf to more of them afterwards: what is left is to sum up and to exit, and a
    third Ctrl-C would turn the documented exit code and the summary into a death by signal."""
    loop, current, cancelled = asyncio.get_running_loop(), asyncio.current_task(), False

    def handle(number: signal.Signals) -> None:
        nonlocal cancelled
        if not stop.requested:
            stop.request("interrupted", exit_code=_EXIT_CODES[number])
        elif current is not None and not cancelled:
            # Once only: a second cancellation would hit the clean-up of the first. The run may have been ending for
            # another reason so far; from here on the signal decides.
            cancelled = True
            stop.exit_code = stop.exit_code or _EXIT_CODES[number]
            current.cancel()

    for number in _EXIT_CODES:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in _EXIT_CODES:
            loop.remove_signal_handler(number)
            if stop.exit_code:
                signal.signal(number, signal.SIG_IGN)
