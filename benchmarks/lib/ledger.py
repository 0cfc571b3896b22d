"""Who was pushed, popped and acked: one byte a message and stage, and the first anomalies in words.

A message is a number. Its transaction id is the ledger's prefix and sixteen digits, thirty bytes in all.
The ledger knows nothing of HTTP; a speed is only believed when its verdict is clean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.lib.plan import Verdict

EXAMPLES_MAX = 20
GROWTH = 1 << 20
DIGITS = 16


class Delivered(Protocol):
    """What the ledger reads of a popped message."""

    @property
    def transactionId(self) -> str: ...
    @property
    def partitionId(self) -> str: ...


class Ledger:
    """Counts every message through its life. `judge_order` asks for a rising number in each partition."""

    def __init__(self, prefix: str, *, judge_order: bool) -> None:
        self.prefix = prefix
        self.judge_order = judge_order
        self.reserved = 0
        self.pushed = 0
        self.popped = 0
        self.acked = 0
        self._pushed = bytearray(GROWTH)
        self._popped = bytearray(GROWTH)
        self._acked = bytearray(GROWTH)
        self._newest: dict[str, int] = {}
        self._found = dict.fromkeys(("duplicated", "reordered", "ghost", "corrupt", "refused"), 0)
        self._examples: list[str] = []

    def reserve(self, count: int) -> int:
        """Numbers for `count` messages about to be sent; returns the first."""
        first = self.reserved
        self.reserved += count
        while self.reserved > len(self._pushed):
            for stage in (self._pushed, self._popped, self._acked):
                stage.extend(bytes(GROWTH))
        return first

    @property
    def outstanding(self) -> int:
        """Messages sent or about to be, and not yet acked."""
        return self.reserved - self.acked

    def note_pushed(self, first: int, count: int) -> None:
        self._pushed[first : first + count] = b"\x01" * count
        self.pushed += count

    def note_popped(self, messages: Sequence[Delivered]) -> list[int]:
        """Checks one pop answer; returns the numbers of its messages, -1 for one that is not ours."""
        numbers = [self._number(message.transactionId) for message in messages]
        seen, newest = self._popped, self._newest
        for number, message in zip(numbers, messages, strict=True):
            if number < 0:
                self.anomaly("ghost", message.transactionId)
            elif seen[number]:
                self.anomaly("duplicated", message.transactionId)
            else:
                seen[number] = 1
                self.popped += 1
                partition = message.partitionId
                if number < newest.get(partition, -1) and self.judge_order:
                    self.anomaly("reordered", f"{message.transactionId} after {newest[partition]}")
                newest[partition] = number
        return numbers

    def note_acked(self, numbers: Sequence[int]) -> None:
        acked = self._acked
        for number in numbers:
            if number >= 0 and not acked[number]:
                acked[number] = 1
                self.acked += 1

    def anomaly(self, kind: str, what: str, count: int = 1) -> None:
        """Counts it; the first few are kept in words."""
        self._found[kind] += count
        if len(self._examples) < EXAMPLES_MAX:
            self._examples.append(f"{kind}: {what}")

    def verdict(self, *, complete: bool) -> Verdict:
        """`complete` says that the queue should be empty now, so that what is missing is lost."""
        lost = self._missing("lost", self._pushed, self._popped) if complete else 0
        unacked = self._missing("unacked", self._popped, self._acked) if complete else 0
        return Verdict(
            complete=complete,
            pushed=self.pushed,
            popped=self.popped,
            acked=self.acked,
            lost=lost,
            unacked=unacked,
            order_judged=self.judge_order,
            examples=self._examples,
            **self._found,
        )

    def _number(self, transaction_id: str) -> int:
        digits = transaction_id[len(self.prefix) :]
        if not transaction_id.startswith(self.prefix) or len(digits) != DIGITS or not digits.isdigit():
            return -1
        number = int(digits)
        return number if number < self.reserved else -1

    def _missing(self, kind: str, before: bytearray, after: bytearray) -> int:
        if before == after:
            return 0
        numbers = [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a and not b]
        for number in numbers[: max(0, EXAMPLES_MAX - len(self._examples))]:
            self._examples.append(f"{kind}: {self.prefix}{number:0{DIGITS}d}")
        return len(numbers)
