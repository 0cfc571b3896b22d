"""A vacuum that takes its time, so that others can look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.doctor.support import session

PATIENCE_S = 20.0


@contextmanager
def slow_vacuum(dsn: str, table: str, **settings: str) -> Iterator[int]:
    """VACUUM of a table by a session of its own, which sleeps after every page; ended with the block. Gives its pid."""
    with session(dsn, autocommit=True) as worker, psycopg.connect(dsn, autocommit=True) as watcher:
        for name, value in {"vacuum_cost_delay": "100", "vacuum_cost_limit": "1", **settings}.items():
            worker.execute("select set_config(%s, %s, false)", [name, value])
        pid = worker.info.backend_pid
        thread = threading.Thread(target=_vacuum, args=(worker, table), daemon=True)
        thread.start()
        try:
            await_that(watcher, "select count(*) from pg_stat_progress_vacuum where pid = %s", [pid])
            yield pid
        finally:
            watcher.execute("select pg_terminate_backend(%s)", [pid])
            thread.join(PATIENCE_S)


def await_that(connection: psycopg.Connection[Any], question: str, parameters: list[Any]) -> None:
    """Returns when the only number that the question asks for is above 0."""
    wait_until(lambda: _number(connection.execute(question, parameters)) > 0)


def wait_until(done: Callable[[], bool]) -> None:
    """Returns when it is so; fails after 20 seconds."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _number(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def _vacuum(worker: psycopg.Connection[Any], table: str) -> None:
    try:
        worker.execute(f"vacuum {table}")
    except psycopg.OperationalError:
        pass  # ended by its watcher
