"""The acceptance checklist of the wire contract, a test for each line that the CORE routes can keep, in its order.

Details of each line have tests of their own elsewhere; here stands the line as a client meets it.
"""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.test_crashes import Pusher, check_stored
from tests.support.api import Api, acknowledgment, data, segment
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

_FIRST_SCRIPT = """
import asyncio, json, sys
from queen import Queen

async def main(url, name):
    seen = []
    async def handler(messages):
        seen.extend(message["data"] for message in (messages if isinstance(messages, list) else [messages]))
    async with Queen(url) as queen:
        await queen.queue(name).create()
        await queen.queue(name).push([{"data": {"n": number}} for number in range(10)])
        await queen.queue(name).limit(10).consume(handler)
        left = await queen.queue(name).pop()
    print("RESULT", json.dumps([seen, left]))

asyncio.run(main(*sys.argv[1:]))
"""


def test_01_the_public_python_client_with_default_options(
    server: EmbeddedServer, public_client: PublicClient, queue: str
) -> None:
    done = public_client.run(_FIRST_SCRIPT, server.url, queue)
    assert done.returncode == 0, done.stderr
    assert f"RESULT [{[{'n': number} for number in range(10)]}, []]".replace("'", '"') in done.stdout
    assert done.stderr == "", "warnings and errors go there"


def test_02_duplicates(api: Api, queue: str) -> None:
    item = {"queue": queue, "payload": 1, "transactionId": "t"}
    with ThreadPoolExecutor(8) as threads:
        results = [result for [result] in threads.map(api.push, [[item]] * 8)]
    assert sorted(result["status"] for result in results) == ["duplicate"] * 7 + ["queued"]
    assert len({result["message_id"] for result in results}) == 1
    assert len(api.drain(queue)) == 1


def test_03_a_waiting_pop_gets_a_message_of_the_same_server(api: Api, server: EmbeddedServer, queue: str) -> None:
    _wakes(api, api, server, queue)


def test_03_a_waiting_pop_gets_a_message_of_another_server(make_server: MakeServer, queue: str) -> None:
    one = make_server()
    one.start()
    two = make_server(beside=one)
    two.start()
    with Api(one.url) as here, Api(two.url) as there:
        _wakes(here, there, two, queue)


def _wakes(pushing: Api, polling: Api, polled: EmbeddedServer, queue: str) -> None:
    """The fastest of three counts: one may meet a busy machine. The bound of 100 ms is that of the contract."""
    delays = []
    with ThreadPoolExecutor(1) as threads:
        for number in range(3):
            waiting = threads.submit(_pop_and_look_at_the_clock, polling, queue)
            wait_until(lambda: polled.parked_polls() == 1, "the poll to be parked")
            pushing.push([{"queue": queue, "payload": number}])
            committed = time.monotonic()
            value, at = waiting.result()
            assert value == number
            delays.append(at - committed)
    assert min(delays) < 0.1, delays


def _pop_and_look_at_the_clock(api: Api, queue: str) -> tuple[Any, float]:
    batch = api.wait_pop(queue)
    at = time.monotonic()
    api.settle(batch)
    return data(batch)[0], at


def test_04_groups_are_independent_and_new_ones_may_start_at_new_messages(api: Api, queue: str) -> None:
    api.push_to(queue, ["old"])
    assert api.pop(queue, consumerGroup="late", subscriptionMode="new") is None
    api.push([{"queue": queue, "payload": "new"}])
    read = {name: [message["data"] for message in api.drain(queue, name)] for name in ("one", "two", "late")}
    assert read == {"one": ["old", "new"], "two": ["old", "new"], "late": ["new"]}


def test_05_a_lease_that_ends_gives_its_messages_back(api: Api, queue: str) -> None:
    api.push_to(queue, ["m"])
    first = api.pop(queue, leaseSeconds=1)
    assert first is not None
    again = api.wait_pop(queue, leaseSeconds=60)
    assert (data(again), again["messages"][0]["deliveryAttempt"]) == (["m"], 2)
    [late] = api.ack(first["messages"])
    assert (late["success"], bool(late["error"])) == (False, True)
    [without] = api.ack_items([{**acknowledgment(first["messages"][0]), "leaseId": None}])
    assert (without["success"], without["error"]) == (True, None)


def test_06_a_message_that_always_fails_becomes_a_dead_letter(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=2)
    api.push_to(queue, ["poison"])
    deliveries = 0
    while (batch := api.pop(queue)) is not None:
        deliveries += 1
        api.ack(batch["messages"], "failed", f"error {deliveries}")
    assert deliveries == 3
    [letter] = api.dead_letters(queue=queue)["messages"]
    assert (letter["data"], letter["errorMessage"]) == ("poison", "error 3")
    assert api.http.post(f"/api/v1/dlq/{letter['id']}/replay").json()["result"] == "moved"
    assert data(api.pop(queue) or {}) == ["poison"]


def test_07_a_batch_that_fails_twice_and_then_completes(api: Api, queue: str) -> None:
    api.push_to(queue, range(100))
    for status in ("failed", "failed", "completed"):
        batch = api.pop(queue, batch=100)
        assert batch is not None
        assert data(batch) == list(range(100))
        api.ack(batch["messages"], status)
    assert api.pop(queue) is None
    assert api.dead_letters(queue=queue)["messages"] == []


