"""Every message through its life: sent, delivered, acked, by all workers; and what went wrong with which.

Fed with `Records`, follows them in the order of time, so that the report does not depend on how they arrived. Exact for
every message; bounded memory. Knows nothing of HTTP and of rates: a speed is only believed when this is clean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from queen.bench.bits import Ints, Mask, PagedBits, Scan, count_bits
from queen.bench.evidence import Evidence, Found
from queen.bench.inbox import Inbox
from queen.bench.lease_judge import LeaseJudge
from queen.bench.order_judge import OrderJudge
from queen.bench.orders import Records
from queen.bench.records import (
    ACK_REFUSED,
    ACK_UNKNOWN,
    ACKED,
    CORRUPT,
    DUPLICATE,
    FAILED,
    FOREIGN,
    REFUSED,
    RETRY,
    SEQUENCE_MAX,
    UNKNOWN,
)
from queen.bench.result import LedgerReport
from queen.bench.stages import ACCEPTED_BITS, REFUSED_BITS, UNKNOWN_BITS, Stage, Tally, bit_kinds, kind_of

_ROWS_MAX = 1_000_000  # looked at together
_SETTLED = {ACKED: Stage.ACKED, FAILED: Stage.FAILED, ACK_UNKNOWN: Stage.MAYBE}


class Ledger:
    """Not safe for several threads.

    `partitions`: keys are below it. `workers`: nothing is followed before so many were heard. `judge_early`: whether
    leases are judged (not with auto-ack). `zero_ns`: the clock's zero of the times in the report.
    """

    def __init__(
        self,
        groups: Sequence[str],
        *,
        partitions: int,
        lease_s: float,
        judge_early: bool,
        workers: int = 1,
        zero_ns: int = 0,
        partition: Callable[[int], str] = str,
    ) -> None:
        self._groups = tuple(groups)
        self._partitions = partitions
        self._judge_early = judge_early
        self._inbox = Inbox(workers)
        self._bits = PagedBits(bit_kinds(len(groups)))
        self._order = OrderJudge(len(groups) * partitions)
        self._leases = LeaseJudge(int(lease_s * 1e9))
        self._evidence = Evidence(self._groups, zero_ns, partition)
        self._tally = Tally(len(groups))

    @property
    def memory_bytes(self) -> int:
        """What it holds now, about."""
        parts = (self._inbox, self._bits, self._order, self._leases, self._evidence)
        return sum(part.memory_bytes for part in parts)

    def feed(self, records: Records) -> None:
        """Take one worker's records. Cheap: `follow` does the work."""
        self._inbox.put(records)
        self._evidence.say(records.evidence)

    def leave(self, worker: int) -> None:
        """This worker has ended, or died: the others are followed without it."""
        self._inbox.leave(worker)

    def follow(self) -> None:
        """Work through all records up to the moment that every worker has reached."""
        until_ns = self._inbox.until_ns()
        if until_ns is not None:
            self._work(until_ns)

    def counts(self) -> dict[str, Any]:
        """Where it stands, as followed: totals, and `groups` with delivered, acked, outstanding and more of each."""
        return self._tally.counts(self._groups, self._outstanding, self._inbox.rows)

    def report(self, complete: bool, dead_letters: int = 0, *, sends_complete: bool | None = None) -> LedgerReport:
        """The account of all that was fed; once, at the end.

        `complete`: all was given time to be delivered and acked, so that what is missing is lost. `sends_complete` (as
        `complete` when None): every send is on record, so that what was delivered without one is a ghost.
        """
        self._work(None)
        sends_known = complete if sends_complete is None else sends_complete
        for scan in self._bits.scan():
            for group in range(len(self._groups)):
                self._judge_pages(scan, group, complete, sends_known)
        anomalies = self._evidence.anomalies(self._is_guilty, self._bits.row_of)
        return self._tally.report(
            self._groups,
            complete=complete,
            early_judged=self._judge_early,
            dead_letters=dead_letters,
            anomalies=anomalies,
            memory_bytes=self.memory_bytes,
        )

    def _work(self, until_ns: int | None) -> None:
        sends, deliveries, settles = self._inbox.take(until_ns)
        self._take_sends(sends)
        for start in range(0, max(1, len(deliveries)), _ROWS_MAX):
            rows = deliveries[start : start + _ROWS_MAX]
            last = start + _ROWS_MAX >= len(deliveries)
            self._take_deliveries(rows, settles, until_ns if last else int(rows["at_ns"][-1]))
        self._take_settles(settles)

    def _take_sends(self, sends: Any) -> None:
        if not len(sends):
            return
        known = (sends["key"] < self._partitions) & (sends["first"] + sends["count"] <= SEQUENCE_MAX)
        if not known.all():
            raise ValueError("a send names a key or sequence out of range")
        keys, firsts = sends["key"].astype(np.int64), sends["first"].astype(np.int64)
        counts, outcomes = sends["count"].astype(np.int64), sends["outcome"]
        kinds = np.select([outcomes == UNKNOWN, outcomes == REFUSED], [UNKNOWN_BITS, REFUSED_BITS], ACCEPTED_BITS)
        self._bits.set_runs(kinds, keys, firsts, counts)
        self._tally.sent(
            sent=int(counts.sum()),
            accepted=int(counts[kinds == ACCEPTED_BITS].sum()),
            unknown=int(counts[outcomes == UNKNOWN].sum()),
            refused=int(counts[outcomes == REFUSED].sum()),
            duplicates=int(counts[outcomes == DUPLICATE].sum()),
        )
        self._evidence.sent(sends, self._bits.rows(keys, firsts))

    def _take_deliveries(self, rows: Any, settles: Any, now_ns: int | None) -> None:
        if len(rows) and int(rows["group"].max()) >= len(self._groups):
            raise ValueError("a delivery names a group that is not there")
        foreign = (rows["flags"] & FOREIGN) != 0
        foreign |= (rows["sequence"] >= SEQUENCE_MAX) | (rows["key"] >= self._partitions)
        self._mark("ghost", rows[foreign], "not a message of this run")
        rows = rows[~foreign]
        lanes = self._lanes(rows)
        order = np.argsort(lanes, kind="stable")
        rows, lanes = rows[order], lanes[order]
        new = self._first_deliveries(rows)
        whole = (rows["flags"] & CORRUPT) == 0
        self._mark("corrupt", rows[~whole], "checksum differs")
        self._judge_order(rows[whole], lanes[whole], new[whole])
        if self._judge_early:
            leased = rows["lease"] != 0
            lanes_settled = self._lanes(settles)
            early = self._leases.follow(lanes[leased], rows[leased], lanes_settled, settles, now_ns)
            self._mark_early(early)

    def _first_deliveries(self, rows: Any) -> Mask:
        """Mark rows as delivered; tells which are the first of their message. The others are judged here."""
        keys, sequences = rows["key"].astype(np.int64), rows["sequence"].astype(np.int64)
        groups, marked = rows["group"].astype(np.int64), rows["attempt"] > 1
        new = self._bits.set(kind_of(Stage.DELIVERED, groups), keys, sequences)
        self._tally.add("delivered", rows["group"][new])
        # A message that is first seen at a later attempt: its earlier delivery may still turn up, behind a slow reader.
        late = new & marked
        self._bits.set(kind_of(Stage.LATE, groups[late]), keys[late], sequences[late])
        self._tally.add("redelivered", rows["group"][~new & marked])
        for row in rows[~new & ~marked]:
            group, key, sequence = int(row["group"]), int(row["key"]), int(row["sequence"])
            kind = int(kind_of(Stage.LATE, group))
            if self._bits.test(kind, key, sequence):
                self._bits.clear(kind, key, sequence)
                self._tally.groups[group]["redelivered"] += 1
            else:
                self._mark("duplicated", [row], "delivered before")
        return new

    def _judge_order(self, rows: Any, lanes: Ints, new: Mask) -> None:
        behind = self._order.behind(lanes, rows, new)
        if not behind.any():
            return
        suspects = rows[behind]
        kinds = kind_of(Stage.SUSPECT, suspects["group"].astype(np.int64))
        self._bits.set(kinds, suspects["key"].astype(np.int64), suspects["sequence"].astype(np.int64))
        for row in suspects[:1000]:
            self._note("reordered", row, "a later message was there before")

    def _take_settles(self, settles: Any) -> None:
        inside = (settles["key"] < self._partitions) & (settles["first"] + settles["count"] <= SEQUENCE_MAX)
        settles = settles[inside & (settles["group"] < len(self._groups))]
        groups, counts = settles["group"].astype(np.int64), settles["count"].astype(np.int64)
        for outcome, stage in _SETTLED.items():
            for group in range(len(self._groups)):
                chosen = (settles["outcome"] == outcome) & (groups == group)
                if chosen.any():
                    keys, firsts = settles["key"][chosen].astype(np.int64), settles["first"][chosen].astype(np.int64)
                    new = self._bits.set_runs(int(kind_of(stage, group)), keys, firsts, counts[chosen])
                    self._tally.groups[group][stage.name.lower()] += new
        for outcome, name in ((RETRY, "retried"), (ACK_REFUSED, "ack_refused")):
            for row in settles[settles["outcome"] == outcome]:
                self._tally.groups[int(row["group"])][name] += int(row["count"])

    def _mark(self, kind: str, rows: Any, note: str) -> None:
        for row in rows:
            self._tally.groups[int(row["group"])][kind] += 1
            if not self._evidence.full(kind):
                self._note(kind, row, note)

    def _note(self, kind: str, row: Any, note: str) -> None:
        self._evidence.note(
            Found(
                kind=kind,
                group=int(row["group"]),
                key=int(row["key"]),
                sequence=int(row["sequence"]),
                at_ns=int(row["at_ns"]),
                attempt=int(row["attempt"]),
                floor=int(row["floor"]),
                note=note,
            )
        )

    def _mark_early(self, early: Any) -> None:
        for lease in early:
            group, key = divmod(int(lease["lane"]), self._partitions)
            self._tally.groups[group]["early"] += 1
            at_ns, attempt, first = int(lease["at_ns"]), int(lease["attempt"]), int(lease["first"])
            note = "the lease before was neither acked nor out of time"
            self._evidence.note(Found("early", group, key, first, at_ns=at_ns, attempt=attempt, note=note))

    def _judge_pages(self, scan: Scan, group: int, complete: bool, sends_known: bool) -> None:
        accepted, unknown = scan.pages(ACCEPTED_BITS), scan.pages(UNKNOWN_BITS)
        delivered = scan.pages(int(kind_of(Stage.DELIVERED, group)))
        settled = _settled(scan, group)
        sent, nothing = accepted | unknown, np.zeros_like(accepted)
        never = ~sent if sends_known else scan.pages(REFUSED_BITS) & ~sent
        suspects = scan.pages(int(kind_of(Stage.SUSPECT, group)))
        found = {
            "lost": accepted & ~delivered if complete else nothing,
            "unacked": delivered & sent & ~settled if complete else nothing,
            "ghost": delivered & never,
            "reordered": suspects & accepted,
            "unknown_delivered": delivered & unknown,
        }
        for kind, pages in found.items():
            self._tally.groups[group][kind + "_pages" if kind == "ghost" else kind] += count_bits(pages)
        for kind in ("lost", "unacked", "ghost"):
            for key, sequence in scan.messages(found[kind], 0 if self._evidence.full(kind) else 20):
                self._evidence.note(Found(kind, group, key, sequence))

    def _is_guilty(self, found: Found) -> bool:
        """Of those out of order only what was certainly stored: an unanswered push may take effect at any time."""
        return found.kind != "reordered" or self._bits.test(ACCEPTED_BITS, found.key, found.sequence)

    def _outstanding(self, group: int) -> int:
        """Accepted messages that are not settled, message by message."""
        return sum(count_bits(scan.pages(ACCEPTED_BITS) & ~_settled(scan, group)) for scan in self._bits.scan())

    def _lanes(self, rows: Any) -> Ints:
        lanes: Ints = rows["group"].astype(np.int64) * self._partitions + rows["key"]
        return lanes


def _settled(scan: Scan, group: int) -> Any:
    """Acked, failed on purpose, or acked without an answer."""
    stages = (Stage.ACKED, Stage.FAILED, Stage.MAYBE)
    pages = [scan.pages(int(kind_of(stage, group))) for stage in stages]
    return pages[0] | pages[1] | pages[2]
