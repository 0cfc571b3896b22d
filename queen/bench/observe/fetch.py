"""One small GET of JSON, on a connection of its own, with a bound for time and size. Needs no HTTP library."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

_ANSWER_BYTES_MAX: Final = 8 << 20


async def get_json(url: str, path: str, timeout_s: float = 2.0) -> Any:
    """The decoded answer to GET `path` of a server; None when it does not come, is no 200 or is no JSON."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _exchange(url, path)
        head, _, body = answer.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] != [b"200"]:
            return None
        return msgspec.json.decode(body)
    except (OSError, TimeoutError, ValueError, msgspec.DecodeError, asyncio.IncompleteReadError):
        return None


async def _exchange(url: str, path: str) -> bytes:
    place = urlsplit(url)
    secure = place.scheme == "https"
    reader, writer = await asyncio.open_connection(place.hostname, place.port or (443 if secure else 80), ssl=secure)
    try:
        # HTTP/1.0, so that the answer comes in one piece and the connection ends with it.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {place.netloc}\r\nAccept: application/json\r\n\r\n".encode())
        await writer.drain()
        answer = bytearray()
        while piece := await reader.read(65_536):
            answer += piece
            if len(answer) > _ANSWER_BYTES_MAX:
                raise ValueError("an answer without end")
        return bytes(answer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
