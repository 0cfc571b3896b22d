"""Trouble on demand for a fake: calls that stand still until released, calls that fail, calls that take time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class Gate:
    """Holds every call of one name until `open`. `reached` waits until so many calls stand before it."""

    def __init__(self, skip: int = 0) -> None:
        self._skip = skip
        self._opened = asyncio.Event()
        self._came = asyncio.Condition()
        self.waiting = 0

    async def reached(self, count: int = 1) -> None:
        """Returns when `count` calls wait here."""
        async with self._came:
            await self._came.wait_for(lambda: self.waiting >= count)

    def open(self) -> None:
        """Let all calls through, now and from now on."""
        self._opened.set()

    async def passed(self) -> None:
        """Stand in front of the gate."""
        if self._skip:
            self._skip -= 1
            return
        async with self._came:
            self.waiting += 1
            self._came.notify_all()
        try:
            await self._opened.wait()
        finally:
            self.waiting -= 1


class Trouble:
    """What happens to calls before they do their work, by the name of the call."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.latency_s = 0.0
        self._gates: dict[str, Gate] = {}
        self._gates_after: dict[str, Gate] = {}
        self._errors: dict[str, deque[Exception]] = {}
        self._errors_after: dict[str, deque[Exception]] = {}

    def block(self, name: str, *, after: bool = False, skip: int = 0) -> Gate:
        """A gate before the work of these calls, or after it: done, but the answer is not there yet.

        The next `skip` calls go through.
        """
        gate = Gate(skip)
        (self._gates_after if after else self._gates)[name] = gate
        return gate

    def fail(self, name: str, *failures: Exception) -> None:
        """The next calls of this name raise these, one each."""
        self._errors.setdefault(name, deque()).extend(failures)

    def fail_after(self, name: str, *failures: Exception) -> None:
        """The next calls of this name do their work and raise these, one each: the answer gets lost."""
        self._errors_after.setdefault(name, deque()).extend(failures)

    async def before(self, name: str) -> None:
        """To be awaited at the start of a call."""
        self.calls[name] += 1
        await asyncio.sleep(self.latency_s)
        gate = self._gates.get(name)
        if gate is not None:
            await gate.passed()
        failures = self._errors.get(name)
        if failures:
            raise failures.popleft()

    async def after(self, name: str) -> None:
        """To be awaited at the end of a call."""
        gate = self._gates_after.get(name)
        if gate is not None:
            await gate.passed()
        failures = self._errors_after.get(name)
        if failures:
            raise failures.popleft()
