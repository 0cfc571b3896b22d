"""Waiting for another session to get where a test needs it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.sql.client import Session

PATIENCE_S = 90.0


def until(true: Callable[[], bool], what: str) -> None:
    """Waits until a condition holds; fails the test when it does not for very long."""
    ends_at = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends_at, f"waited in vain: {what}"
        time.sleep(0.01)


def until_blocked(watcher: Session, waiter: Session) -> None:
    """Waits until a session waits for a lock of another one."""
    pid = waiter.connection.info.backend_pid
    until(lambda: bool(watcher.one("select cardinality(pg_blocking_pids(%s)) > 0", pid)), "a session is blocked")
