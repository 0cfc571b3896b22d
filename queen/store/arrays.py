"""Array parameters that cost almost nothing to send.

psycopg adapts a Python list item by item (13 µs a message for the four arrays of a push). The classes here carry an
array that is already in PostgreSQL's binary form, made with `struct` and `join`, and the dumpers just hand it over.
Also the way back: a binary array of texts or times becomes a list with one pass over its bytes.

Binary form of a one-dimensional array (PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_send): dimensions, null
flag, element type, length, lower bound, then each element as length (-1: null) and bytes, all big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_TIMESTAMPTZ_ARRAY = 1185
_NULL = _LENGTH.pack(-1)
# Lengths below 4 kB are looked up: half the cost of packing them.
_LENGTHS = [_LENGTH.pack(n) for n in range(4096)]


class Array(bytes):
    """One array parameter in binary form. Subclasses say which element type it has."""

    oid: ClassVar[int]
    element_oid: ClassVar[int]


class TextArray(Array):
    """text[] from UTF-8 bytes."""

    oid, element_oid = 1009, 25


class BigintArray(Array):
    """bigint[]"""

    oid, element_oid = 1016, 20


class TimeArray(Array):
    """timestamptz[] from µs since 2000-01-01 UTC."""

    oid, element_oid = _TIMESTAMPTZ_ARRAY, 1184


class IntArray(Array):
    """integer[]"""

    oid, element_oid = 1007, 23


class UuidArray(Array):
    """uuid[] from 16 bytes each."""

    oid, element_oid = 2951, 2950


class TidArray(Array):
    """tid[] from 6 bytes each: where rows lie."""

    oid, element_oid = 1010, 27


def texts(values: Sequence[bytes | None]) -> TextArray:
    """text[] of UTF-8 byte strings; None becomes null."""
    parts = [_HEADER.pack(1, 1, 25, len(values), 1)] if values else [_HEADER.pack(0, 0, 25, 0, 0)[:12]]
    append = parts.append
    for value in values:
        if value is None:
            append(_NULL)
            continue
        size = len(value)
        append(_LENGTHS[size] if size < 4096 else _LENGTH.pack(size))
        append(value)
    return TextArray(b"".join(parts))


def uuids(values: Sequence[bytes | None]) -> UuidArray:
    """uuid[] of 16-byte values; None becomes null."""
    return UuidArray(_equal(values, UuidArray.element_oid, 16))


def tids(values: Sequence[bytes | None]) -> TidArray:
    """tid[] of 6-byte values as the database gave them; None becomes null."""
    return TidArray(_equal(values, TidArray.element_oid, 6))


def tids_or_null(values: Sequence[bytes | None] | None) -> TidArray | None:
    """The same, or null in place of the array."""
    return None if values is None else tids(values)


def bigints(values: Sequence[int]) -> BigintArray:
    """bigint[] without nulls."""
    return BigintArray(_fixed(values, 20, 8, "q"))


def ints(values: Sequence[int]) -> IntArray:
    """integer[] without nulls."""
    return IntArray(_fixed(values, 23, 4, "i"))


def bigints_or_null(values: Sequence[int | None]) -> BigintArray:
    """bigint[]; None becomes null."""
    return BigintArray(_longs(values, BigintArray.element_oid))


def times_or_null(values: Sequence[int | None]) -> TimeArray:
    """timestamptz[] from µs since 2000-01-01 UTC; None becomes null."""
    return TimeArray(_longs(values, TimeArray.element_oid))


def _equal(values: Sequence[bytes | None], oid: int, size: int) -> bytes:
    if not values:
        return _HEADER.pack(0, 0, oid, 0, 0)[:12]
    length = _LENGTHS[size]
    parts = [_HEADER.pack(1, 1, oid, len(values), 1)]
    parts += [length + value if value is not None else _NULL for value in values]
    return b"".join(parts)


def _longs(values: Sequence[int | None], oid: int) -> bytes:
    if not values:
        return _HEADER.pack(0, 0, oid, 0, 0)[:12]
    parts = [_HEADER.pack(1, 1, oid, len(values), 1)]
    parts += [_NULL if v is None else struct.pack(">iq", 8, v) for v in values]
    return b"".join(parts)


def _fixed(values: Sequence[int], oid: int, size: int, code: str) -> bytes:
    count = len(values)
    if not count:
        return _HEADER.pack(0, 0, oid, 0, 0)[:12]
    pairs = [size] * (2 * count)
    pairs[1::2] = values
    return _HEADER.pack(1, 0, oid, count, 1) + struct.pack(">" + f"i{code}" * count, *pairs)


def read_texts(data: Buffer) -> list[bytes]:
    """The elements of a binary text[] or tid[] without nulls, as bytes."""
    raw = bytes(data)
    out: list[bytes] = []
    if len(raw) <= 12:
        return out
    append, unpack, position = out.append, _LENGTH.unpack_from, 20
    for _ in range(int.from_bytes(raw[12:16], "big")):
        end = position + 4 + unpack(raw, position)[0]
        append(raw[position + 4 : end])
        position = end
    return out


def read_bigints(data: Buffer) -> tuple[int, ...]:
    """The elements of a binary bigint[] or timestamptz[] (µs since 2000-01-01 UTC) without nulls."""
    if len(data) <= 12:
        return ()
    count = int.from_bytes(data[12:16], "big")
    return struct.unpack_from(">" + "4xq" * count, data, 20)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        return obj


class _TextsLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> list[bytes]:
        return read_texts(data)


class _BigintsLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> tuple[int, ...]:
        return read_bigints(data)


class _TidLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


_DUMPERS: list[tuple[type[Array], type[Dumper]]] = [
    (cls, type(f"_{cls.__name__}Dumper", (_ArrayDumper,), {"oid": cls.oid}))
    for cls in (TextArray, BigintArray, IntArray, UuidArray, TimeArray, TidArray)
]


def register(context: AdaptContext) -> None:
    """Teach a connection (or cursor) to send and read these arrays."""
    adapters = context.adapters
    for cls, dumper in _DUMPERS:
        adapters.register_dumper(cls, dumper)
    adapters.register_loader(TextArray.oid, _TextsLoader)
    adapters.register_loader(TidArray.oid, _TextsLoader)
    adapters.register_loader(TidArray.element_oid, _TidLoader)
    adapters.register_loader(BigintArray.oid, _BigintsLoader)
    adapters.register_loader(_TIMESTAMPTZ_ARRAY, _BigintsLoader)
