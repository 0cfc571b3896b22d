"""L3 on a real PostgreSQL: a listener that does not read, and commits that notify side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from queen.doctor.finding import Threshold
from tests.doctor.support import about, execute, look, session
from tests.support.own_cluster import OwnCluster

NOTIFY = "select pg_notify('mine', repeat('x', 7000))"
PAGE = 1 / (1 << 20)  # of the queue of 8 GiB
FULL = {"limit": Threshold(50 * PAGE, None, "of the queue")}


def test_a_listener_in_a_transaction_is_found_and_all_is_read_when_it_ends(database_dsn: str) -> None:
    with session(database_dsn, application_name="deaf") as listener:
        listener.execute("listen mine")
        listener.commit()
        listener.execute("select 1")
        # Equal texts within one transaction are sent once.
        execute(
            database_dsn,
            "do $$begin for n in 1..200 loop perform pg_notify('mine', n || repeat('x', 7000)); end loop; end$$",
        )
        finding = about(look(database_dsn, "L3", thresholds=FULL), "notification queue")
        assert 150 * PAGE < finding.evidence["used_share"] < 1000 * PAGE
        assert finding.evidence["oldest_transaction"]["application"] == "deaf"
        assert look(database_dsn, "L3").status == "ok", "a thousandth of a percent"
        listener.rollback()
        listener.execute("select 1")
        listener.rollback()
        assert look(database_dsn, "L3", thresholds=FULL).status == "ok"


@contextmanager
def notifiers(dsn: str, count: int, *statements: str) -> Iterator[None]:
    """Sessions that run a transaction of these statements again and again."""
    done = threading.Event()

    def run() -> None:
        with session(dsn) as connection:
            # Each commit takes its time, as on a slow disk.
            connection.execute("set commit_delay = 20000")
            connection.execute("set commit_siblings = 0")
            connection.commit()
            while not done.is_set():
                for statement in statements:
                    connection.execute(statement)
                connection.commit()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(10)


def test_commits_in_line_are_found_and_gone_when_one_notifies_for_all(own_cluster: OwnCluster) -> None:
    # One that waits for its disk; else commit_delay would delay nothing.
    database_dsn = own_cluster.dsn
    own_cluster.execute("create table if not exists written (at timestamptz)")
    write = "insert into written values (now())"
    with notifiers(database_dsn, 4, write, NOTIFY):
        finding = about(look(database_dsn, "L3", window_s=1.0), "commits with notifications")
    assert finding.status == "crit"
    assert finding.evidence["share"] > 0.3
    assert (finding.at_stake.kind, finding.at_stake.method) == ("bound", "wait share")
    with notifiers(database_dsn, 1, write, NOTIFY), notifiers(database_dsn, 3, write):
        assert look(database_dsn, "L3", window_s=0.5).status == "ok"
