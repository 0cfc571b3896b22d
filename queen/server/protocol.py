"""uvicorn's HTTP protocol with what it lacks: a bound on the head of a request, an end for every request of a client
that left, and our own words for what is no HTTP.

Knows nothing of routes. The parser itself takes headers of any length, and would keep all of them in memory. And of
several requests that a client sent ahead, uvicorn tells only the last one that the client has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from queen.server.errors import body

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD_BYTES_MAX = 256 << 10
"""Most bytes of a request line and its headers that are read while they are not complete."""

_TOO_LONG = body("request head too large", "head_too_large", "shorten the path, the query or the headers")
_NO_HTTP = body("this is no HTTP request", "bad_request", "send HTTP/1.1")


class Protocol(HttpToolsProtocol):
    """One connection."""

    head_bytes = 0
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

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: the request that runs is told, those that wait behind it never start."""
        self.pipeline.clear()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
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
