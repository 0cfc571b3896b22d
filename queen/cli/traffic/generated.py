"""Made-up messages: JSON payloads of a given size over partitions p0, p1, …, in turn.

The filling is a slice of random text at a moving place, so that neither a network nor a database can compress it away.
"""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import AsyncIterator, Callable

from msgspec import Raw

from queen.cli.traffic.source import ITEM_BYTES, Chunk
from queen.client import NewMessage

_CHUNK_MESSAGES = 100
_CHUNK_BYTES = 1024 * 1024
_PAD_STEP = 97


def payloads(size: int, seed: int = 1) -> Callable[[int], bytes]:
    """Payload number n as JSON of exactly `size` bytes, or the smallest that holds the number when that is more."""
    pad_text = base64.b64encode(random.Random(seed).randbytes(size + 4096))

    def payload(number: int) -> bytes:
        head = b'{"n":%d,"pad":"' % number
        length = max(0, size - len(head) - 2)
        start = number * _PAD_STEP % (len(pad_text) - length)
        return head + pad_text[start : start + length] + b'"}'

    return payload


async def generated(queue: str, partitions: int, size: int) -> AsyncIterator[Chunk]:
    """Messages without end. The lane follows the partition's number, so that lanes are equally loaded."""
    payload = payloads(size)
    # Large payloads come in small chunks: what is made ahead of need counts in memory.
    ahead = max(1, min(_CHUNK_MESSAGES, _CHUNK_BYTES // size))
    names = [f"p{index}" for index in range(partitions)]
    for first in itertools.count(step=ahead):
        chunk: Chunk = []
        for number in range(first, first + ahead):
            index = number % partitions
            message = NewMessage(queue, Raw(payload(number)), partition=names[index])
            chunk.append((index, (message, size + ITEM_BYTES)))
        yield chunk
