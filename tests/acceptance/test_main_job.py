"""The main job on real input: every flight is stored once and delivered in order to two groups, while the server is
killed twice in the middle of the work.

What is proved, from the database and from what the consumers got: each record is stored exactly once; none is lost;
each airport's flights keep their order, in the database and as each group first saw them; and what a group saw twice
was under a lease at the moment of a kill (or its consumer was slower than its lease, which the test notices).
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import defaultdict
from itertools import groupby
from typing import Any

import httpx
import pytest

from tests.support.api import Api, acknowledgment
from tests.support.fix_server import MakeServer
from tests.support.flights import read_flights
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

QUEUE, GROUPS, CONSUMERS = "flights.departed", ("board", "billing"), 4
LEASE_S = 2
PUSH, POP = 150, 100

Key = tuple[str, str, str]
"""(group, airport, transaction id)"""


class Run:
    """What producer and consumers share."""

    def __init__(self, server: EmbeddedServer, records: list[dict[str, str]]) -> None:
        self.url = server.url
        self.records = records
        self.pushed = 0
        self.duplicates = 0
        self.stopping = threading.Event()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self.seen: dict[str, dict[str, list[str]]] = {group: defaultdict(list) for group in GROUPS}
        self.again: set[Key] = set()
        self.slow: set[Key] = set()
        self.data: dict[str, Any] = {}
        self._known: set[Key] = set()

    def deliver(self, group: str, messages: list[dict[str, Any]]) -> None:
        """Note what a consumer got; it acknowledges afterwards."""
        with self._lock:
            for message in messages:
                key = (group, message["partition"], message["transactionId"])
                if key in self._known:
                    self.again.add(key)
                else:
                    self._known.add(key)
                    self.seen[group][message["partition"]].append(message["transactionId"])
                    self.data[message["transactionId"]] = message["data"]

    def be_slow(self, group: str, messages: list[dict[str, Any]]) -> None:
        """This consumer may have been slower than its lease."""
        with self._lock:
            self.slow |= {(group, message["partition"], message["transactionId"]) for message in messages}

    def count(self, group: str) -> int:
        """How many records a group has seen."""
        with self._lock:
            return sum(len(ids) for ids in self.seen[group].values())


def produce(run: Run) -> None:
    """Push all records in order; what gets no answer is pushed again under the same transaction ids."""
    with httpx.Client(base_url=run.url, timeout=60) as client:
        for start in range(0, len(run.records), PUSH):
            items = [
                {"queue": QUEUE, "partition": record["dest"], "transactionId": str(start + place), "payload": record}
                for place, record in enumerate(run.records[start : start + PUSH])
            ]
            results = _repeat(lambda body={"items": items}: client.post("/api/v1/push", json=body), run)
            if results is None:
                return
            statuses = [result["status"] for result in results.json()]
            run.duplicates += statuses.count("duplicate")
            if set(statuses) - {"queued", "duplicate"}:
                run.failures.append(f"push answered {set(statuses)}")
            run.pushed = start + len(items)


def consume(run: Run, group: str) -> None:
    """Pop, note, acknowledge, until told to stop. An ack without an answer is left to the lease."""
    parameters: dict[str, str | int] = {"consumerGroup": group, "batch": POP, "partitions": 8}
    parameters |= {"wait": "true", "timeout": 1000}
    with httpx.Client(base_url=run.url, timeout=60) as client:
        while not run.stopping.is_set():
            began = time.monotonic()
            answer = _once(lambda: client.get(f"/api/v1/pop/queue/{QUEUE}", params=parameters), run, 200, 204)
            if answer is None or answer.status_code == 204:
                continue
            messages = answer.json()["messages"]
            run.deliver(group, messages)
            body = {"consumerGroup": group, "acknowledgments": [acknowledgment(message) for message in messages]}
            _once(lambda body=body: client.post("/api/v1/ack/batch", json=body), run, 200)
            if time.monotonic() - began >= LEASE_S:
                run.be_slow(group, messages)


def _once(call: Any, run: Run, *expected: int) -> httpx.Response | None:
    """One try; None when the server is away or starting. Any other answer than expected is a failure."""
    try:
        answer: httpx.Response = call()
    except httpx.TransportError:
        time.sleep(0.05)
        return None
    if answer.status_code == 503:
        time.sleep(0.05)
        return None
    if answer.status_code not in expected:
        run.failures.append(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
        run.stopping.set()
        return None
    return answer


def _repeat(call: Any, run: Run) -> httpx.Response | None:
    while not run.stopping.is_set():
        answer = _once(call, run, 201)
        if answer is not None:
            return answer
    return None


def kill_at_work(server: EmbeddedServer) -> set[Key]:
    """Freeze the server, read from the database what is leased, kill the server, start it again."""
    leased: set[Key] = set()
    wait_until(lambda: _freeze_with_leases(server, leased), "a moment with leases")
    server.kill()
    server.start()
    return leased


def _freeze_with_leases(server: EmbeddedServer, leased: set[Key]) -> bool:
    os.kill(server.pid, signal.SIGSTOP)
    # What is on its way to PostgreSQL ends there, although nobody will hear of it.
    active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'queen' AND state = 'active'"
    wait_until(lambda: server.query(active) == [(0,)], "PostgreSQL to be idle")
    leased |= set(server.query(LEASED))
    if not leased:
        os.kill(server.pid, signal.SIGCONT)
    return bool(leased)


LEASED = """
SELECT c.consumer_group, p.name, m.transaction_id
  FROM cursors c JOIN partitions p USING (partition_id) JOIN messages m USING (partition_id)
 WHERE c.lease_id IS NOT NULL AND m."offset" > c.acked AND m."offset" <= c.lease_end
