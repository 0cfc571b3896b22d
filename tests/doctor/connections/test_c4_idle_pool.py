"""C4 with a real server whose pool grew in a burst, and then had nothing to do for an hour.

Nobody waits for the hour: the server begins with a clock that is more than an hour behind, and gets the right one after
the burst. All that it counted is counted as ever.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg

from queen.doctor.finding import Threshold
from tests.doctor.connections.conftest import MakeServer
from tests.doctor.support import look, only
from tests.support.fix_preload import OtherClock
from tests.support.server import Server, wait_until

SOON = {"age": Threshold(0.0, None, "s")}
LATE = {"age": Threshold(7_200.0, None, "s")}
CALLS = 24
OVER_AN_HOUR_S = 3_700


def test_connections_that_a_burst_left_open_are_found_once_nobody_used_them_for_an_hour(
    dsn: str, serve: MakeServer, other_clock: OtherClock
) -> None:
    other_clock.shift(-OVER_AN_HOUR_S)
    server = serve(dsn, DB_POOL_SIZE="30", **other_clock.environment)
    burst(dsn, server)
    assert look(dsn, "C4", url=server.url).status == "ok", "they were used in this hour"
    other_clock.shift(0)
    finding = only(look(dsn, "C4", url=server.url))
    assert finding.status == "warn"
    assert finding.evidence["open"] >= CALLS
    assert finding.evidence["peak_since_start"] >= CALLS // 2, "the last ones may have come when the first had gone"
    peak = finding.evidence["peak_last_hour"]
    assert peak <= 3, "the server's own work"
    assert finding.evidence["enough"] == max(4, 2 * peak)
    assert finding.fix is not None
    assert f"DB_POOL_SIZE={finding.evidence['enough']}" in finding.fix.apply[0]
    assert look(dsn, "C4", url=server.url, thresholds=LATE).status == "ok", "it is too young to say"
    server.terminate()
    small = serve(dsn, DB_POOL_SIZE=str(finding.evidence["enough"]), HIGH_PERF="true")
    assert look(dsn, "C4", url=small.url, thresholds=SOON).status == "ok"


def burst(dsn: str, server: Server) -> None:
    """Calls that all need a connection at once: the pool grows."""
    with ThreadPoolExecutor(CALLS) as threads, psycopg.connect(dsn) as locker:
        locker.execute("lock table queen.queues in access exclusive mode")
        calls = [threads.submit(httpx.get, f"{server.url}/api/v1/resources/queues", timeout=60) for _ in range(CALLS)]
        wait_until(lambda: server.metrics()["database"]["openConnections"] >= CALLS, "the pool to grow")
        locker.rollback()
        assert all(call.result().status_code == 200 for call in calls)
