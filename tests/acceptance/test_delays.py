"""Messages that wait, over HTTP: delayed and windowed queues, pops that fill, and messages that are scheduled."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import Api, data
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


def in_seconds(seconds: float) -> str:
    """A time to come, as text."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def when(message: dict[str, Any]) -> datetime:
    """When a message says that it was stored."""
    return datetime.fromisoformat(message["createdAt"])


# Queues that hold back.


def test_a_waiting_pop_gets_a_delayed_message_when_it_is_old_enough(api: Api, queue: str) -> None:
    api.configure(queue, delayedProcessing=1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.wait_pop, queue)
        api.push_to(queue, ["a"])
        assert api.pop(queue) is None
        message = waiting.result()["messages"][0]
        late = datetime.now(UTC) - when(message)
    assert message["data"] == "a"
    assert timedelta(seconds=1) <= late < timedelta(seconds=30)


def test_a_shorter_delay_counts_for_what_is_stored(api: Api, queue: str) -> None:
    api.configure(queue, delayedProcessing=86_400)
    api.push_to(queue, ["a", "b"])
    assert api.pop(queue) is None
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.wait_pop, queue)
        api.configure(queue, delayedProcessing=0)
        assert data(waiting.result()) == ["a", "b"]


def test_a_window_lets_all_go_together(api: Api, queue: str) -> None:
    api.configure(queue, windowBuffer=1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.wait_pop, queue)
        for name in ("a", "b", "c"):
            api.push([{"queue": queue, "payload": name}])
        batch = waiting.result()
        opened_at = datetime.now(UTC)
    assert data(batch)[:1] == ["a"]
    assert opened_at - when(batch["messages"][0]) >= timedelta(seconds=1)


def test_a_waiting_pop_is_held_until_it_is_full(api: Api, queue: str) -> None:
    api.configure(queue, minPopWaitTime=60_000)
    api.push([{"queue": queue, "payload": 0}])
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.wait_pop, queue, batch=3)
        for number in (1, 2):
            api.push([{"queue": queue, "payload": number}])
        assert data(waiting.result()) == [0, 1, 2]
    api.push([{"queue": queue, "payload": 3}])
    other = api.pop(queue, batch=3, consumerGroup="other", wait="false")
    assert other is not None
    assert data(other) == [0, 1, 2]


# Scheduled messages.


def test_a_scheduled_message_comes_when_it_is_due_under_the_id_that_was_announced(api: Api, queue: str) -> None:
    items: list[dict[str, Any]] = [
        {"payload": "later", "transactionId": "t", "delaySeconds": 1.5},
        {"payload": "now"},
        {"payload": "past", "scheduledAt": "2020-01-01T00:00:00Z"},
    ]
    pushed_at = datetime.now(UTC)
    results = api.push([{"queue": queue, **item} for item in items])
    assert [result["status"] for result in results] == ["queued"] * 3
    assert len({result["message_id"] for result in results}) == 3
    batch = api.pop(queue)
    assert batch is not None
    assert data(batch) == ["now", "past"]
    api.settle(batch)
    assert api.queue_totals(queue)["total"] == 2
    [message] = api.wait_pop(queue)["messages"]
    assert (message["data"], message["id"]) == ("later", results[0]["message_id"])
    assert when(message) - pushed_at >= timedelta(seconds=1.5)
    [again] = api.push([{"queue": queue, "payload": "x", "transactionId": "t"}])
    assert (again["status"], again["message_id"]) == ("duplicate", results[0]["message_id"])
    [acked] = api.ack([message], "dlq")
    assert acked["dlq"] is True
    [letter] = api.dead_letters(queue=queue)["messages"]
    assert letter["messageId"] == results[0]["message_id"]


def test_a_transaction_may_schedule(api: Api, queue: str) -> None:
    item = {"queue": queue, "payload": "later", "transactionId": "t", "delaySeconds": 0.5}
    answer = api.http.post("/api/v1/transaction", json={"operations": [{"type": "push", "items": [item]}]}).json()
    assert answer["success"] is True
    [message] = api.wait_pop(queue)["messages"]
    assert (message["data"], message["id"]) == ("later", answer["results"][0]["messageId"])


def test_a_thousand_due_at_once_keep_the_order_of_their_times(api: Api, queue: str) -> None:
    first = datetime.now(UTC) + timedelta(seconds=1)
    items = [
        {
            "queue": queue,
            "partition": f"p{number % 3}",
            "payload": number,
            "scheduledAt": (first - timedelta(microseconds=number)).isoformat(),
        }
        for number in range(1000)
    ]
    api.push(items)
    found: dict[str, list[int]] = {}
    while sum(map(len, found.values())) < 1000:
        batch = api.wait_pop(queue, batch=1000)
        found.setdefault(batch["partition"], []).extend(data(batch))
        api.settle(batch)
    assert found == {f"p{n}": sorted(range(n, 1000, 3), reverse=True) for n in range(3)}


def test_a_deleted_queue_forgets_what_was_scheduled(api: Api, queue: str, server: EmbeddedServer) -> None:
    api.push([{"queue": queue, "payload": 1, "transactionId": "t", "delaySeconds": 1}])
    api.delete(f"/api/v1/resources/queues/{queue}")
    [fresh] = api.push([{"queue": queue, "payload": 2, "transactionId": "t"}])
    assert fresh["status"] == "queued"
    # Its row goes when it is due.
    wait_until(
        lambda: server.query("select count(*) from queen.messages where status = 'scheduled'") == [(0,)],
        "the scheduled message to go",
    )
    assert [message["data"] for message in api.drain(queue)] == [2]


def test_a_restart_between_push_and_due_loses_nothing(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    with Api(server.url) as api:
        [near, far] = api.push(
            [
                {"queue": "q", "payload": "near", "scheduledAt": in_seconds(1)},
                {"queue": "q", "payload": "far", "scheduledAt": in_seconds(3600)},
            ]
        )
    server.kill()
    time.sleep(1)  # It becomes due while nobody is there.
    server.start()
    with Api(server.url) as api:
        [message] = api.wait_pop("q")["messages"]
        assert (message["data"], message["id"]) == ("near", near["message_id"])
        assert far["message_id"] != near["message_id"]
        assert server.query("select status::text from queen.messages order by 1") == [("pending",), ("scheduled",)]


def test_two_servers_place_each_message_once(make_server: MakeServer) -> None:
    first = make_server(QUEEN_ENGINE__SWEEP_MS="200")
    first.start()
    second = make_server(beside=first, QUEEN_ENGINE__SWEEP_MS="200")
    second.start()
    with Api(first.url) as one, Api(second.url) as other:
        for api, name in ((one, "a"), (other, "b")):
            api.push(
                [
                    {"queue": "q", "partition": f"p{n % 5}", "payload": f"{name}{n}", "delaySeconds": 0.2 + n % 7 / 5}
                    for n in range(200)
                ]
            )
        found: list[str] = []
        while len(found) < 400:
            batch = one.wait_pop("q", batch=100, partitions=0)
            found += data(batch)
            one.settle(batch)
        assert sorted(found) == sorted(f"{name}{n}" for name in "ab" for n in range(200))
        assert one.drain("q") == []
    rows = first.query(
        'select count(*), count(distinct (partition_id, "offset")), count(*) filter (where "offset" < 0)'
        " from queen.messages"
    )
    assert rows == [(400, 400, 0)]
