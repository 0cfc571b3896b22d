"""uvicorn's HTTP protocol with what it lacks: a bound on the head of a request, an end for every request of a client
that left, and our own words for what is no HTTP.

A whole answer that is ready can be written at once (`WRITE_WHOLE` in the scope), in one piece instead of the two that
ASGI messages become: half the system calls of a small answer. `CONNECTION` is the connection itself, for those who must
know how it is going. A client that makes no progress with its request or its answer is cut off (`Watchman`).

Knows nothing of routes. The parser itself takes headers of any length, and would keep all of them in memory. And of
several requests that a client sent ahead, uvicorn tells only the last one that the client has left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from queen.engine.stats import Counters
from queen.server.errors import body

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

log = logging.getLogger(__name__)

HEAD_BYTES_MAX = 256 << 10
"""Most bytes of a request line and its headers that are read while they are not complete."""

FRESH_S: Final = 0.5
"""How long a connection that has sent nothing yet is kept when the server ends."""

WRITE_WHOLE: Final = "queen.write_whole"
"""Key of the scope: a function (status, headers, body) → written, for answers that need no `send`."""

CONNECTION: Final = "queen.connection"
"""Key of the scope: the `Protocol` that serves this request."""

_LINGER_S = 5.0
_LOOK_S = 0.002
_TOO_LONG = body("request head too large", "head_too_large", "shorten the path, the query or the headers")
_STALLED = body("the rest of the request did not come", "request_stalled", "send it again, without a pause")
_NO_HTTP = body("this is no HTTP request", "bad_request", "send HTTP/1.1")


class Protocol(HttpToolsProtocol):
    """One connection."""

    head_bytes = 0
    fresh = False
    running: RequestResponseCycle | None = None
    lost = False
    patient = False
    """Set while the client waits for us and not we for it, although its request is not complete."""
    reads = 0
    _mark: tuple[int, int] | None = None
    _marked_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self.reads += 1
        super().data_received(data)
        # The scope has a method as soon as the head of its request is complete.
        scope: Any = self.scope
        if scope is None or "method" in scope:
            self.head_bytes = 0
            return
        self.head_bytes += len(data)
        if self.head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", _TOO_LONG)

    def shutdown(self) -> None:
        """The server ends. A connection that has sent nothing yet gets a moment: its request may be on its way."""
        # None until the first request, whatever its type says.
        cycle: Any = self.cycle
        if cycle is None and not self.fresh:
            self.fresh = True
            self.loop.call_later(FRESH_S, self.shutdown)
            return
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: the request that runs is told, those that wait behind it never start."""
        self.lost = True
        self.pipeline.clear()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)
        # The request refers to its connection: let the last one go, so that both are freed without the collector.
        self.running = None
        self.cycle = None  # type: ignore[assignment]
        self.scope = None  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
        if getattr(self.server_state, "draining", False):
            cycle.keep_alive = False
        # Nothing in the scope names the cycle, which holds the scope: the two would keep each other, and what the
        # request brought, until the collector runs.
        cycle.scope[WRITE_WHOLE] = self.write_whole  # type: ignore[typeddict-unknown-key]
        cycle.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def write_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write the whole answer to the running request in one piece.

        False: nothing was done, `send` must do it (the client reads too slowly).
        """
        cycle = self.running
        if cycle is None or cycle.disconnected:
            return True
        if cycle.flow.write_paused or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        parts = [STATUS_LINE[status]]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if status != 204:
            parts.append(b"content-length: %d\r\n" % len(body))
        parts += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    @property
    def unsent(self) -> int:
        """Bytes of answers that the operating system has not taken yet."""
        return 0 if self.lost else self.transport.get_write_buffer_size()

    async def has_sent(self) -> bool:
        """Wait until the operating system has taken all that was written. False: the client left before."""
        while True:
            if not self.unsent:
                return not self.lost
            await asyncio.sleep(_LOOK_S)

    def forget_body(self) -> None:
        """What came of the running request's body is not needed: it is refused."""
        if self.running is not None:
            self.running.body = bytearray()

    def close_soon(self) -> None:
        """The answer is complete and the request is not: close, but let the client read first.

        Closing with unread bytes would reset the connection, and take the answer away from the client.
        """
        self.loop.call_later(_LINGER_S, self._close_after, self.cycle)

    def _close_after(self, cycle: RequestResponseCycle) -> None:
        if self.cycle is cycle:
            self.transport.close()

    def is_stalled(self, now: float, stall_s: float) -> bool:
        """Has the client made no progress for `stall_s`? Asked every so often, with the loop's time."""
        mark = self._progress()
        if mark != self._mark:
            self._mark, self._marked_at = mark, now
        return mark is not None and now - self._marked_at >= stall_s

    def _progress(self) -> tuple[int, int] | None:
        """A value that changes as the client goes on; None when nothing is expected of it."""
        unsent = self.unsent
        if unsent:
            return -1, unsent
        cycle, scope = self.cycle, self.scope
        is_head: bool = scope is None or "method" not in scope
        if is_head or (cycle.more_body and not self.flow.read_paused and not self.patient):
            return self.reads, 0
        return None

    def cut_off(self) -> None:
        """End the connection of a client that stalls: with a word, where it can still be said."""
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and not self.unsent:
            self.transport.close()
            return
        said = self.unsent > 0 or (cycle is not None and (cycle.response_started or cycle is not self.running))
        if said or self.scope is None:
            self.transport.abort()
        else:
            self._refuse(b"408 Request Timeout", _STALLED)

    def send_400_response(self, msg: str) -> None:
        """The parser gave up; `msg` is uvicorn's word for that."""
        self._refuse(b"400 Bad Request", _NO_HTTP)

    def _refuse(self, status: bytes, content: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, len(content), content)
        )
        self.transport.close()


class Watchman:
    """Looks at all connections at each tick, and cuts off those whose client stalls."""

    def __init__(self, connections: Iterable[object], stall_s: float, counters: Counters) -> None:
        self._connections = connections
        self._stall_s = stall_s
        self._counters = counters

    async def tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            if isinstance(connection, Protocol) and connection.is_stalled(now, self._stall_s):
                log.info("client stalled, connection closed client=%s", connection.client)
                self._counters.clients_stalled += 1
                connection.cut_off()
