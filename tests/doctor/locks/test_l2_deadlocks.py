"""L2 on a real PostgreSQL: two transactions that take the same locks in different orders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from queen.doctor.catalogue import find
from queen.doctor.finding import Threshold
from tests.doctor.seen import seen_with
from tests.doctor.support import execute, flush, look, only, session

FIRST, SECOND = ("update queen.counters set next_id = next_id + 1 where name = " + name for name in ("'a'", "'b'"))


def cross(dsn: str, order: list[str], other_order: list[str]) -> int:
    """Two transactions at once that update two rows each. Returns how many were ended as victims."""
    with session(dsn) as one, session(dsn) as other, ThreadPoolExecutor(1) as thread:
        one.execute("set deadlock_timeout = '20ms'")
        one.execute(order[0])
        if order == other_order:
            rest = thread.submit(finish, other, other_order)
            return finish(one, order[1:]) + rest.result(timeout=60)
        other.execute(other_order[0])
        rest = thread.submit(finish, other, other_order[1:])
        return finish(one, order[1:]) + rest.result(timeout=60)


def finish(connection: psycopg.Connection[Any], statements: list[str]) -> int:
    try:
        for statement in statements:
            connection.execute(statement)
    except psycopg.errors.DeadlockDetected:
        connection.rollback()
        flush(connection)
        connection.rollback()
        return 1
    connection.commit()
    return 0


def test_a_deadlock_is_counted_and_one_order_ends_them(module_dsn: str) -> None:
    execute(module_dsn, "insert into queen.counters values ('a', 1), ('b', 1)")
    victims: list[int] = []
    result = look(module_dsn, "L2", during=lambda: victims.append(cross(module_dsn, [FIRST, SECOND], [SECOND, FIRST])))
    assert victims == [1]
    finding = only(result)
    assert finding.status == "warn", "one is no rate"
    assert finding.evidence["deadlocks"] == 1
    assert finding.evidence["since_reset"] == 1

    in_order = [FIRST, SECOND]
    result = look(module_dsn, "L2", during=lambda: victims.append(cross(module_dsn, in_order, in_order)))
    assert victims == [1, 0]
    assert result.status == "ok", "what was before the window does not count"


def test_several_are_critical(module_dsn: str) -> None:
    def twice() -> None:
        for _ in range(2):
            cross(module_dsn, [FIRST, SECOND], [SECOND, FIRST])

    execute(module_dsn, "insert into queen.counters values ('a', 1), ('b', 1) on conflict do nothing")
    finding = only(look(module_dsn, "L2", during=twice))
    assert (finding.status, finding.evidence["deadlocks"]) == ("crit", 2)


def test_the_thresholds_of_the_user_count() -> None:
    check = find("L2")
    rows = [{"deadlocks": [{"datname": "d", "deadlocks": count, "found_after_ms": 1000}]} for count in (0, 2)]
    for limit, statuses in (
        (Threshold(0, 1), ["crit"]),
        (Threshold(0, None), ["warn"]),
        (Threshold(13, 20), []),
        (Threshold(None, None), []),
    ):
        seen = seen_with(check, *rows, limits={"limit": limit})
        assert [finding.status for finding in check.evaluate(seen)] == statuses