"""
STORED = """
SELECT p.name, m."offset", m.transaction_id, m.payload
  FROM messages m JOIN partitions p USING (partition_id) ORDER BY p.name, m."offset"
"""


@pytest.mark.parametrize("count", [12_000, pytest.param(None, marks=pytest.mark.slow)], ids=["12000", "all"])
def test_every_flight_is_stored_once_and_delivered_in_order_across_kills(
    make_server: MakeServer, count: int | None
) -> None:
    records = read_flights(count)
    assert len(records) >= 12_000
    server = make_server()
    server.start()
    with Api(server.url) as api:
        api.configure(QUEUE, leaseTime=LEASE_S)
    run = Run(server, records)
    threads = [threading.Thread(target=produce, args=(run,))]
    threads += [threading.Thread(target=consume, args=(run, group)) for group in GROUPS for _ in range(CONSUMERS)]
    for thread in threads:
        thread.start()
    leased: set[Key] = set()
    try:
        for part in (len(records) // 3, len(records) * 2 // 3):
            _wait_for_pushes(run, part)
            leased |= kill_at_work(server)
        wait_until(lambda: run.failures or _done(run, server), "all to be delivered and acknowledged")
    finally:
        run.stopping.set()
        for thread in threads:
            thread.join()
    assert run.failures == []
    check_database(server, records)
    check_deliveries(run, records)
    assert run.again <= leased | run.slow
    server.check_unharmed()


def _wait_for_pushes(run: Run, count: int) -> None:
    wait_until(lambda: run.failures or run.pushed >= count, f"{count} records to be pushed")


def _done(run: Run, server: EmbeddedServer) -> bool:
    if run.pushed < len(run.records) or any(run.count(group) < len(run.records) for group in GROUPS):
        return False
    with Api(server.url) as api:
        totals = api.queue_totals(QUEUE)
    return bool(totals["pending"] == 0)


def check_database(server: EmbeddedServer, records: list[dict[str, str]]) -> None:
    """Each record once, under its airport, in the order of the file, with nothing between."""
    rows = server.query(STORED)
    assert len(rows) == len(records)
    assert {int(row[2]) for row in rows} == set(range(len(records)))
    for airport, group in groupby(rows, key=lambda row: row[0]):
        own = list(group)
        assert [row[1] for row in own] == list(range(len(own))), airport
        numbers = [int(row[2]) for row in own]
        assert numbers == [number for number, record in enumerate(records) if record["dest"] == airport]
        assert [json.loads(row[3]) for row in own] == [records[number] for number in numbers]


def check_deliveries(run: Run, records: list[dict[str, str]]) -> None:
    """Each group saw each record, unchanged, and first saw those of an airport in the order of the file."""
    expected: dict[str, list[str]] = defaultdict(list)
    for number, record in enumerate(records):
        expected[record["dest"]].append(str(number))
    for group in GROUPS:
        assert run.seen[group] == expected, group
    assert run.data == {str(number): record for number, record in enumerate(records)}
