"""The packed rows of `orders.Records`: what workers tell the ledger about each push, delivery and ack.

Little-endian numpy rows without padding; `Records.sends` is `array.tobytes()` of SEND rows, and so on. Times are
nanoseconds of the shared clock. A row belongs to the moment at which its story is known: `answered_ns` of a send,
`at_ns` of a delivery and of a settle; `Records.until_ns` promises all rows of earlier moments. Knows no judgement.
"""

from __future__ import annotations

import hashlib

import numpy as np

SEND = np.dtype(
    [
        ("key", "<u4"),
        ("first", "<u8"),
        ("count", "<u4"),
        ("outcome", "u1"),
        ("sent_ns", "<i8"),
        ("answered_ns", "<i8"),
    ]
)
"""One row per push and key: the sequences first … first + count - 1 of that key.

`key` is below `partitions` (Ledger). Sequences begin anywhere and stay below SEQUENCE_MAX. `answered_ns` is the moment
of the answer, or at which it was given up for `UNKNOWN`."""

ACCEPTED, DUPLICATE, UNKNOWN, REFUSED = range(4)
"""Outcomes of a send. DUPLICATE: the server had them already, so they must be delivered as accepted ones.
UNKNOWN: no answer, or an error whose effect is unknown. REFUSED: certainly not stored."""

DELIVERY = np.dtype(
    [
        ("group", "u1"),
        ("key", "<u4"),
        ("sequence", "<u8"),
        ("first", "<u8"),
        ("floor", "<i8"),
        ("attempt", "<u2"),
        ("asked_ns", "<i8"),
        ("at_ns", "<i8"),
        ("lease", "<u8"),
        ("flags", "u1"),
    ]
)
"""One row per delivered message, in the order of the pop's answer.

`group` is the place in `Plan.groups`. `first` and `floor` are those of the payload: the first sequence of its own push,
and the sequence up to which all of the key had been settled when that push was written (-1: none). `asked_ns`: when the
pop's request was written, so that the lease did not begin before; `at_ns`: when the answer was read, before any ack of
it is sent. `lease` is `lease_hash` of the lease id; 0 with auto-ack. A corrupt message is named by its transaction id;
its `first` and `floor` are not looked at. Of a FOREIGN one only group and `at_ns` are looked at."""

CORRUPT = 1
"""Flag: the checksum differs, or the payload is not in our form."""
FOREIGN = 2
"""Flag: another run's message, or none of ours at all."""

SETTLE = np.dtype(
    [
        ("group", "u1"),
        ("key", "<u4"),
        ("first", "<u8"),
        ("count", "<u4"),
        ("lease", "<u8"),
        ("outcome", "u1"),
        ("sent_ns", "<i8"),
        ("at_ns", "<i8"),
    ]
)
"""One row per run of neighbouring sequences of a key that one ack request settled in the same way.

`sent_ns`: when the ack was written; `at_ns`: when its answer came, or was given up. With auto-ack the consumer writes
ACKED rows itself, at the moment of the delivery. Where an ack gives a message back (RETRY, FAILED), the server delivers
later ones of that key again: those of the same request behind it get the same outcome RETRY, not ACKED."""

ACKED, RETRY, FAILED, ACK_REFUSED, ACK_UNKNOWN = range(5)
"""Outcomes of an ack. RETRY: given back on purpose. FAILED: failed on purpose (poison); ends as a dead letter.
ACK_REFUSED: the server refused it (lease lost). ACK_UNKNOWN: no answer."""

SEQUENCE_MAX = 1 << 40
"""Sequences stay below; a delivered one beyond it is a ghost."""


def lease_hash(lease: bytes) -> int:
    """64 bits that stand for a lease id; never 0 but for an empty one."""
    if not lease:
        return 0
    return int.from_bytes(hashlib.blake2b(lease, digest_size=8).digest(), "little") or 1
