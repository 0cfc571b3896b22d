"""The kinds of bits that the ledger keeps of a message, and its counters by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Final

import numpy as np

from queen.bench.bits import Ints
from queen.bench.result import Anomaly, LedgerReport

ACCEPTED_BITS, UNKNOWN_BITS, REFUSED_BITS = 0, 1, 2
_OWN: Final = 3  # kinds before those of the groups


class Stage(IntEnum):
    """Bits that each group has of its own."""

    DELIVERED = 0
    ACKED = 1
    FAILED = 2
    MAYBE = 3
    """Acked, and the answer never came."""
    LATE = 4
    """First seen at a later attempt; the earlier delivery has not turned up."""
    SUSPECT = 5
    """First delivered out of order, if it had been stored when it should have been."""


def bit_kinds(groups: int) -> int:
    """How many kinds there are."""
    return _OWN + groups * len(Stage)


def kind_of(stage: Stage, group: Ints | int) -> Ints:
    """The kind of a stage in each group."""
    return np.asarray(_OWN + np.asarray(group, np.int64) * len(Stage) + int(stage))


_COUNTED: Final = ("delivered", "redelivered", "acked", "failed", "maybe", "retried", "ack_refused")
_WRONG: Final = ("duplicated", "reordered", "early", "corrupt", "ghost")
_AT_END: Final = ("lost", "unacked", "ghost_pages", "reordered", "unknown_delivered")


class Tally:
    """Counters: messages. `groups` has a dict for each group."""

    def __init__(self, groups: int) -> None:
        self.sends = dict.fromkeys(("sent", "accepted", "unknown", "refused", "duplicates"), 0)
        names = dict.fromkeys((*_COUNTED, *_WRONG, *_AT_END))
        self.groups: list[dict[str, int]] = [dict.fromkeys(names, 0) for _ in range(groups)]

    def sent(self, **counts: int) -> None:
        """Add messages of sends."""
        for name, count in counts.items():
            self.sends[name] += count

    def add(self, name: str, groups: Any) -> None:
        """Count one for each entry, which names its group."""
        for group, count in enumerate(np.bincount(groups, minlength=len(self.groups)).tolist()):
            self.groups[group][name] += count

    def counts(self, names: Sequence[str], exact: Callable[[int], int], waiting: int) -> dict[str, Any]:
        """For the live line. `exact` counts a group's outstanding messages one by one; it is asked where a difference
        of counters could be wrong: near the end, and once a send was not answered."""
        groups = {}
        for place, (name, group) in enumerate(zip(names, self.groups, strict=True)):
            settled = group["acked"] + group["failed"] + group["maybe"]
            outstanding = self.sends["accepted"] - settled
            if outstanding <= 1000 or self.sends["unknown"]:
                outstanding = exact(place)
            shown = {key: group[key] for key in (*_COUNTED, "duplicated", "early", "corrupt", "ghost")}
            groups[name] = {**shown, "outstanding": outstanding}
        outstanding_max = max((group["outstanding"] for group in groups.values()), default=0)
        totals = {key: sum(group[key] for group in self.groups) for key in ("delivered", "redelivered", "acked")}
        return {**self.sends, **totals, "outstanding": outstanding_max, "waiting_rows": waiting, "groups": groups}

    def report(
        self,
        names: Sequence[str],
        *,
        complete: bool,
        early_judged: bool,
        dead_letters: int,
        anomalies: list[Anomaly],
        memory_bytes: int,
    ) -> LedgerReport:
        """As the record of the run has it."""
        groups = {}
        for name, group in zip(names, self.groups, strict=True):
            shown = {key: count for key, count in group.items() if key not in ("ghost_pages", "maybe")}
            groups[name] = {**shown, "ghost": group["ghost"] + group["ghost_pages"], "ack_unknown": group["maybe"]}
        totals = {key: sum(group[key] for group in groups.values()) for key in _TOTALS}
        return LedgerReport(
            complete=complete,
            sent=self.sends["sent"],
            accepted=self.sends["accepted"],
            unknown=self.sends["unknown"],
            refused=self.sends["refused"],
            early_judged=early_judged,
            dead_letters=dead_letters,
            groups=groups,
            anomalies=anomalies,
            memory_bytes=memory_bytes,
            **totals,
        )


_TOTALS: Final = (
    "delivered",
    "redelivered",
    "acked",
    "lost",
    "duplicated",
    "reordered",
    "early",
    "corrupt",
    "ghost",
    "unacked",
    "unknown_delivered",
)
