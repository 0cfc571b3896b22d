"""A connection that comes back: reconnects with back-off, gives up requests that take too long, counts what fails.

What a failure means for messages is decided by the owner: a request that was written and not answered is *unknown*.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Protocol

from queen.bench.connection import Connection
from queen.bench.orders import Counts

_BACKOFF_S, _BACKOFF_S_MAX = 0.05, 1.0


class Owner(Protocol):
    """Whoever uses a link. Called from the event loop, never from within `Link.send`."""

    def on_free(self, link: Link) -> None:
        """Connected (again), with nothing under way."""

    def on_answer(self, link: Link, status: int, body: bytes, now: int) -> None:
        """`now`: when its last byte was read."""

    def on_failed(self, link: Link, kind: str, now: int) -> None:
        """The request was written, and there will be no answer: `timeout`, `connection`, `bad_answer`."""

    def on_lost(self, link: Link) -> None:
        """The connection broke with nothing under way; `on_free` follows when it is there again."""


class Tally:
    """What all links of a worker count into; swapped once a second."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.errors: Counter[str] = Counter()


class Link:
    """One keep-alive connection to `target` (host:port), one request at a time."""

    def __init__(self, target: str, owner: Owner, tally: Tally, timeout_ns: int) -> None:
        host, _, port = target.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.target = target.encode()
        self.sent_ns = 0
        """When the request under way was written; 0: nothing is under way."""
        self.is_open = False
        self._owner, self._tally, self._timeout_ns = owner, tally, timeout_ns
        self._connection: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_closed = False
        self._seen = 0

    async def connect(self) -> None:
        """The first time. Raises OSError."""
        await self._connect()
        self._owner.on_free(self)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        made: list[Connection] = []

        def protocol() -> Connection:
            made.append(Connection(lambda why: self._lost(made[0], why)))
            return made[0]

        async with asyncio.timeout(10):
            await loop.create_connection(protocol, self.host, self.port)
        self._connection, self.is_open, self._seen = made[0], True, 0

    def send(self, request: bytes) -> int:
        """Writes a whole request; the moment. Only while open, with nothing under way."""
        assert self._connection is not None
        self._connection.send(request, self._answered)
        self.sent_ns = self._connection.sent_ns
        self._tally.counts.bytes_sent += len(request)
        return self.sent_ns

    def _answered(self, status: int, body: bytes) -> None:
        connection = self._connection
        assert connection is not None
        now = connection.sent_ns + connection.elapsed_ns
        self._tally.counts.bytes_received += connection.bytes_received - self._seen
        self._seen = connection.bytes_received
        self.sent_ns = 0
        self._owner.on_answer(self, status, body, now)

    def check(self, now: int) -> None:
        """Give up a request that has taken too long."""
        if self.sent_ns and now - self.sent_ns > self._timeout_ns:
            self._break("timeout")

    def churn(self) -> bool:
        """Close and open again, if nothing is under way."""
        if self.sent_ns or not self.is_open:
            return False
        self._break("churn")
        return True

    def _lost(self, connection: Connection, why: str) -> None:
        if connection is self._connection and self.is_open:
            self._break("connection" if "closed a connection" in why else "bad_answer")

    def _break(self, kind: str) -> None:
        assert self._connection is not None
        was_sent, self.sent_ns, self.is_open = self.sent_ns, 0, False
        self._connection.close()
        if self._is_closed:
            return
        self._opening = asyncio.get_running_loop().create_task(self._reopen())
        if was_sent:
            self._tally.errors[kind] += 1
            self._owner.on_failed(self, kind, time.perf_counter_ns())
        else:
            self._owner.on_lost(self)

    async def _reopen(self) -> None:
        wait_s = 0.0
        while not self._is_closed:
            try:
                await self._connect()
                break
            except (OSError, TimeoutError):
                self._tally.errors["connect"] += 1
            wait_s = min(max(_BACKOFF_S, wait_s * 2), _BACKOFF_S_MAX)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))
        self._tally.counts.reconnects += 1
        self._owner.on_free(self)

    def close(self) -> None:
        """For good; nobody is told."""
        self._is_closed, self.is_open = True, False
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.close()


def spread(count: int, targets: tuple[str, ...], first: int = 0) -> list[str]:
    """A target for each of so many connections, in turn."""
    return [targets[(first + place) % len(targets)] for place in range(count)]


def post(path: str, target: bytes, body: bytes) -> bytes:
    """A POST request of JSON."""
    head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path.encode(), target, len(body)) + body
