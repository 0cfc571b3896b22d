"""Writes answers: small ones in one piece, those of large pops in many, as fast as the client reads.

Knows the budget that large answers count against, and neither routes nor what stands in a body.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import Scope, Send

from queen.engine.memory import ANSWER_FACTOR, Memory
from queen.server.errors import JSON_TYPE, Answer
from queen.server.protocol import CONNECTION, WRITE_WHOLE

LARGE_BYTES = 256 << 10
"""Pop answers with more payload than this are written in pieces."""

PIECE_BYTES = 64 << 10


async def write(scope: Scope, send: Send, answer: Answer) -> None:
    """Send a whole answer, in one piece where the protocol can. A 204 has neither type nor length."""
    status, headers, body = answer
    whole = scope.get(WRITE_WHOLE)
    if whole is not None and whole(status, headers, body):
        return
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def write_in_pieces(memory: Memory, scope: Scope, send: Send, pieces: Iterator[bytes], size: int) -> bool:
    """Send a 200 of about `size` bytes piece by piece. False: the client left before it had taken all of it."""
    connection = scope.get(CONNECTION)
    held = size * ANSWER_FACTOR
    memory.answers += held
    try:
        await send({"type": "http.response.start", "status": 200, "headers": JSON_TYPE})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if connection is not None and connection.lost:
                return False
        # The end is sent when the rest is on its way: what is left in a buffer would be lost with the connection.
        if connection is not None and not await connection.has_sent():
            return False
        await send({"type": "http.response.body", "body": b""})
        return True
    finally:
        memory.answers -= held
