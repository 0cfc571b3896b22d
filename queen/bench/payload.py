"""The bytes of a message: a filler, and behind it fixed fields in hex from which the ledger is fed.

    {"f":"<filler>","q":"<tag 8><fields 50><crc32 8>"}

The tag stands for the run; the checksum covers all that stands before it. Everything that varies has a fixed width, so
that a reader finds it at fixed places from the end. A push is cut from ready pieces; nothing is encoded a message.
Knows the form, neither connections nor counting.
"""

from __future__ import annotations

import random
import string
import zlib
from binascii import unhexlify
from hashlib import blake2b

import msgspec
import numpy as np
import numpy.typing as npt

from queen.bench.orders import Plan
from queen.bench.records import CORRUPT, FOREIGN
from queen.errors import SettingsError

FIELDS = np.dtype(
    [
        ("worker", ">u1"),
        ("key", ">u4"),
        ("sequence_high", ">u1"),
        ("sequence", ">u4"),
        ("offset", ">u2"),
        ("floor_high", ">u1"),
        ("floor", ">u4"),
        ("intended", ">i8"),
    ]
)
"""The fields in binary. A sequence has five bytes; `offset` is its place in its push; `floor` is one more than what it
says, so that none is 0."""
FIELDS_HEX = 2 * FIELDS.itemsize
_TAIL = 8 + FIELDS_HEX + 8 + 2
_FRAME = b'{"f":"","q":"'
PAYLOAD_BYTES_MIN = len(_FRAME) + _TAIL
WORKERS_MAX = 256
PUSH_MAX = 65_536
"""Messages of one push."""

_POOL = 64
_POOL_BYTES_MAX = 8 << 20


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    f: str
    q: str


_PAYLOAD = msgspec.json.Decoder(_Payload)


def tag_of(run_id: str) -> bytes:
    """Eight characters that stand for a run in its payloads."""
    return blake2b(run_id.encode(), digest_size=4).hexdigest().encode()


def partition_name(partition: int) -> str:
    return f"p{partition:06d}"


def transaction_id(run_id: str, key: int, sequence: int) -> str:
    """Under which a message can be looked up. For the partition of a key see `schedule.key_count`."""
    return f"{run_id}-{key}-{sequence}"


def read_transaction_id(run_id: str, text: str) -> tuple[int, int] | None:
    """Key and sequence; None for one that is not of this run."""
    parts = text.removeprefix(f"{run_id}-").split("-")
    if not text.startswith(f"{run_id}-") or len(parts) != 2 or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def fillers(run_id: str, payload_bytes: int, random_share: float, seed: int) -> list[tuple[bytes, int]]:
    """Different beginnings of payloads, up to and with the tag, each with its checksum.

    Raises SettingsError for a size without room for the fields.
    """
    if payload_bytes < PAYLOAD_BYTES_MIN:
        raise SettingsError(
            f"a payload of {payload_bytes} bytes has no room for what the ledger needs",
            hint=f"at least {PAYLOAD_BYTES_MIN} bytes",
        )
    size = payload_bytes - PAYLOAD_BYTES_MIN
    count = max(4, min(_POOL, _POOL_BYTES_MAX // max(1, size)))
    source, letters = random.Random(seed), string.ascii_letters + string.digits
    made = []
    for _ in range(count):
        noise = "".join(source.choices(letters, k=round(size * random_share)))
        text = f'{{"f":"{noise.ljust(size, ".")}","q":"'.encode() + tag_of(run_id)
        made.append((text, zlib.crc32(text)))
    return made


class PushBodies:
    """Writes the bodies of one worker's pushes."""

    def __init__(self, plan: Plan) -> None:
        load = plan.workload
        self._pool = fillers(plan.run_id, load.payload_bytes, load.random_share, plan.seed + plan.worker)
        self._written = 0
        self._run, self._worker, self._partitions = plan.run_id, plan.worker, load.partitions
        self._queue = msgspec.json.encode(plan.queue).decode()
        self._starts: dict[int, tuple[bytes, bytes]] = {}

    def write(self, key: int, first: int, floor: int, intended: list[int]) -> bytes:
        """The body of a push of as many messages as there are intended times, with sequences from `first`."""
        item, start = self._starts.get(key) or self._start(key)
        pool, size, place, crc32 = self._pool, len(self._pool), self._written, zlib.crc32
        above = floor + 1
        parts = []
        for offset, at in enumerate(intended):
            text, crc = pool[place % size]
            place += 1
            sequence = first + offset
            fields = b"%b%010x%04x%010x%016x" % (start, sequence, offset, above, at)
            parts.append(b'%b%d","payload":%b%b%08x"}}' % (item, sequence, text, fields, crc32(fields, crc)))
        self._written = place
        return b'{"items":[%b]}' % b",".join(parts)

    def _start(self, key: int) -> tuple[bytes, bytes]:
        name = partition_name(key % self._partitions)
        item = f'{{"queue":{self._queue},"partition":"{name}","transactionId":"{self._run}-{key}-'
        made = item.encode(), b"%02x%08x" % (self._worker, key)
        self._starts[key] = made
        return made


class Reader:
    """Checks the messages of one run."""

    def __init__(self, run_id: str) -> None:
        self._run = run_id
        self._tag = tag_of(run_id)

    def read(self, data: bytes, transaction: str) -> tuple[bytes, int]:
        """The fields in hex, and 0 or a flag of `records`. A corrupt one's are made from its id."""
        if data[-_TAIL : 8 - _TAIL] == self._tag and b'%08x"}' % zlib.crc32(data[:-10]) == data[-10:]:
            return data[8 - _TAIL : -10], 0
        return self._read_slowly(data, transaction)

    def _read_slowly(self, data: bytes, transaction: str) -> tuple[bytes, int]:
        """A server may write the same JSON in another way: it is put into our form before it is judged."""
        place = read_transaction_id(self._run, transaction)
        try:
            value = _PAYLOAD.decode(data)
        except msgspec.DecodeError:
            return _fields(place), CORRUPT if place else FOREIGN
        text = f'{{"f":"{value.f}","q":"{value.q}"}}'.encode()
        if text[-_TAIL : 8 - _TAIL] != self._tag:
            is_ours = place is not None and len(value.q) != _TAIL - 2
            return _fields(place), CORRUPT if is_ours else FOREIGN
        if b"%08x" % zlib.crc32(text[:-10]) != text[-10:-2]:
            return _fields(place), CORRUPT if place else FOREIGN
        return text[8 - _TAIL : -10], 0


def _fields(place: tuple[int, int] | None) -> bytes:
    key, sequence = place or (0, 0)
    return b"00%08x%010x%04x%010x%016x" % (key & 0xFFFFFFFF, sequence & 0xFFFFFFFFFF, 0, 0, 0)


def unpack(fields: list[bytes]) -> npt.NDArray[np.void]:
    """The fields of many messages as rows of FIELDS. Raises ValueError when one is not hex of that width."""
    return np.frombuffer(unhexlify(b"".join(fields)), FIELDS)


def sequences(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    made: npt.NDArray[np.int64] = (rows["sequence_high"].astype(np.int64) << 32) + rows["sequence"]
    return made


def floors(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Highest settled sequence of the key when the push was written; -1 for none."""
    made: npt.NDArray[np.int64] = (rows["floor_high"].astype(np.int64) << 32) + rows["floor"] - 1
    return made
