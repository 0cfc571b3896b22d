"""Push and pop against a real server: order, duplicates, the three pop routes, groups, waiting, partitions.

The server never sweeps on its own here, so what wakes a waiting pop is the event and not the look-around.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.api import Api, data, exchange, split_answer
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    made = module_servers(QUEEN_ENGINE__SWEEP_MS="600000")
    made.start()
    return made


def test_push_answers_each_item_in_request_order(api: Api, queue: str) -> None:
    items = [
        {"queue": queue, "partition": f"p{number % 3}", "payload": number, "transactionId": f"id-{number}"}
        for number in range(9)
    ]
    results = api.push(items)
    assert [result["transaction_id"] for result in results] == [item["transactionId"] for item in items]
    assert {result["status"] for result in results} == {"queued"}
    assert {result["queueName"] for result in results} == {queue}
    by_partition = [results[start]["partition_id"] for start in range(3)]
    assert len(set(by_partition)) == 3
    assert [result["partition_id"] for result in results] == by_partition * 3
    assert len({uuid.UUID(result["message_id"]) for result in results}) == 9


def test_push_of_nothing_is_fine(api: Api) -> None:
    assert api.push([]) == []


def test_push_mints_a_transaction_id_where_none_is_given(api: Api, queue: str) -> None:
    given: list[dict[str, Any]] = [{}, {"transactionId": None}, {"transactionId": ""}]
    results = api.push([{"queue": queue, "payload": 1, **one} for one in given])
    minted = [uuid.UUID(result["transaction_id"]) for result in results]
    assert {one.version for one in minted} == {7}
    assert len(set(minted)) == 3
    assert [message["transactionId"] for message in api.drain(queue)] == [str(one) for one in minted]


def test_no_partition_means_the_default_one(api: Api, queue: str) -> None:
    items: list[dict[str, Any]] = [{"payload": 0}, {"payload": 1, "partition": None}]
    api.push([{"queue": queue, **item} for item in [*items, {"payload": 2, "partition": "Default"}]])
    batch = api.pop(queue, "Default")
    assert batch is not None
    assert batch["partition"] == "Default"
    assert data(batch) == [0, 1, 2]


def test_a_duplicate_names_the_original(api: Api, queue: str) -> None:
    item = {"queue": queue, "transactionId": "once", "payload": "first"}
    [first] = api.push([item])
    again = api.push([{**item, "payload": "second"}, {**item, "transactionId": "other"}, item])
    assert [result["status"] for result in again] == ["duplicate", "queued", "duplicate"]
    assert again[0]["message_id"] == again[2]["message_id"] == first["message_id"]
    assert [(message["transactionId"], message["data"]) for message in api.drain(queue)] == [
        ("once", "first"),
        ("other", "first"),
    ]


def test_within_one_push_the_first_of_a_transaction_id_wins(api: Api, queue: str) -> None:
    items = [{"queue": queue, "transactionId": name, "payload": place} for place, name in enumerate("abab")]
    results = api.push(items)
    assert [result["status"] for result in results] == ["queued", "queued", "duplicate", "duplicate"]
    assert [result["message_id"] for result in results[2:]] == [result["message_id"] for result in results[:2]]
    assert [message["data"] for message in api.drain(queue)] == [0, 1]


def test_a_transaction_id_is_of_one_partition(api: Api, queue: str) -> None:
    places = [(queue, "a"), (queue, "b"), (f"{queue}.other", "a")]
    results = api.push(
        [{"queue": name, "partition": part, "transactionId": "same", "payload": 1} for name, part in places]
    )
    assert [result["status"] for result in results] == ["queued"] * 3


def test_of_duplicates_pushed_at_once_exactly_one_is_stored(api: Api, queue: str) -> None:
    items = [{"queue": queue, "transactionId": f"id-{number}", "payload": number} for number in range(50)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: api.push(items), range(8)))
    for place in range(50):
        assert sorted(answer[place]["status"] for answer in answers) == ["duplicate"] * 7 + ["queued"]
        assert len({answer[place]["message_id"] for answer in answers}) == 1
    assert sorted(message["data"] for message in api.drain(queue)) == list(range(50))


def test_without_a_window_duplicates_are_stored(api: Api, queue: str) -> None:
    api.configure(queue, dedupWindowSeconds=0)
    item = {"queue": queue, "transactionId": "same", "payload": 1}
    results = [*api.push([item, item]), *api.push([item])]
    assert [result["status"] for result in results] == ["queued"] * 3
    assert len({result["message_id"] for result in results}) == 3
    batch = api.pop(queue)
    assert batch is not None
    assert len(batch["messages"]) == 3
    api.settle(batch)
    assert api.pop(queue) is None


def test_ten_thousand_messages_come_back_in_order(api: Api, queue: str) -> None:
    for start in range(0, 10_000, 1000):
        items = [
            {"queue": queue, "transactionId": str(number), "payload": {"n": number}}
            for number in range(start, start + 1000)
        ]
        assert {result["status"] for result in api.push(items)} == {"queued"}
    found = api.drain(queue, batch=1000)
    assert [message["data"]["n"] for message in found] == list(range(10_000))
    assert [message["transactionId"] for message in found] == [str(number) for number in range(10_000)]
    times = [message["createdAt"] for message in found]
    assert times == sorted(times)


def test_one_push_may_hold_more_than_a_database_operation(api: Api, server: EmbeddedServer, queue: str) -> None:
    items = [{"queue": queue, "transactionId": str(number), "payload": number} for number in range(5000)]
    results = api.push(items)
    assert {result["status"] for result in results} == {"queued"}
    again = api.push([*items, {"queue": queue, "transactionId": "new", "payload": "new"}])
    assert [result["status"] for result in again] == ["duplicate"] * 5000 + ["queued"]
    assert [result["message_id"] for result in again[:5000]] == [result["message_id"] for result in results]
    assert [message["data"] for message in api.drain(queue, batch=10_000)] == [*range(5000), "new"]
    text = "SELECT count(DISTINCT m.xmin::text) FROM messages m JOIN queues USING (queue_id) WHERE name = %s"
    assert server.query(text, queue) == [(2,)], "each push is one transaction"


def test_a_pop_tells_what_it_got(api: Api, queue: str) -> None:
    [pushed] = api.push(
        [{"queue": queue, "partition": "depot-7", "transactionId": "scan", "payload": {"b": 1, "a": 2},
          "traceId": "01990f3e-5b1a-7c33-9d0e-2f6a1b3c4d5e"}]
    )  # fmt: skip
    batch = api.pop(queue, consumerGroup="billing")
    assert batch is not None
    lease_id = batch["leaseId"]
    assert uuid.UUID(lease_id).version == 7
    [message] = batch.pop("messages")
    assert batch == {
        "success": True,
        "queue": queue,
        "partition": "depot-7",
        "partitionId": pushed["partition_id"],
        "leaseId": lease_id,
        "consumerGroup": "billing",
        "partitionsClaimed": 1,
    }
    assert message.pop("createdAt").endswith("Z")
    assert message == {
        "id": pushed["message_id"],
        "transactionId": "scan",
        "traceId": "01990f3e-5b1a-7c33-9d0e-2f6a1b3c4d5e",
        "data": {"b": 1, "a": 2},
        "producerSub": None,
        "queue": queue,
        "partition": "depot-7",
        "partitionId": pushed["partition_id"],
        "leaseId": lease_id,
        "consumerGroup": "billing",
        "deliveryAttempt": 1,
    }


def test_a_trace_id_that_is_no_uuid_is_ignored(api: Api, queue: str) -> None:
    api.push([{"queue": queue, "payload": 1, "traceId": "request 17"}])
    batch = api.pop(queue)
    assert batch is not None
    assert batch["messages"][0]["traceId"] is None


def test_a_pop_from_one_partition_leaves_the_others(api: Api, queue: str) -> None:
    for name in ("a", "b", "c"):
        api.push_to(queue, [f"{name}0", f"{name}1"], name)
    batch = api.pop(queue, "b")
    assert batch is not None
    assert data(batch) == ["b0", "b1"]
    assert api.pop(queue, "b") is None, "it is leased"
    others = api.pop(queue, partitions=0)
    assert others is not None
    assert sorted(data(others)) == ["a0", "a1", "c0", "c1"]


def test_discovery_finds_queues_by_namespace_and_task(api: Api) -> None:
    for name in ("disco.scan.x", "disco.bill.y", "elsewhere.scan.z"):
        api.push_to(name, [name])

    def found(**filters: str) -> list[str]:
        batch = api.pop_at("/api/v1/pop", partitions=0, consumerGroup=f"g{len(filters)}{filters}", **filters)
        assert batch is not None
        assert batch["queue"] == ""
        assert [message["queue"] for message in batch["messages"]] == data(batch)
        return sorted(data(batch))

    assert found(namespace="disco") == ["disco.bill.y", "disco.scan.x"]
    assert found(task="scan") == ["disco.scan.x", "elsewhere.scan.z"]
    assert found(namespace="disco", task="scan") == ["disco.scan.x"]
    assert api.pop_at("/api/v1/pop", namespace="nobody") is None


def test_discovery_needs_a_filter(api: Api) -> None:
    answer = api.http.get("/api/v1/pop", params={"batch": 1})
    assert answer.status_code == 400
    refusal = answer.json()
    assert (refusal.pop("code"), "namespace" in refusal.pop("hint")) == ("bad_request", True)
    assert refusal == {"success": False, "error": "namespace or task is required", "messages": []}


def test_a_waiting_discovery_pop_wakes(api: Api, server: EmbeddedServer) -> None:
    api.configure_with({"queue": "waits.here", "namespace": "waits"})
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(api.pop_at, "/api/v1/pop", namespace="waits", wait="true", timeout=60_000)
        wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
        api.push_to("waits.here", ["hello"])
        batch = waiting.result()
    assert batch is not None
    assert data(batch) == ["hello"]


def test_queue_mode_and_groups_read_everything_independently(api: Api, queue: str) -> None:
    api.push_to(queue, range(20))
    for group in ("billing", "audit", None):
        assert [message["data"] for message in api.drain(queue, group)] == list(range(20))
        assert api.pop(queue, consumerGroup=group or "") is None
    api.push([{"queue": queue, "payload": "late"}])
    for group in ("billing", "audit", None):
        assert [message["data"] for message in api.drain(queue, group)] == ["late"]


@pytest.mark.parametrize("start", [{"subscriptionMode": "new"}, {"subscriptionFrom": "now"}], ids=str)
def test_a_group_that_starts_with_new_messages_reads_nothing_old_and_all_new(
    api: Api, queue: str, start: dict[str, str]
) -> None:
    api.push_to(queue, ["old"], "a")
    assert api.pop(queue, consumerGroup="late", **start) is None
    api.push([{"queue": queue, "partition": name, "payload": f"new {name}"} for name in ("a", "b")])
    assert sorted(message["data"] for message in api.drain(queue, "late")) == ["new a", "new b"]
    assert api.pop(queue, consumerGroup="late", subscriptionMode="all") is None, "a later mode changes nothing"


def test_a_group_may_start_at_a_time(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, ["before"])
    [(moment,)] = server.query("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
    api.push([{"queue": queue, "payload": "after"}])
    batch = api.pop(queue, consumerGroup="since", subscriptionFrom=moment)
    assert batch is not None
    assert data(batch) == ["after"]
    unreadable = api.pop(queue, consumerGroup="all", subscriptionFrom="yesterday evening")
    assert unreadable is not None
    assert data(unreadable) == ["before", "after"]


def test_a_pop_creates_the_queue_and_registers_the_group(api: Api, server: EmbeddedServer, queue: str) -> None:
    assert api.pop(queue, consumerGroup="early", subscriptionMode="new") is None
    assert api.queue_totals(queue)["total"] == 0
    text = "SELECT consumer_group, mode FROM subscriptions JOIN queues USING (queue_id) WHERE name = %s"
    assert server.query(text, queue) == [("early", "new")]
    api.push_to(queue, ["first"])
    batch = api.pop(queue, consumerGroup="early")
    assert batch is not None
    assert data(batch) == ["first"]


def test_a_pop_without_a_group_creates_the_queue_too_and_the_partition_it_names(api: Api, queue: str) -> None:
    path = f"/api/v1/resources/queues/{queue}"
    assert api.http.get(path).status_code == 404
    assert api.http.get(path).status_code == 404, "asking about it does not create it"
    assert api.pop(queue) is None
    assert api.get(path)["partitions"] == []
    assert api.pop(queue, "p") is None
    assert [one["name"] for one in api.get(path)["partitions"]] == ["p"]


def test_auto_ack_delivers_once_and_takes_no_lease(api: Api, queue: str) -> None:
    api.push_to(queue, range(5))
    batch = api.pop(queue, batch=3, autoAck="true")
    assert batch is not None
    assert batch["leaseId"] == ""
    assert [(message["leaseId"], message["deliveryAttempt"]) for message in batch["messages"]] == [("", 1)] * 3
    rest = api.pop(queue, autoAck="yes")
    assert rest is not None
    assert data(batch) + data(rest) == list(range(5))
    assert api.pop(queue) is None


def test_a_waiting_pop_gets_a_message_pushed_later(api: Api, server: EmbeddedServer, queue: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        anywhere = threads.submit(api.wait_pop, queue, consumerGroup="a")
        there = threads.submit(api.wait_pop, queue, "there", consumerGroup="b")
        other = threads.submit(api.wait_pop, queue, "not there", consumerGroup="c")
        wait_until(lambda: server.parked_polls() == 3, "the polls to be parked")
        api.push_to(queue, ["hello"], "there")
        assert data(anywhere.result()) == data(there.result()) == ["hello"]
        wait_until(lambda: server.parked_polls() == 1, "the others to be gone")
        api.push_to(queue, ["for it"], "not there")
        assert data(other.result()) == ["for it"], "a poll for another partition goes on waiting"


def test_one_push_wakes_as_many_waiting_pops_as_there_are_partitions(
    api: Api, server: EmbeddedServer, queue: str
) -> None:
    with ThreadPoolExecutor(6) as threads:
        waiting = [threads.submit(api.wait_pop, queue) for _ in range(6)]
        wait_until(lambda: server.parked_polls() == 6, "the polls to be parked")
        api.push([{"queue": queue, "partition": str(number), "payload": number} for number in range(6)])
        batches = [future.result() for future in waiting]
    assert sorted(value for batch in batches for value in data(batch)) == list(range(6))
    assert len({batch["leaseId"] for batch in batches}) == 6


def test_a_waiting_pop_ends_empty_after_its_time(api: Api, queue: str) -> None:
    assert api.pop(queue, wait="true", timeout=300) is None
    assert api.pop(queue, wait="true", timeout=0) is None
    assert api.pop(queue, wait="true", timeout=-5) is None


def test_partitions_share_one_lease_id_and_batch_caps_the_total(api: Api, server: EmbeddedServer, queue: str) -> None:
    for name in "abcd":
        api.push_to(queue, [f"{name}{number}" for number in range(4)], name)
    batch = api.pop(queue, partitions=3, batch=10)
    assert batch is not None
    assert batch["partitionsClaimed"] == 3
    assert {message["leaseId"] for message in batch["messages"]} == {batch["leaseId"]}
    assert len({message["partitionId"] for message in batch["messages"]}) == 3
    values = data(batch)
    assert len(values) == 10
    for name in {value[0] for value in values}:
        own = [value for value in values if value[0] == name]
        assert own == [f"{name}{number}" for number in range(len(own))]
    extended = api.extend(batch["leaseId"], b'{"seconds": 3600}')
    assert (extended["success"], extended["renewed"], extended["error"]) == (True, 3, None)
    assert extended["newExpiresAt"] == extended["expiresAt"] == extended["lease_expires_at"]
    text = "SELECT count(*) FROM cursors WHERE lease_id::text = %s AND lease_until > now() + interval '3000 s'"
    assert server.query(text, batch["leaseId"]) == [(3,)]
    assert {result["leaseReleased"] for result in api.ack(batch["messages"][-1:])} == {True}


def test_no_partition_starves_behind_busy_ones(api: Api, queue: str) -> None:
    api.push([{"queue": queue, "partition": str(number), "payload": number} for number in range(20)])
    seen: list[str] = []
    for _ in range(20):
        batch = api.pop(queue, batch=1)
        assert batch is not None
        seen.append(batch["partition"])
        api.settle(batch)
        # The partition that was just served has work again at once; it goes to the end of the line.
        api.push([{"queue": queue, "partition": batch["partition"], "payload": "more"}])
    assert sorted(seen, key=int) == [str(number) for number in range(20)]


def test_an_empty_pop_has_no_body_no_type_and_no_length(server: EmbeddedServer, api: Api, queue: str) -> None:
    api.pop(queue)
    request = f"GET /api/v1/pop/queue/{queue} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n"
    status, headers, body = split_answer(exchange(server.url, request.encode()))
    assert status == 204
    assert body == b""
    assert not {"content-type", "content-length", "transfer-encoding"} & headers.keys()


def test_empty_pops_keep_their_connection(api: Api, server: EmbeddedServer, queue: str) -> None:
    with httpx.Client(base_url=server.url, limits=httpx.Limits(max_connections=1)) as client:
        ports = set()
        for _ in range(200):
            with client.stream("GET", f"/api/v1/pop/queue/{queue}") as answer:
                assert (answer.status_code, answer.read()) == (204, b"")
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1
