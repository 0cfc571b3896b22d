"""Was a key delivered under a second lease while the first one still held it? By what the consumers themselves saw.

Of a lease we know when its pop was asked for, when its messages were there and when its ack was sent. So a conflict is
only called one when no order of events at the server could explain it. Works on arrays; knows nothing of sequences
beyond the last one of a lease.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from queen.bench.bits import Ints, Mask
from queen.bench.records import ACK_REFUSED, ACKED

_NEVER = np.iinfo(np.int64).max
_MIX = np.uint64(0x9E3779B97F4A7C15)
_PATIENCE_NS = 60_000_000_000  # for the answer of an ack that was sent in time

_HELD = np.dtype(
    [
        ("name", "<u8"),
        ("lane", "<i8"),
        ("asked_ns", "<i8"),
        ("at_ns", "<i8"),
        ("first", "<i8"),
        ("last", "<i8"),
        ("attempt", "<i8"),
        ("ended_ns", "<i8"),
        ("done", "?"),  # compared with the next one of its lane, and here only because the one before is not
    ]
)


class LeaseJudge:
    """Holds, of each lane (a key as one group sees it), its newest lease and those whose end is not known yet."""

    def __init__(self, lease_ns: int) -> None:
        self._lease_ns = lease_ns
        self._held: Any = np.zeros(0, _HELD)

    @property
    def memory_bytes(self) -> int:
        return int(self._held.nbytes)

    def follow(self, lanes: Ints, rows: Any, settle_lanes: Ints, settles: Any, now_ns: int | None) -> Any:
        """Take rows (DELIVERY, in the order of lanes and time) and settles; returns the leases that came early, as
        rows with lane, first, at_ns and attempt. `now_ns`: up to where all is known; None for the end."""
        self._take(lanes, rows)
        self._settle(settle_lanes, settles)
        return self._judge(now_ns)

    def _take(self, lanes: Ints, rows: Any) -> None:
        """Add leases; rows of one that is known already belong to it."""
        fresh: Any = np.zeros(lanes.size, _HELD)
        fresh["name"], fresh["lane"] = _names(lanes, rows["lease"]), lanes
        fresh["asked_ns"], fresh["at_ns"], fresh["attempt"] = rows["asked_ns"], rows["at_ns"], rows["attempt"]
        fresh["first"] = fresh["last"] = rows["sequence"].astype(np.int64)
        fresh["ended_ns"] = _NEVER
        together = np.concatenate((self._held, fresh))
        if not together.size:
            return
        order = np.argsort(together["name"], kind="stable")
        together = together[order]
        changes = together["name"][1:] != together["name"][:-1]
        starts = np.flatnonzero(np.concatenate(([True], changes)))
        held = together[starts]
        held["last"] = np.maximum.reduceat(together["last"], starts)
        held["ended_ns"] = np.minimum.reduceat(together["ended_ns"], starts)
        self._held = held

    def _settle(self, lanes: Ints, settles: Any) -> None:
        """An ack of the last message ends a lease, and so does giving back; one that was refused ends nothing."""
        if not lanes.size or not self._held.size:
            return
        names = _names(lanes, settles["lease"])
        at = np.minimum(np.searchsorted(self._held["name"], names), self._held.size - 1)
        ends = settles["first"].astype(np.int64) + settles["count"] > self._held["last"][at]
        ends |= settles["outcome"] != ACKED
        ends &= (settles["outcome"] != ACK_REFUSED) & (self._held["name"][at] == names)
        np.minimum.at(self._held["ended_ns"], at[ends], settles["sent_ns"][ends])

    def _judge(self, now_ns: int | None) -> Any:
        """Compare each lease with the next one of its lane; forget what is decided."""
        held = self._held[np.lexsort((self._held["at_ns"], self._held["lane"]))]
        if held.size < 2:
            return held[:0]
        one, two = held[:-1], held[1:]
        met: Mask = one["lane"] == two["lane"]
        lives = (two["at_ns"] < one["asked_ns"] + self._lease_ns) & (one["at_ns"] < two["asked_ns"] + self._lease_ns)
        clash = met & ~one["done"] & lives & (one["ended_ns"] > two["at_ns"])
        late = one["at_ns"] + self._lease_ns + _PATIENCE_NS
        known = np.full(clash.shape, True) if now_ns is None else (one["ended_ns"] != _NEVER) | (late < now_ns)
        early = two[clash & known]
        waits = clash & ~known
        one["done"] = met & ~waits
        kept = held[np.append(~met | waits, True) | np.append(False, waits)]
        self._held = kept[np.argsort(kept["name"], kind="stable")]
        return early


def _names(lanes: Ints, leases: Any) -> Any:
    """One number for a lease on a lane."""
    return leases ^ (lanes.astype(np.uint64) * _MIX)
