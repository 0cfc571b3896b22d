"""C8 on a real PostgreSQL: a client that opens a session for every statement."""

from __future__ import annotations

import threading

import psycopg

from tests.doctor.support import about, look
from tests.support.server import wait_until


def test_a_client_without_a_pool_is_found_until_it_keeps_its_connection(dsn: str) -> None:
    stop = threading.Event()
    opened = []

    def reconnect() -> None:
        while not stop.is_set():
            with psycopg.connect(dsn, application_name="restless") as client:
                client.execute("select pg_sleep(0.05)")
            opened.append(1)

    threads = [threading.Thread(target=reconnect) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(opened) > 3, "the client to begin")
        finding = about(look(dsn, "C8", window_s=1.5), dsn.rsplit("/", 1)[1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert finding.status in ("warn", "crit")
    assert finding.evidence["sessions"] >= 10
    assert "restless" in {one["application"] for one in finding.evidence["young"]}
    with psycopg.connect(dsn, autocommit=True, application_name="calm") as client:
        for _ in range(20):
            client.execute("select 1")
        assert look(dsn, "C8").status == "ok"
