"""A connection that comes back: reconnects with back-off, gives up requests that take too long, counts what fails.

With several targets it goes on at the next one when its own takes no connection or says that it closes this one, and
returns home as soon as its own is ready again. What a failure means for messages is decided by the owner: a request
that was written and not answered is *unknown*.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from queen.bench.connection import Connection
from queen.bench.orders import Counts

_BACKOFF_S, _BACKOFF_S_MAX = 0.05, 1.0
_CONNECT_S = 10.0
_HOME_EVERY_NS = 1_000_000_000
"""How often a link that is away looks whether its own target is back."""


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
    """One keep-alive connection to the first of `targets` (host:port), or to the next that takes it; one request at a
    time."""

    def __init__(self, targets: Sequence[str], owner: Owner, tally: Tally, timeout_ns: int) -> None:
        self._targets = [target.encode() for target in targets]
        self._place = 0
        self.sent_ns = 0
        """When the request under way was written; 0: nothing is under way."""
        self.is_open = False
        self._owner, self._tally, self._timeout_ns = owner, tally, timeout_ns
        self._connection: Connection | None = None
        self._home: Connection | None = None
        """Open to the own target, and taken as soon as nothing is under way at the other one."""
        self._home_at_ns = 0
        self._opening: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._is_closed = False
        self._seen = 0

    @property
    def target(self) -> bytes:
        """Where it is connected, or tries to be."""
        return self._targets[self._place]

    async def connect(self) -> None:
        """The first time, to the first target. Raises OSError."""
        self._use(await self._open(self.target))
        self._owner.on_free(self)

    async def _open(self, target: bytes) -> Connection:
        host, _, port = target.decode().rpartition(":")
        made: list[Connection] = []

        def protocol() -> Connection:
            made.append(Connection(lambda why: self._lost(made[0], why)))
            return made[0]

        async with asyncio.timeout(_CONNECT_S):
            await asyncio.get_running_loop().create_connection(protocol, host.strip("[]"), int(port))
        if made[0].is_lost:
            raise ConnectionResetError("the server closed the connection at once")
        return made[0]

    def _use(self, connection: Connection) -> None:
        self._connection, self.is_open, self._seen = connection, True, connection.bytes_received

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
        if connection.closes:
            self._next()
            self._break("closing")
        elif self._home is not None:
            self._go_home()
            self._tally.counts.reconnects += 1
        self._owner.on_answer(self, status, body, now)

    def check(self, now: int) -> None:
        """Several times a second: give up a request that has taken too long; look for the own target."""
        if self.sent_ns and now - self.sent_ns > self._timeout_ns:
            self._break("timeout")
        if self._place and self._returning is None and now >= self._home_at_ns:
            self._returning = asyncio.get_running_loop().create_task(self._look_home())

    def churn(self) -> bool:
        """Close and open again, if nothing is under way."""
        if self.sent_ns or not self.is_open:
            return False
        self._break("churn")
        return True

    def _lost(self, connection: Connection, why: str) -> None:
        if connection is self._home:
            self._home = None
        elif connection is self._connection and self.is_open:
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

    def _next(self) -> None:
        if len(self._targets) > 1:
            self._place = (self._place + 1) % len(self._targets)
            self._home_at_ns = time.perf_counter_ns() + _HOME_EVERY_NS

    async def _reopen(self) -> None:
        """Round after round over all targets; `connect` is counted for a round in which none took the connection."""
        wait_s, refused = 0.0, 0
        while not self._is_closed:
            if self._home is not None:
                self._go_home()
                break
            try:
                self._use(await self._open(self.target))
                break
            except (OSError, TimeoutError):
                refused += 1
                self._next()
            if refused % len(self._targets) == 0:
                self._tally.errors["connect"] += 1
                wait_s = min(max(_BACKOFF_S, wait_s * 2), _BACKOFF_S_MAX)
                await asyncio.sleep(wait_s * random.uniform(0.5, 1))
        self._tally.counts.reconnects += 1
        self._owner.on_free(self)

    async def _look_home(self) -> None:
        home = None
        try:
            async with asyncio.timeout(_CONNECT_S):
                home = await self._open(self._targets[0])
                is_ready = await _is_ready(home, self._targets[0])
        except (OSError, TimeoutError):
            is_ready = False
        self._returning, self._home_at_ns = None, time.perf_counter_ns() + _HOME_EVERY_NS
        if home is None:
            return
        if not is_ready or home.is_lost or not self._place or self._is_closed:
            home.close()
            return
        self._home = home
        if self.is_open and not self.sent_ns:
            self._go_home()
            self._tally.counts.reconnects += 1

    def _go_home(self) -> None:
        """Leave the other target. Nothing is under way there."""
        assert self._home is not None
        away, home, self._home, self._place = self._connection, self._home, None, 0
        self._use(home)
        if away is not None:
            away.close()

    def close(self) -> None:
        """For good; nobody is told."""
        self._is_closed, self.is_open = True, False
        for task in (self._opening, self._returning):
            if task is not None:
                task.cancel()
        for connection in (self._connection, self._home):
            if connection is not None:
                connection.close()


async def _is_ready(connection: Connection, target: bytes) -> bool:
    """Asks as a balancer does: a server that is about to end still takes connections."""
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answer(status: int, body: bytes) -> None:
        if not answered.done():
            answered.set_result(status)

    connection.send(b"GET /health/ready HTTP/1.1\r\nHost: %b\r\n\r\n" % target, answer)
    return await answered == 200 and not connection.closes


def spread(count: int, targets: tuple[str, ...], first: int = 0) -> list[tuple[str, ...]]:
    """For each of so many connections all targets, its own first, which is each in turn."""
    starts = [(first + place) % len(targets) for place in range(count)]
    return [targets[start:] + targets[:start] for start in starts]


def post(path: str, target: bytes, body: bytes) -> bytes:
    """A POST request of JSON."""
    head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path.encode(), target, len(body)) + body
