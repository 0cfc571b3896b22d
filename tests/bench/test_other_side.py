"""The other side of a run: what a real server knows of anomalies, and where the run took place."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from queen.bench import surroundings
from queen.bench.other_side import VIEWS_MAX, OtherSide
from queen.bench.payload import partition_name
from queen.bench.result import Anomaly
from queen.bench.target import attached
from tests.support import bench_results
from tests.support.api import Api
from tests.support.fix_server import MakeServer

RUN = "run1"


def anomaly(partition: str, sequence: int) -> Anomaly:
    return Anomaly(kind="lost", group="", partition=partition, sequence=sequence, seen="sent at 1 s")


def test_anomalies_get_the_servers_view_and_the_surroundings_are_told(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    with Api(server.url) as api:
        item: dict[str, Any] = {
            "queue": "q",
            "partition": partition_name(2),
            "transactionId": f"{RUN}-12-7",
            "payload": 1,
        }
        api.push([item])
    found = [anomaly("12", 7), anomaly("", -1), *(anomaly("12", 8) for _ in range(VIEWS_MAX))]

    async def run() -> None:
        system = attached([server.url], server.dsn)
        around = await surroundings.look(system)
        assert around["topology"] == {"servers": 1, "colocated": True}
        assert around["postgres"]["synchronous_standbys"] == 0
        assert surroundings.changed(around, await surroundings.look(system)) == []
        zero_s = time.perf_counter_ns() // 10**9
        other = OtherSide(system, zero_s)
        await other.start()
        try:
            await other.stop()
            report = await other.explain(bench_results.ledger(anomalies=found), "q", RUN, partitions=10)
            told = other.seen(0, 2, slice_s=5, slices=1)
        finally:
            await other.close()
        first, nameless, missing, *_, last = report.anomalies
        assert (first.server or "").startswith("stored at offset 0")
        assert nameless.server is None
        assert missing.server == "not stored"
        assert last.server is None, "no more than the first are asked about"
        assert told.server is not None
        assert told.server.durability == "committed"

    asyncio.run(run())


def test_a_database_that_is_away_at_the_end_is_no_change_of_its_settings() -> None:
    start = {"postgres": {"version": "15"}, "machine": {"cpu": "x"}}
    assert surroundings.changed(start, {"postgres": None, "machine": {"cpu": "x"}}) == []
    assert surroundings.changed(start, {"postgres": {"version": "16"}}) == ["postgres.version was 15 and is 16"]
