"""One keep-alive HTTP/1.1 connection of the load generator, and the little parser behind it.

It reads exactly what a Queen server sends on the hot routes: a status line, a `Content-Length`, chunks (large pops) or
a 204 without body. Anything else raises `BadAnswer`: a generator that guesses would hide a fault of the server.
It knows nothing of messages; what an answer means is decided by whoever owns the connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

HEAD_BYTES_MAX = 65_536
CHUNKED = -1
"""Instead of a length: the body comes in chunks."""

_LAST_CHUNK = b"0\r\n\r\n"

OnAnswer = Callable[[int, bytes], None]
OnLost = Callable[[str], None]


class BadAnswer(Exception):
    """The server answered in a way that the generator does not expect."""


def parse_head(data: bytes) -> tuple[int, int, int] | None:
    """Status, index of the first body byte, and body length or CHUNKED; None while the head is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_BYTES_MAX:
            raise BadAnswer("answer head above 64 KiB")
        return None
    if not data.startswith(b"HTTP/1.1 ") or not data[9:12].isdigit():
        raise BadAnswer(f"not an HTTP/1.1 status line: {data[:40]!r}")
    status = int(data[9:12])
    return status, end + 4, 0 if status == 204 else _content_length(data[:end].lower())


def _content_length(head: bytes) -> int:
    start = head.find(b"\r\ncontent-length:")
    if b"\r\ntransfer-encoding:" in head:
        if start < 0 and b"\r\ntransfer-encoding: chunked" in head:
            return CHUNKED
        raise BadAnswer(f"answer with an unknown framing: {head[:200]!r}")
    if start < 0:
        raise BadAnswer(f"answer without a plain Content-Length: {head[:200]!r}")
    stop = head.find(b"\r\n", start + 2)
    value = head[start + 17 : stop if stop > 0 else len(head)].strip()
    if not value.isdigit():
        raise BadAnswer(f"bad Content-Length: {value!r}")
    return int(value)


def join_chunks(data: bytes, start: int) -> bytes | None:
    """The body whose chunks begin at `start`; None while some are missing. Nothing may stand behind the last one."""
    pieces: list[bytes] = []
    while True:
        end = data.find(b"\r\n", start)
        if end < 0:
            return None
        try:
            size = int(data[start:end], 16)
        except ValueError as error:
            raise BadAnswer(f"bad length of a chunk: {data[start : start + 40]!r}") from error
        stop = end + 2 + size
        if len(data) < stop + 2:
            return None
        if data[stop : stop + 2] != b"\r\n":
            raise BadAnswer("a chunk is longer than it says")
        if not size:
            if len(data) > stop + 2:
                raise BadAnswer(f"{len(data) - stop - 2} bytes after the last chunk")
            return b"".join(pieces)
        pieces.append(data[end + 2 : stop])
        start = stop + 2


class AnswerParser:
    """Collects the bytes of one answer at a time; `feed` returns it when it is whole.

    The common case, a whole answer in one piece, copies nothing but the body.
    """

    __slots__ = ("_chunks", "_missing")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """Status and body, or None while bytes are missing. Raises BadAnswer, also for bytes nobody asked for."""
        if self._chunks:
            self._chunks.append(data)
            if self._missing != CHUNKED:
                self._missing = max(0, self._missing - len(data))
            if self._missing > 0 or (self._missing == CHUNKED and _goes_on(data)):
                return None
            data = b"".join(self._chunks)
            self._chunks.clear()
        head = parse_head(data)
        if head is None:
            self._wait(data, 1)
            return None
        status, start, length = head
        if length == CHUNKED:
            body = join_chunks(data, start)
            if body is None:
                self._wait(data, CHUNKED)
                return None
            return status, body
        surplus = len(data) - start - length
        if surplus < 0:
            self._wait(data, -surplus)
            return None
        if surplus > 0:
            raise BadAnswer(f"{surplus} bytes after the end of an answer with status {status}")
        return status, data[start:]

    def _wait(self, data: bytes, missing: int) -> None:
        self._chunks.append(data)
        self._missing = missing


def _goes_on(data: bytes) -> bool:
    """Can these bytes, the newest of a body in chunks, not be its end? Spares looking at all of it each time."""
    return len(data) >= len(_LAST_CHUNK) and not data.endswith(_LAST_CHUNK)


class Connection(asyncio.Protocol):
    """Sends one request at a time and hands its answer to the callback given with it, without a task of its own.

    A BadAnswer, raised here or by the callback, and a closed connection go to `on_lost` as text.
    """

    def __init__(self, on_lost: OnLost) -> None:
        self.elapsed_ns = 0
        self.sent_ns = 0
        """When the first byte of the newest request was written."""
        self.bytes_received = 0
        self._on_lost = on_lost
        self._on_answer: OnAnswer | None = None
        self._parser = AnswerParser()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, on_answer: OnAnswer) -> None:
        """Writes one whole request. The previous answer must have arrived."""
        assert self._transport is not None
        assert self._on_answer is None
        self._on_answer = on_answer
        self.sent_ns = time.perf_counter_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        try:
            answer = self._parser.feed(data)
            if answer is not None:
                self._answered(*answer)
        except BadAnswer as error:
            self._on_lost(str(error))

    def _answered(self, status: int, body: bytes) -> None:
        callback, self._on_answer = self._on_answer, None
        if callback is None:
            raise BadAnswer(f"an answer with status {status} that nobody asked for")
        self.elapsed_ns = time.perf_counter_ns() - self.sent_ns
        callback(status, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost(f"the server closed a connection ({exc or 'end of file'})")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
