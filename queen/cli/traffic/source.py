"""Where produced messages come from: chunks of (lane number, message, size). The shapes that sources share.

A lane number decides which lane carries a message: equal numbers keep their order. It may be any whole number.
"""

from __future__ import annotations

import zlib

from queen.client import NewMessage

ITEM_BYTES = 150
"""About how many bytes a message takes in a request beside its payload."""

Chunk = list[tuple[int, tuple[NewMessage, int]]]


def lane_of(partition: str) -> int:
    """The lane number of a named partition; the same in every run."""
    return zlib.crc32(partition.encode("utf-8", "surrogatepass"))
