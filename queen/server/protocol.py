"""uvicorn's HTTP protocol with what it lacks: a bound on the head of a request, an end for every request of a client
that left, and our own words for what is no HTTP.

A whole answer that is ready can be written at once (`WRITE_WHOLE` in the scope), in one piece instead of the two that
ASGI messages become: half the system calls of a small answer.

Knows nothing of routes. The parser itself takes headers of any length, and would keep all of them in memory. And of
several requests that a client sent ahead, uvicorn tells only the last one that the client has left.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from queen.server.errors import body

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD_BYTES_MAX = 256 << 10
"""Most bytes of a request line and its headers that are read while they are not complete."""

FRESH_S: Final = 0.5
"""How long a connection that has sent nothing yet is kept when the server ends."""

WRITE_WHOLE: Final = "queen.write_whole"
"""Key of the scope: a function (status, headers, body) → written, for answers that need no `send`."""

_TOO_LONG = body("request head too large", "head_too_large", "shorten the path, the query or the headers")
_NO_HTTP = body("this is no HTTP request", "bad_request", "send HTTP/1.1")


class Protocol(HttpToolsProtocol):
    """One connection."""

    head_bytes = 0
    fresh = False
    running: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
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
        self.pipeline.clear()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
        if getattr(self.server_state, "draining", False):
            cycle.keep_alive = False
        cycle.scope[WRITE_WHOLE] = partial(_write_whole, cycle)  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """The parser gave up; `msg` is uvicorn's word for that."""
        self._refuse(b"400 Bad Request", _NO_HTTP)

    def _refuse(self, status: bytes, content: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, len(content), content)
        )
        self.transport.close()


def _write_whole(cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a whole answer in one piece. False: nothing was done, `send` must do it (the client reads too slowly)."""
    if cycle.disconnected:
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
