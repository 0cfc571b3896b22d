"""Two servers on one database act as one: work, acks, leases, options and deletions cross from one to the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.api import Api, data, segment
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

# The backstops are far away: what works here works by announcements.
NEVER = {"QUEEN_ENGINE__SWEEP_MS": "600000"}


def _size(server: EmbeddedServer, name: str) -> int:
    return int(server.metrics()["sizes"][name])


@pytest.fixture(scope="module")
def servers(module_servers: MakeServer) -> tuple[EmbeddedServer, EmbeddedServer]:
    """Two servers that know of each other; the second uses the private PostgreSQL of the first."""
    first = module_servers(**NEVER)
    first.start()
    second = module_servers(beside=first, **NEVER)
    second.start()
    for server in (first, second):
        wait_until(lambda server=server: _size(server, "peers") == 1, "both to know of each other")  # type: ignore[misc]
        wait_until(lambda server=server: _size(server, "listening") == 1, "both to listen")  # type: ignore[misc]
    return first, second


@pytest.fixture
def apis(servers: tuple[EmbeddedServer, EmbeddedServer]) -> Iterator[tuple[Api, Api]]:
    with Api(servers[0].url) as one, Api(servers[1].url) as two:
        yield one, two
    for server in servers:
        server.check_unharmed()


class Poll(threading.Thread):
    """A waiting pop on a connection of its own; `batch` and `ended_at` when it is over."""

    def __init__(self, server: EmbeddedServer, pop: Callable[[Api], dict[str, Any]]) -> None:
        super().__init__()
        self._server, self._pop = server, pop
        self.batch: dict[str, Any] = {}
        self.ended_at = 0.0
        before = server.parked_polls()
        self.start()
        wait_until(lambda: server.parked_polls() == before + 1, "the poll to be parked")

    def run(self) -> None:
        with Api(self._server.url) as api:
            self.batch = self._pop(api)
            self.ended_at = time.monotonic()

    def ended(self, since: float) -> float:
        """Wait for its end; the seconds since then."""
        self.join(60)
        assert self.ended_at, "the poll did not end"
        return self.ended_at - since


def test_one_of_two_leads(servers: tuple[EmbeddedServer, EmbeddedServer]) -> None:
    assert sorted(_size(server, "leading") for server in servers) == [0, 1]


@pytest.mark.spec("R9")
def test_a_push_on_one_wakes_a_poll_on_the_other(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str
) -> None:
    times = []
    for turn in range(10):
        poll = Poll(servers[1], lambda api: api.wait_pop(queue))
        apis[0].push([{"queue": queue, "partition": str(turn % 3), "payload": turn}])
        times.append(poll.ended(time.monotonic()))
        assert data(poll.batch) == [turn]
        apis[1].settle(poll.batch)
    print(f"woken after {sorted(times)[5] * 1000:.0f} ms (median), {max(times) * 1000:.0f} ms (most)")
    assert sorted(times)[5] < 1


def test_an_ack_on_one_frees_what_the_other_handed_out(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str
) -> None:
    one, two = apis
    one.push_to(queue, range(3))
    batch = one.wait_pop(queue, batch=1)
    poll = Poll(servers[0], lambda api: api.wait_pop(queue, batch=1))
    two.settle(batch)
    print(f"woken after {poll.ended(time.monotonic()) * 1000:.0f} ms by an ack elsewhere")
    assert data(poll.batch) == [1]
    held = poll.batch
    poll = Poll(servers[1], lambda api: api.wait_pop(queue, batch=1))
    one.settle(held)
    poll.ended(time.monotonic())
    assert data(poll.batch) == [2]


def test_the_leases_of_a_killed_server_return_on_the_other(
    servers: tuple[EmbeddedServer, EmbeddedServer], module_servers: MakeServer, queue: str
) -> None:
    first = servers[0]
    third = module_servers(beside=first, **NEVER)
    third.start()
    with Api(first.url) as one, Api(third.url) as three:
        one.push_to(queue, range(3))
        assert data(three.wait_pop(queue, batch=2, leaseSeconds=3)) == [0, 1]
        poll = Poll(first, lambda api: api.wait_pop(queue, batch=10))
        killed_at = time.monotonic()
        third.kill()
        print(f"back {poll.ended(killed_at):.1f} s after the kill, of a lease of 3 s")
        assert data(poll.batch) == [0, 1, 2]
        assert poll.batch["messages"][0]["deliveryAttempt"] == 2
        one.settle(poll.batch)
    wait_until(lambda: _size(first, "peers") == 1, "the dead server to count as gone")


@pytest.mark.spec("R30")
def test_options_set_on_one_hold_on_the_other(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str
) -> None:
    one, two = apis
    one.push_to(queue, range(20))
    two.settle(two.wait_pop(queue, batch=1))
    for number in range(5):
        one.configure(queue, leaseTime=100 + number)
        configured_at = time.monotonic()
        wait_until(lambda: _leases_last(servers[0], two, queue) == 100 + number, "the other to know")  # noqa: B023
        print(f"known elsewhere at most {(time.monotonic() - configured_at) * 1000:.0f} ms after the answer")


@pytest.mark.spec("R30")
def test_a_queue_deleted_and_made_anew_under_load_gets_nothing_under_an_old_id(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str
) -> None:
    stop = threading.Event()
    statuses: list[tuple[int, set[str]]] = []

    def load(server: EmbeddedServer) -> None:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            while not stop.is_set():
                items = [{"queue": queue, "partition": str(n), "payload": 1} for n in range(3)]
                answer = client.post("/api/v1/push", json={"items": items})
                found = {one["status"] for one in answer.json()} if answer.status_code == 201 else set()
                statuses.append((answer.status_code, found))

    threads = [threading.Thread(target=load, args=(server,)) for server in servers for _ in range(2)]
    for thread in threads:
        thread.start()
    gone: list[tuple[int, Any]] = []
    try:
        for turn in range(12):
            wait_until(lambda: servers[0].query("select 1 from queues where name = %s", queue), "the queue to be there")
            [(old, _)] = servers[0].query("select queue_id, now() from queues where name = %s", queue)
            count = len(statuses)
            apis[turn % 2].delete(f"/api/v1/resources/queues/{queue}")
            gone.append((old, servers[0].query("select clock_timestamp()")[0][0]))
            wait_until(lambda: len(statuses) > count + 8, "pushes to go on")  # noqa: B023
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert len({old for old, _ in gone}) == len(gone), "a new id each time"
    late = [
        servers[0].query("select count(*) from messages where queue_id = %s and created_at > %s", old, at)[0][0]
        for old, at in gone
    ]
    assert late == [0] * len(gone)
    assert {status for status, _ in statuses} == {201}
    assert set().union(*(found for _, found in statuses)) == {"queued"}
    stored = servers[0].query("select count(*) from messages m join queues q using (queue_id) where q.name = %s", queue)
    assert len(apis[0].drain(queue)) == stored[0][0]


def test_a_deleted_queue_ends_polls_everywhere_and_lives_on_under_its_new_id(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str
) -> None:
    apis[1].push_to(queue, range(1))
    apis[1].settle(apis[1].wait_pop(queue))
    poll = Poll(servers[1], lambda api: api.pop(queue, wait="true", timeout=60_000) or {})
    apis[0].delete(f"/api/v1/resources/queues/{queue}")
    poll.ended(time.monotonic())
    assert poll.batch == {}
    apis[0].push_to(queue, ["new"])
    assert data(apis[1].wait_pop(queue)) == ["new"]


def test_a_poll_by_namespace_is_woken_by_a_queue_that_the_other_server_creates(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api]
) -> None:
    poll = Poll(
        servers[1], lambda api: api.pop_at("/api/v1/pop", namespace="late-shop", wait="true", timeout=60_000) or {}
    )
    apis[0].push([{"queue": "late-shop.mail", "payload": "hello"}])
    print(f"woken after {poll.ended(time.monotonic()) * 1000:.0f} ms")
    assert data(poll.batch) == ["hello"]


@pytest.mark.parametrize("partition", [None, "Default"])
def test_a_seek_on_one_wakes_a_poll_on_the_other(
    servers: tuple[EmbeddedServer, EmbeddedServer], apis: tuple[Api, Api], queue: str, partition: str | None
) -> None:
    one, two = apis
    one.push_to(queue, range(3))
    assert len(two.drain(queue, "g")) == 3
    one.push([{"queue": queue, "payload": 3}])
    held = two.wait_pop(queue, consumerGroup="g")
    poll = Poll(servers[1], lambda api: api.wait_pop(queue, consumerGroup="g"))
    path = f"/api/v1/consumer-groups/g/queues/{segment(queue)}"
    path += f"/partitions/{partition}/seek" if partition else "/seek"
    sought_at = time.monotonic()
    assert one.http.post(path, json={"timestamp": "2000-01-01"}).status_code == 200
    print(f"woken after {(lasted := poll.ended(sought_at)) * 1000:.0f} ms by a seek elsewhere")
    assert lasted < 10
    assert data(poll.batch) == [0, 1, 2, 3], "what the other had leased, too"
    assert [result["success"] for result in two.ack(held["messages"])] == [False]
    two.settle(poll.batch)


def test_a_group_that_left_a_queue_on_one_begins_anew_on_the_other(apis: tuple[Api, Api], queue: str) -> None:
    one, two = apis
    one.push_to(queue, range(3))
    assert len(two.drain(queue, "g")) == 3
    assert one.delete(f"/api/v1/consumer-groups/g/queues/{segment(queue)}")["deletedPartitions"] == 1
    # A poll that began before the news ends empty, as with a group that is deleted everywhere.
    batch = two.pop(queue, consumerGroup="g", wait="true", timeout=60_000) or two.wait_pop(queue, consumerGroup="g")
    assert data(batch) == [0, 1, 2]


def _leases_last(server: EmbeddedServer, api: Api, queue: str) -> int:
    """Pop one message, give it back, and say how long its lease was, in seconds."""
    batch = api.wait_pop(queue, batch=1)
    [(seconds,)] = server.query(
        "select round(extract(epoch from c.lease_until - clock_timestamp()))::int from cursors c"
        " join partitions p using (partition_id) join queues q using (queue_id) where q.name = %s",
        queue,
    )
    api.ack(batch["messages"], "retry")
    return int(seconds)
