"""The rules of acknowledgements in plain Python: what a cursor must do, message by message.

Written from the wire contract and not from the SQL: it looks at single items where the SQL gets extremes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RANK = {"retry": 0, "failed": 1, "dlq": 2}


@dataclass
class Options:
    """What of a queue's options matters here."""

    retry_limit: int = 3
    dead_letters: bool = True
    retry_delay: bool = False


@dataclass
class Cursor:
    """One group's progress in one partition."""

    acked: int = -1
    lease: object = None
    """The id of the latest lease that did not end by an ack; expired or not."""
    live: bool = False
    held: bool = False
    """A retry delay keeps the partition back."""
    span_end: int = -1
    deliveries: int = 0
    retries: int = 0
    buried: list[tuple[int, int]] = field(default_factory=list)
    """(offset, retries at that time) of each dead letter."""

    def pop(self, head: int, batch: int, lease: object) -> tuple[int, int, int] | None:
        """(first, last, attempt) of what is handed out; lease None: acked at delivery."""
        if self.live or self.held or self.acked + 1 >= head:
            return None
        first, last = self.acked + 1, min(self.acked + batch, head - 1)
        self.span_end = last
        if lease is None:
            self.acked, self.lease, self.deliveries, self.retries = last, None, 0, 0
            return first, last, 1
        self.lease, self.live = lease, True
        self.deliveries += 1
        return first, last, self.deliveries

    def expire(self) -> None:
        """The time of the lease, or of the delay, has passed."""
        self.live = self.held = False

    def seek(self, to: int) -> None:
        """An administrator set the next place."""
        self.acked = self.span_end = to - 1
        self.deliveries = self.retries = 0
        self._release()

    def ack(self, items: list[tuple[int, str]], options: Options) -> bool:
        """(offset, status) items that may count; false when they change nothing."""
        items = [(offset, status) for offset, status in items if status == "completed" or offset > self.acked]
        if not items:
            return False
        done = max((offset for offset, status in items if status == "completed"), default=None)
        signals = [(offset, RANK[status], status) for offset, status in items if status != "completed"]
        if not signals:
            assert done is not None
            self._advance(done)
            return True
        at = min(offset for offset, *_ in signals)
        status = max((rank, status) for offset, rank, status in signals if offset == at)[1]
        base = self.acked
        if done is not None:
            base = max(base, at - 1 if done > at else done)
        self._signal(at, status, base, options)
        return True

    def _advance(self, to: int) -> None:
        self.acked = max(self.acked, to)
        if self.acked >= self.span_end:
            self._release()
            self.deliveries = self.retries = 0

    def _signal(self, at: int, status: str, base: int, options: Options) -> None:
        if status == "dlq" or (status == "failed" and self.retries >= options.retry_limit):
            if options.dead_letters:
                self.buried.append((at, self.retries))
            self.acked, self.retries = at, 0
            self._release()
            if self.acked >= self.span_end:
                self.deliveries = 0
            return
        self._release()
        self.acked = base
        if self.acked >= self.span_end:
            self.deliveries = 0
        if status == "failed":
            self.retries += 1
            self.held = options.retry_delay

    def _release(self) -> None:
        self.lease, self.live, self.held = None, False, False
