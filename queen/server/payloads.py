"""Stored payloads as the routes of management show them: opened where they are encrypted."""

from __future__ import annotations

from typing import Any

from queen import wire
from queen.engine.sealing import Seals, has_sealed
from queen.server.errors import content
from queen.store.admin.offsets import Read, Records


def shown(seals: Seals, row: Any) -> tuple[Any, dict[str, Any]]:
    """The payload of a row as the producer sent it; with `dataError` as further fields it is None, and that says why.

    The row has payload, queue, partition and transaction_id.
    """
    payload, error = seals.show(row.payload, row.queue, row.partition, row.transaction_id)
    if payload is None:
        return None, {"dataError": content(error)} if error is not None else {}
    # The producer's own bytes, not a second rendering of them.
    return wire.raw_bytes(payload), {}


def open_records(seals: Seals, reads: list[Read], found: list[Records]) -> None:
    """Open what was read by offset, in place. Raises PayloadSealed when one of them cannot be opened."""
    for read, one in zip(reads, found, strict=True):
        if not one.records or not has_sealed([record.payload for record in one.records]):
            continue
        for place, record in enumerate(one.records):
            opened = seals.open_payload(record.payload, read.queue, read.partition, record.transaction_id.decode())
            one.records[place] = record._replace(payload=opened)
