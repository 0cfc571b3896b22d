"""What tests of the log share: something that writes it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from queen.doctor.finding import Result, Threshold
from tests.doctor.support import look

LOG_8MB = "select pg_logical_emit_message(false, 'test', repeat('x', 1048576)) from generate_series(1, 8)"


@contextmanager
def meanwhile(dsn: str, *statements: str) -> Iterator[None]:
    """Run the statements again and again, each time by a new session: when one ends, it tells its counters at once."""
    over = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                with psycopg.connect(dsn, autocommit=True) as connection:
                    for statement in statements:
                        connection.execute(statement.encode())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failed, failed


def look_until(dsn: str, check: str, *statuses: str, thresholds: dict[str, Threshold] | None = None) -> Result:
    """What the check says once it says one of these, or after many windows: how much goes into one, the machine
    decides."""
    for _ in range(30):
        result = look(dsn, check, window_s=1.0, thresholds=thresholds)
        if result.status in statuses:
            break
    return result
