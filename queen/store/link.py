"""A connection that never waits longer than it was told: past its deadline, or when its caller is gone, it is closed.

psycopg alone would ask the server to stop the statement and wait up to five seconds for that; a frozen server never
answers. Here the socket is shut, so that the waiting call fails at once and the pool replaces the connection. The
server is asked to stop the statement in the background, a few at a time and each for a short while; where that fails
too, `statement_timeout` of the session is the second line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, generators, waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn, PGconn

RV = TypeVar("RV")

IDLE_DEADLINE_S = 2.0
"""What a connection that nobody uses gets for a look whether it lives."""

_INTERVAL_S = 0.1
_STOPS_MAX = 16
_STOP_S = 2.0


class Stopper:
    """Asks PostgreSQL to stop statements that nobody waits for any longer."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self, pgconn: PGconn) -> None:
        """Begin to ask; the connection may be closed right after. Does nothing when too many are being asked."""
        if len(self._tasks) >= _STOPS_MAX:
            return
        try:
            request = pgconn.cancel_conn()
            request.start()
        except (psycopg.Error, OSError):
            return
        task = asyncio.get_running_loop().create_task(_send(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being asked; that takes two seconds at most."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _send(request: PGcancelConn) -> None:
    with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await waiting.wait_conn_async(generators.cancel(request), interval=_INTERVAL_S)
    request.finish()


class Link(AsyncConnection[tuple[object, ...]]):
    """A connection with a deadline for every wait on it."""

    deadline_s: float = IDLE_DEADLINE_S
    """Longest wait for the server, in seconds; 0: no bound."""
    overran = False
    """It was closed because the server did not answer in time."""
    stopper: Stopper | None = None
    taken_at = 0.0

    def ended(self) -> bool:
        """Whether the server has closed an idle connection; asks the kernel, not the server."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            # Its last words, or news of a changed setting; and behind them the end, or nothing.
            self.pgconn.consume_input()
            self.pgconn.consume_input()
        except psycopg.Error:
            return True
        return False

    async def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        """As psycopg's, but with the deadline, and a cancelled caller leaves at once. The connection is then closed."""
        timer = None
        if self.deadline_s:
            timer = asyncio.get_running_loop().call_later(self.deadline_s, self._overrun)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._stop()
                self.pgconn.finish()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _overrun(self) -> None:
        """Called by the timer while `wait` waits: make its socket readable, at its end."""
        self.overran = True
        self._stop()
        with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    def _stop(self) -> None:
        if self.stopper is not None:
            self.stopper.stop(self.pgconn)
