"""What a producer would send, without a server: the first messages and the sums. Endless input is only begun."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import msgspec

from queen.cli import console
from queen.cli.traffic.source import Chunk
from queen.client import NewMessage
from queen.errors import QueenError

SHOWN_MAX = 10
PARTITIONS_MAX = 100_000
_ENDLESS_MESSAGES = 10


def preview(source: AsyncIterator[Chunk], count: int | None, *, endless: bool, as_json: bool, queue: str) -> None:
    """Print what would be sent: messages to standard output, sums to standard error; with `as_json` one object.

    Raises what the source raised, after printing what came before it."""
    seen = _Seen()
    most = _ENDLESS_MESSAGES if endless and count is None else count
    problem = asyncio.run(_look(source, most, seen))
    summary = {"schema_version": 1, "command": "produce", "dry_run": True, "queue": queue, **seen.sums()}
    summary["endless"] = endless and count is None
    if as_json:
        console.put_json({**summary, "first": [json.loads(line) for line in seen.first]})
    else:
        for line in seen.first:
            console.put(line)
        more = ", and so on without end" if summary["endless"] else ""
        sums = f"{summary['messages']} messages, {summary['payload_bytes']} bytes of payload, "
        console.say(f"dry run: {sums}{summary['partitions']} partitions of {queue}{more}; nothing was sent")
    if problem is not None:
        raise problem


class _Seen:
    """Sums of what came by. Above PARTITIONS_MAX partitions are no longer told apart."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self._messages = 0
        self._bytes = 0
        self._partitions: set[str] = set()

    def add(self, message: NewMessage) -> None:
        if len(self.first) < SHOWN_MAX:
            self.first.append(msgspec.json.encode(message).decode())
        self._messages += 1
        self._bytes += len(bytes(message.payload))
        if len(self._partitions) < PARTITIONS_MAX:
            self._partitions.add(message.partition or "Default")

    def sums(self) -> dict[str, Any]:
        many = len(self._partitions) >= PARTITIONS_MAX
        partitions = f"at least {PARTITIONS_MAX}" if many else len(self._partitions)
        return {"messages": self._messages, "payload_bytes": self._bytes, "partitions": partitions}


async def _look(source: AsyncIterator[Chunk], most: int | None, seen: _Seen) -> QueenError | None:
    left = most
    async with aclosing(cast(Any, source)) as chunks:
        try:
            async for chunk in chunks:
                wanted = chunk if left is None else chunk[:left]
                for _, (message, _) in wanted:
                    seen.add(message)
                if left is not None and (left := left - len(wanted)) == 0:
                    return None
        except QueenError as error:
            return error
    return None
