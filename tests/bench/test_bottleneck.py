"""Each rule of the bottleneck speaks for its case, and none for a system at rest; costs divide by the messages."""

from __future__ import annotations

from typing import Any

import pytest

from queen.bench.bottleneck import Evidence, find, group_of
from queen.bench.costs import costs
from queen.bench.result import PostgresSide, ServerSide


@pytest.mark.parametrize(
    ("facts", "name", "part"),
    [
        ({"generator_busiest": 0.93}, "generator", "93 % of a core"),
        ({"generator_lag_p99_ms": 12.0, "slo_ms": 50.0}, "generator", "lag p99 12.0 ms"),
        ({"steal": 0.2}, "hypervisor", "10 %"),
        ({"machine_cpu": 1.95, "generator_cpu": 0.31}, "machine", "generator 31 %"),
        ({"server_cpu": 0.96}, "server CPU", "96 % of a core"),
        ({"postgres_cpu": 1.7, "samples": 10, "waits": {"CPU": 9, "Lock:tuple": 1}}, "PostgreSQL CPU", "90 %"),
        ({"samples": 10, "waits": {"IO:WALSync": 41, "CPU": 59}}, "WAL fsync", "41 % of samples wait in IO:WALSync"),
        ({"samples": 10, "waits": {"Lock:transactionid": 8, "CPU": 2}}, "row locks", "80 %"),
        ({"samples": 10, "waits": {"LWLock:BufferContent": 8}}, "locks inside PostgreSQL", "100 %"),
        ({"samples": 10, "waits": {"IPC:SyncRep": 8}}, "synchronous standby", "SyncRep"),
        ({"pool_in_use": 16.0, "pool_size": 16.0, "pool_waiting": 5.0}, "connection pool", "5 requests in line"),
        ({"machine_cpu": 0.9, "samples": 10, "waits": {"IO:WALSync": 2}}, "no clear one", "machine 45 % busy"),
        ({"samples": 10, "waits": {"Client:ClientRead": 90}}, "no clear one", "nothing was observed"),
    ],
)
def test_each_rule_names_its_bottleneck_with_evidence(facts: dict[str, Any], name: str, part: str) -> None:
    found = find(Evidence(cores=2, **facts))
    assert found.name == name
    assert part in found.sentence


def test_a_doubtful_generator_speaks_before_the_server() -> None:
    assert find(Evidence(cores=2, generator_busiest=0.9, server_cpu=0.99)).name == "generator"


@pytest.mark.parametrize("event", ["IO:WalSync", "IO:WALSync", "LWLock:WALWrite"])
def test_events_have_one_name_in_all_versions(event: str) -> None:
    assert group_of(event) == "WAL fsync"


def test_costs_are_per_message_and_unknown_stays_unknown() -> None:
    server = ServerSide(
        insert=None, cpu_s=2.0, rss_bytes_max=None, counters={}, rows_per_flush={}, durability=None, mode=None
    )
    tables = {"messages": {"table_bytes_grown": 300.0, "index_bytes_grown": 100.0}}
    postgres = PostgresSide(counters={"wal_bytes": 50_000.0}, tables=tables, waits={}, samples=0, cpu_s=None)
    found = costs(100, server, postgres)
    assert found is not None
    assert (found.server_cpu_us, found.wal_bytes, found.disk_bytes) == (20_000.0, 500.0, 4.0)
    assert (found.postgres_cpu_us, found.statements, found.wire_bytes) == (None, None, None)
    assert costs(0, server, postgres) is None
