"""Deadlines of parked polls in buckets, so that ten thousand of them need one timer and not ten thousand."""

from __future__ import annotations

import asyncio

from queen.engine.ready import Waiter

_BUCKET_S = 0.05


class Timers:
    """Wakes waiters when their time is up, within one bucket's width after it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buckets: dict[int, set[Waiter]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # not asked of the handle: uvloop's has no `when` if the time is now

    def add(self, at: float, waiter: Waiter) -> int:
        """Wake `waiter` at the loop time `at`. Returns the bucket, for `remove`."""
        bucket = int(at / _BUCKET_S) + 1
        self._buckets.setdefault(bucket, set()).add(waiter)
        if self._timer is None:
            self._arm()
        elif self._timer_at > bucket * _BUCKET_S:
            self._timer.cancel()
            self._arm()
        return bucket

    def remove(self, bucket: int, waiter: Waiter) -> None:
        """The waiter needs no deadline any more."""
        waiters = self._buckets.get(bucket)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._buckets[bucket]

    def _arm(self) -> None:
        self._timer = None
        if self._buckets:
            self._timer_at = min(self._buckets) * _BUCKET_S
            self._timer = self._loop.call_at(self._timer_at, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        due = [bucket for bucket in self._buckets if bucket * _BUCKET_S <= now]
        for bucket in due:
            for waiter in self._buckets.pop(bucket):
                waiter.wake(False)
        self._arm()
