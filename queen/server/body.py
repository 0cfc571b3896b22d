"""Reads the bodies of requests: in one piece where they come in one, else in pieces against the memory budget.

A body that is too large, or for which there is no room, is refused by its length, before any of it is read. One whose
length is not told is refused as it grows. Knows the budget, and neither routes nor JSON.
"""

from __future__ import annotations

from typing import cast

from starlette.types import Receive, Scope

from queen import errors
from queen.engine.memory import REQUEST_FACTOR, Memory
from queen.server.protocol import CONNECTION

SMALL_BYTES = 64 << 10
"""Bodies up to this size are counted, and only pushes among them are refused: an ack makes room, it needs none."""


class Bodies:
    """Reads and counts bodies. What `read` returns stays counted until `release`."""

    def __init__(self, memory: Memory, bytes_max: int) -> None:
        self._memory = memory
        self._bytes_max = bytes_max

    async def read(self, scope: Scope, receive: Receive, *, push: bool = False) -> bytes | None:
        """The whole body; None when the client left before it was complete.

        Raises BodyTooLarge, and Overloaded when the memory budget has no room for it.
        """
        length = -1
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                length = int(value)
                if length > SMALL_BYTES:
                    return await self._read_large(scope, receive, length)
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            return await self._read_growing(scope, receive, body, push)
        self._count(scope, len(body), push)
        return body

    def release(self, size: int) -> None:
        """A body of this size, and what was made of it, is needed no longer."""
        self._memory.requests -= size * REQUEST_FACTOR

    def _count(self, scope: Scope, size: int, push: bool) -> None:
        if push or size > SMALL_BYTES:
            self._admit(scope, size)
        else:
            self._memory.requests += size * REQUEST_FACTOR

    def _admit(self, scope: Scope, size: int) -> None:
        try:
            self._memory.admit(size * REQUEST_FACTOR)
        except errors.Overloaded:
            _forget(scope)
            raise

    async def _read_large(self, scope: Scope, receive: Receive, length: int) -> bytes | None:
        """A body whose length is told: room for all of it is taken before the first byte is read."""
        if length > self._fitting_max:
            _forget(scope)
            raise self._too_large()
        self._admit(scope, length)
        whole, size = bytearray(length), 0
        try:
            while size < length:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                piece = message.get("body", b"")
                whole[size : size + len(piece)] = piece
                size += len(piece)
        finally:
            if size < length:
                self._memory.release(length * REQUEST_FACTOR)
        # No copy: whoever decodes it takes any buffer.
        return cast("bytes", whole) if size == length else None

    async def _read_growing(self, scope: Scope, receive: Receive, first: bytes, push: bool) -> bytes | None:
        """A body in several pieces: counted as it grows."""
        pieces, size = [first], len(first)
        self._memory.requests += size * REQUEST_FACTOR
        is_whole = False
        try:
            while not is_whole:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                piece = message.get("body", b"")
                if size + len(piece) > self._fitting_max:
                    raise self._too_large()
                if push or size + len(piece) > SMALL_BYTES:
                    self._admit(scope, len(piece))
                else:
                    self._memory.requests += len(piece) * REQUEST_FACTOR
                pieces.append(piece)
                size += len(piece)
                is_whole = not message.get("more_body")
        except errors.QueenError:
            close_soon(scope)
            raise
        finally:
            if not is_whole:
                self._memory.release(size * REQUEST_FACTOR)
        return b"".join(pieces)

    @property
    def _fitting_max(self) -> int:
        return self._memory.body_bytes_max(self._bytes_max)

    def _too_large(self) -> errors.BodyTooLarge:
        most = self._fitting_max
        reason = "server.body_bytes_max" if most == self._bytes_max else "the memory budget, engine.memory_bytes_max"
        return errors.BodyTooLarge(
            "body too large", hint=f"{most} bytes is the most ({reason}); split the request, or stream it as NDJSON"
        )


def close_soon(scope: Scope) -> None:
    """The answer will be complete before the request is: close the connection once the client had time to read it."""
    connection = scope.get(CONNECTION)
    if connection is not None:
        connection.close_soon()


def _forget(scope: Scope) -> None:
    connection = scope.get(CONNECTION)
    if connection is not None:
        connection.forget_body()
