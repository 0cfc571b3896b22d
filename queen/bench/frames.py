"""Frames between the bench and its workers: a length of four bytes, big-endian, and msgpack."""

from __future__ import annotations

import asyncio

import msgspec

from queen.bench.orders import Order, Report

FRAME_BYTES_MAX = 256 << 20

_ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_REPORT: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
_ENCODER = msgspec.msgpack.Encoder()


def pack(value: Order | Report) -> bytes:
    body = _ENCODER.encode(value)
    return len(body).to_bytes(4, "big") + body


async def read_order(reader: asyncio.StreamReader) -> Order | None:
    """None at the end. Raises msgspec.DecodeError and ValueError for what is no frame."""
    body = await _read(reader)
    return None if body is None else _ORDER.decode(body)


async def read_report(reader: asyncio.StreamReader) -> Report | None:
    """The same of a report."""
    body = await _read(reader)
    return None if body is None else _REPORT.decode(body)


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {size} bytes")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