def test_08_one_lease_over_three_partitions(api: Api, queue: str) -> None:
    for name in "abcd":
        api.push_to(queue, range(5), name)
    batch = api.pop(queue, partitions=3, batch=12)
    assert batch is not None
    assert (len(batch["messages"]), batch["partitionsClaimed"]) == (12, 3)
    assert {message["leaseId"] for message in batch["messages"]} == {batch["leaseId"]}
    assert len({message["partitionId"] for message in batch["messages"]}) == 3
    assert api.extend(batch["leaseId"])["renewed"] == 3


@pytest.mark.parametrize("trouble", [None, "expired", "duplicate"])
def test_09_an_ack_and_a_push_happen_both_or_not_at_all(api: Api, queue: str, trouble: str | None) -> None:
    out = f"{queue}.out"
    api.push_to(queue, ["in"])
    api.push([{"queue": out, "payload": 0, "transactionId": "there"}])
    batch = api.pop(queue, leaseSeconds=1 if trouble == "expired" else 60)
    assert batch is not None
    held = api.wait_pop(queue, leaseSeconds=60) if trouble == "expired" else batch
    push = {"queue": out, "payload": 1, "transactionId": "there" if trouble == "duplicate" else "new"}
    ack = {"type": "ack", **acknowledgment(batch["messages"][0])}
    bundle = {"operations": [ack, {"type": "push", "items": [push]}], "requiredLeases": [batch["leaseId"]]}
    answer = api.http.post("/api/v1/transaction", json=bundle)
    assert (answer.status_code, answer.json()["success"]) == (200, trouble is None)
    assert len(api.drain(out)) == (2 if trouble is None else 1)
    [settled] = api.ack(held["messages"])
    if trouble is None:
        assert settled["success"] is False or settled["noop"] is True, "the message was acknowledged by the bundle"
    else:
        assert (settled["success"], settled["noop"]) == (True, False)


def test_10_empty_pops_keep_their_connection(server: EmbeddedServer, queue: str) -> None:
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.connect()
    socket_ = connection.sock
    for _ in range(200):
        connection.request("GET", f"/api/v1/pop/queue/{segment(queue)}")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        assert answer.getheader("content-type") is answer.getheader("content-length") is None
        assert connection.sock is socket_, "the connection was dropped"
    connection.close()


def test_11_posts_without_a_body(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    batch = api.pop(queue)
    assert batch is not None
    for body in (b"", b"{}"):
        assert api.extend(batch["leaseId"], body)["success"] is True


@pytest.mark.parametrize("name", ["a/b", "100%", "two words", "bee \N{HONEYBEE}", "%2F"])
def test_12_names_of_every_kind(api: Api, name: str) -> None:
    queue = f"checklist {name}"
    api.push([{"queue": queue, "partition": name, "payload": 1}])
    batch = api.pop(queue, name, consumerGroup=name)
    assert batch is not None
    assert (batch["queue"], batch["partition"], batch["consumerGroup"]) == (queue, name, name)
    api.settle(batch)
    assert api.get(f"/api/v1/resources/queues/{segment(queue)}")["name"] == queue
    assert api.delete(f"/api/v1/consumer-groups/{segment(name)}")["success"] is True
    assert api.delete(f"/api/v1/resources/queues/{segment(queue)}")["existed"] is True


@pytest.mark.parametrize(
    "payload", [None, {}, [], "x", 0, {"large": "x" * (1 << 20)}], ids=lambda value: str(value)[:9]
)
def test_13_payloads_of_every_kind(api: Api, queue: str, payload: Any) -> None:
    api.push_to(queue, [payload])
    assert [message["data"] for message in api.drain(queue)] == [payload]


def test_13_ten_thousand_messages_in_pushes_of_a_thousand(api: Api, queue: str) -> None:
    for start in range(0, 10_000, 1000):
        api.push([{"queue": queue, "payload": number} for number in range(start, start + 1000)])
    assert [message["data"] for message in api.drain(queue)] == list(range(10_000))


def test_14_a_kill_loses_nothing_acknowledged_and_skips_nothing_else(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    pusher = Pusher(server.url, queue)
    pusher.start()
    try:
        pusher.wait_for_more()
        with Api(server.url) as api:
            batch = api.pop(queue, batch=5, consumerGroup="reader")
            assert batch is not None
            assert [result["success"] for result in api.ack(batch["messages"][:2])] == [True, True]
        server.kill()
        server.start()
        pusher.wait_for_more()
    finally:
        pusher.stop()
    check_stored(server, queue, pusher)
    with Api(server.url) as api:
        assert [message["data"] for message in _rest(api, queue, batch)][:5] == [2, 3, 4, 5, 6]


def _rest(api: Api, queue: str, batch: dict[str, Any]) -> list[dict[str, Any]]:
    """What the group of a lease gets once the lease is given back; any server takes it back."""
    [result] = api.ack(batch["messages"][2:3], "retry")
    assert result["success"] is True
    return api.drain(queue, "reader")


def test_15_metrics_by_accept(api: Api) -> None:
    assert api.http.get("/metrics").json()["database"]["poolSize"] > 0
    text = api.http.get("/metrics", headers={"accept": "text/plain;version=0.0.4"})
    assert text.headers["content-type"].startswith("text/plain")
    assert "# TYPE queen_" in text.text
