"""C4 with a real server whose pool grew in a burst. The quiet hour after it is put into what the server said: nobody
waits for one here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import psycopg

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.server import ServerSample
from queen.doctor.probes.server import look as look_at
from tests.doctor.connections.conftest import MakeServer
from tests.doctor.support import look
from tests.support.server import wait_until

SOON = {"age": Threshold(0.0, None, "s")}
CALLS = 24


def test_connections_that_a_burst_left_open_are_found_once_nobody_uses_them(dsn: str, serve: MakeServer) -> None:
    server = serve(dsn, DB_POOL_SIZE="30")
    with ThreadPoolExecutor(CALLS) as threads, psycopg.connect(dsn) as locker:
        locker.execute("lock table queen.queues in access exclusive mode")
        calls = [threads.submit(httpx.get, f"{server.url}/api/v1/resources/queues", timeout=60) for _ in range(CALLS)]
        wait_until(lambda: server.metrics()["database"]["openConnections"] >= CALLS, "the pool to grow")
        locker.rollback()
        assert all(call.result().status_code == 200 for call in calls)
    assert look(dsn, "C4", url=server.url, thresholds=SOON).status == "ok", "they were used in this hour"
    sample = look_at(server.url)
    assert sample is not None
    (finding,) = evaluate(quiet(sample, peak=2))
    assert finding.status == "warn"
    assert finding.evidence["open"] >= CALLS
    assert finding.evidence["peak_since_start"] >= CALLS // 2, "the last ones may have come when the first had gone"
    assert (finding.evidence["peak_last_hour"], finding.evidence["enough"]) == (2, 4)
    assert list(evaluate(quiet(sample, peak=2), find("C4").thresholds)) == [], "the server is too young to say"
    assert finding.fix is not None
    assert "DB_POOL_SIZE=4" in finding.fix.apply[0]
    server.terminate()
    small = serve(dsn, DB_POOL_SIZE="4", HIGH_PERF="true")
    assert look(dsn, "C4", url=small.url, thresholds=SOON).status == "ok"


def quiet(sample: ServerSample, peak: int) -> ServerSample:
    """The same after an hour in which hardly anything happened."""
    history = dict(sample.history)
    history["connections"] = {**history["connections"], "peakLastHour": peak}
    return replace(sample, status={**sample.status, "history": history})


def evaluate(sample: ServerSample, limits: Mapping[str, Threshold] | None = None) -> Iterable[Finding]:
    seen: Any = Seen.__new__(Seen)
    object.__setattr__(seen, "server", sample)
    object.__setattr__(seen, "limits", limits or {**find("C4").thresholds, **SOON})
    return find("C4").evaluate(seen)
