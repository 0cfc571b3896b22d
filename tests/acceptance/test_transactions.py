"""Transactions against a real server: pushes and acks together or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, data
from tests.support.fix_server import MakeServer

pytestmark = pytest.mark.pg


def _transact(api: Api, operations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    answer = api.http.post("/api/v1/transaction", json={"operations": operations, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _pop(api: Api, queue: str, **parameters: Any) -> dict[str, Any]:
    batch = api.pop(queue, **parameters)
    assert batch is not None
    return batch


def _ack_of(message: dict[str, Any], status: str = "completed", lease: str | None = None) -> dict[str, Any]:
    return {
        "type": "ack",
        "transactionId": message["transactionId"],
        "partitionId": message["partitionId"],
        "consumerGroup": message["consumerGroup"],
        "leaseId": message["leaseId"] if lease is None else lease or None,
        "status": status,
    }


def _push_of(queue: str, transaction_id: str, payload: object = 1, partition: str = "p") -> dict[str, Any]:
    item = {"queue": queue, "partition": partition, "transactionId": transaction_id, "payload": payload}
    return {"type": "push", "items": [item]}


def test_an_ack_and_a_push_commit_together(api: Api, queue: str) -> None:
    api.push_to(queue, ["a"])
    message = _pop(api, queue)["messages"][0]
    done = _transact(api, [_ack_of(message), _push_of(f"{queue}.next", "n1", {"from": "a"})])
    assert done["success"] is True
    ack, push = done["results"]
    assert ack == {
        "index": 0,
        "type": "ack",
        "success": True,
        "transactionId": "t0",
        "error": None,
        "dlq": False,
    }
    assert (push["index"], push["type"], push["success"], push["transactionId"]) == (1, "push", True, "n1")
    assert push["queueName"] == f"{queue}.next"
    assert "duplicate" not in push
    got = _pop(api, f"{queue}.next")
    assert data(got) == [{"from": "a"}]
    assert got["messages"][0]["id"] == push["messageId"]
    assert got["partitionId"] == push["partitionId"]
    assert api.pop(queue) is None


def test_a_waiting_pop_hears_of_the_push(api: Api, queue: str) -> None:
    assert api.pop(queue) is None
    assert _transact(api, [{"type": "push", "queue": queue, "data": {"flat": True}}])["success"] is True
    assert data(api.wait_pop(queue)) == [{"flat": True}]


def test_a_stored_duplicate_undoes_everything(api: Api, queue: str) -> None:
    api.push_to(queue, ["a"])
    api.push([{"queue": f"{queue}.next", "partition": "p", "transactionId": "n1", "payload": 0}])
    message = _pop(api, queue, leaseSeconds=60)["messages"][0]
    operations = [_push_of(f"{queue}.next", "n0"), _push_of(f"{queue}.next", "n1"), _ack_of(message)]
    undone = _transact(api, operations)
    assert undone["success"] is False
    assert undone["reason"] == "duplicate"
    assert undone["error"] == f"duplicate transactionId n1 in {queue}.next/p; rolled back"
    assert undone["results"] == []
    assert data(_pop(api, f"{queue}.next")) == [0]
    # The lease is untouched, so its ack still counts.
    assert api.ack([message])[0]["success"] is True


def test_equal_ids_inside_the_bundle_are_echoed(api: Api, queue: str) -> None:
    done = _transact(api, [_push_of(queue, "x", 1), _push_of(queue, "y", 2), _push_of(queue, "x", 3)])
    first, second, third = done["results"]
    assert "duplicate" not in first
    assert "duplicate" not in second
    assert third["duplicate"] is True
    assert third["messageId"] == first["messageId"]
    assert data(_pop(api, queue)) == [1, 2]


@pytest.mark.parametrize("change", ["stale lease", "unknown transaction", "malformed partition", "foreign partition"])
def test_an_ack_that_cannot_be_undoes_everything(api: Api, queue: str, change: str) -> None:
    api.push_to(queue, ["a", "b"])
    message = _pop(api, queue, batch=1)["messages"][0]
    ack = _ack_of(message)
    if change == "stale lease":
        ack["leaseId"] = "01990f3f-0a11-7d02-8c44-000000000001"
    elif change == "unknown transaction":
        ack["transactionId"] = "t99"
    elif change == "malformed partition":
        ack["partitionId"] = "nonsense"
    else:
        ack["partitionId"] = "00000000-ffff-8001-8000-000000000000"
    undone = _transact(api, [_push_of(f"{queue}.next", "n1"), ack])
    assert (undone["success"], undone["reason"], undone["results"]) == (False, "ack_rejected", [])
    assert undone["error"]
    assert api.pop(f"{queue}.next") is None
    assert api.ack([message])[0]["success"] is True


def test_an_expired_lease_undoes_everything(api: Api, queue: str) -> None:
    api.push_to(queue, ["a"])
    message = _pop(api, queue, leaseSeconds=1)["messages"][0]
    again = api.wait_pop(queue, leaseSeconds=60)["messages"][0]
    assert again["deliveryAttempt"] == 2
    undone = _transact(api, [_push_of(f"{queue}.next", "n1"), _ack_of(message)])
    assert (undone["success"], undone["reason"]) == (False, "ack_rejected")
    assert api.pop(f"{queue}.next") is None
    assert _transact(api, [_push_of(f"{queue}.next", "n1"), _ack_of(again)])["success"] is True


def test_required_leases_stand_in_for_the_lease_of_an_ack(api: Api, queue: str) -> None:
    api.push_to(queue, ["a"])
    message = _pop(api, queue)["messages"][0]
    ack = _ack_of(message, lease="")
    other = "01990f3f-0a11-7d02-8c44-000000000001"
    assert _transact(api, [ack], requiredLeases=[other])["reason"] == "ack_rejected"
    assert _transact(api, [ack], requiredLeases=[other, message["leaseId"]])["success"] is True
    # Without any lease named there is no check, and a completed one behind the cursor is fine.
    assert _transact(api, [ack])["success"] is True


def test_failures_charge_the_budget_and_end_as_dead_letters(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=1)
    api.push_to(queue, ["a"])
    first = _pop(api, queue)["messages"][0]
    assert _transact(api, [{**_ack_of(first, "failed"), "error": "no"}])["results"][0]["dlq"] is False
    second = api.wait_pop(queue)["messages"][0]
    done = _transact(api, [{**_ack_of(second, "failed"), "error": "never"}, _push_of(f"{queue}.next", "n1")])
    assert done["results"][0]["dlq"] is True
    letters = api.http.get("/api/v1/dlq", params={"queue": queue}).json()["messages"]
    assert [(letter["transactionId"], letter["errorMessage"]) for letter in letters] == [("t0", "never")]
    assert data(_pop(api, f"{queue}.next")) == [1]


def test_acks_of_several_partitions_and_groups(api: Api, queue: str) -> None:
    api.push_to(queue, range(3), "p1")
    api.push_to(queue, range(3), "p2")
    operations = []
    for group in ("g1", "g2"):
        batch = _pop(api, queue, partitions=2, consumerGroup=group)
        operations += [_ack_of(message) for message in batch["messages"]]
    assert len(operations) == 12
    assert _transact(api, operations)["success"] is True
    assert api.pop(queue, consumerGroup="g1") is None
    assert api.pop(queue, consumerGroup="g2") is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{}", "operations"),
        (b'{"operations":{}}', "operations"),
        (b'{"operations":[]}', "cannot be empty"),
        (b'{"operations":[{"type":"pop"}]}', "unknown type"),
        (b'{"operations":[{"type":"push"}]}', "items or queue"),
        (b'{"operations":[{"type":"push","items":[{"payload":1}]}]}', "queue"),
        (b'{"operations":[{"type":"ack","partitionId":7}]}', "partitionId"),
        (b"not json", "bad body"),
    ],
)
def test_broken_bodies_are_refused(api: Api, body: bytes, text: str) -> None:
    answer = api.http.post("/api/v1/transaction", content=body)
    assert answer.status_code == 400
    refusal = answer.json()
    assert text in refusal["error"]
    assert refusal["code"] == "bad_request"
    assert refusal["hint"]


def test_more_operations_than_one_call_takes_are_refused(api: Api, queue: str) -> None:
    answer = api.http.post(
        "/api/v1/transaction", json={"operations": [_push_of(queue, f"t{number}") for number in range(1001)]}
    )
    assert answer.status_code == 400
    assert "1000 is the most" in answer.json()["error"]
    assert api.pop(queue) is None


def test_riders_are_never_dropped_in_silence(api: Api, queue: str) -> None:
    undone = _transact(api, [_push_of(queue, "t1")], kv=[{"op": "put"}])
    assert (undone["success"], undone["reason"], undone["error"]) == (False, "bad_request", "kv is not supported")
    assert api.pop(queue) is None
    assert _transact(api, [_push_of(queue, "t1")], kv=[], timers=None)["success"] is True


def test_a_queue_deleted_by_another_server_is_made_anew(make_server: MakeServer, queue: str) -> None:
    first = make_server()
    first.start()
    second = make_server(beside=first)
    second.start()
    with Api(first.url) as one, Api(second.url) as two:
        assert _transact(one, [_push_of(queue, "t1")])["success"] is True
        assert two.http.delete(f"/api/v1/resources/queues/{queue}").json()["deleted"] is True
        assert _transact(one, [_push_of(queue, "t1", "new")])["success"] is True
        assert data(_pop(two, queue)) == ["new"]
