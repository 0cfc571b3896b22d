"""Event loops for tests: a real one, and one whose clock jumps instead of waiting.

Under `in_virtual_time` nothing takes time: when every task waits, the clock jumps to the next timer. A test that waits
for an hour's lease ends at once, in the same order every time. When every task waits and there is no timer either,
nothing can ever happen again: the loop says so instead of hanging.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec

P = ParamSpec("P")
LIMIT_S = 60.0
"""How long a test in real time may take before it counts as hanging."""
START_S = 1000.0
HORIZON_S = 20_000.0
"""How far the jumping clock may go: a background loop would keep a stuck test turning for ever."""


class Stuck(AssertionError):
    """Every task waits for something that nobody will do."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: what it should wait is added to `now`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("every task waits, and no timer is set")
        found = super().select(0)
        if not found and timeout > 0:
            self.now += timeout
            if self.now > START_S + HORIZON_S:
                raise Stuck("hours went by and the test still waits")
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on the clock of its selector."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def call_exception_handler(self, context: Mapping[str, Any]) -> None:
        """What goes wrong in a task that nobody asks for its result is a failure of the test."""
        self.problems.append(dict(context))

    @functools.cached_property
    def problems(self) -> list[dict[str, Any]]:
        """What the tasks complained of."""
        return []


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs a coroutine test on a loop whose clock jumps; unhandled errors of its tasks fail it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
        finally:
            _finish(loop)
        assert loop.problems == []

    return run


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs a coroutine test on a loop of the usual kind, with a limit far above what it needs."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), LIMIT_S))

    return run


async def settle(turns: int = 50) -> None:
    """Let everything run that can run without the clock moving."""
    for _ in range(turns):
        await asyncio.sleep(0)


def _finish(loop: VirtualLoop) -> None:
    """Cancel what is left, so that no task outlives its test."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    try:
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()
