"""Leases, acknowledgements, retries and dead letters against a real server, by the rules of the HTTP contract."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, acknowledgment, data, segment
from tests.support.fix_server import MakeServer

pytestmark = pytest.mark.pg

STALE = "invalid or expired lease"


def _pop(api: Api, queue: str, **parameters: Any) -> dict[str, Any]:
    batch = api.pop(queue, **parameters)
    assert batch is not None
    return batch


def _attempts(batch: dict[str, Any]) -> set[int]:
    return {message["deliveryAttempt"] for message in batch["messages"]}


def test_an_ack_answers_each_item(api: Api, queue: str) -> None:
    api.push_to(queue, range(3), "depot")
    batch = _pop(api, queue, consumerGroup="billing")
    first, second, third = batch["messages"]
    expected = {
        "success": True,
        "error": None,
        "dlq": False,
        "noop": False,
        "queueName": queue,
        "partitionName": "depot",
    }
    results = api.ack([first, second])
    assert results == [
        {"index": index, "transactionId": f"t{index}", "leaseReleased": False, **expected} for index in range(2)
    ]
    answer = api.http.post("/api/v1/ack", json={**acknowledgment(third), "consumerGroup": "billing"})
    assert answer.status_code == 200
    assert answer.json() == [{"index": 0, "transactionId": "t2", "leaseReleased": True, **expected}]
    assert api.pop(queue, consumerGroup="billing") is None


def test_no_acks_are_no_error(api: Api) -> None:
    assert api.ack_items([]) == []


@pytest.mark.parametrize("status", [None, "completed", "success", "acked", "ok"])
def test_words_for_completed(api: Api, queue: str, status: str | None) -> None:
    api.push_to(queue, [1])
    assert api.ack(_pop(api, queue)["messages"], status)[0]["leaseReleased"] is True
    assert api.pop(queue) is None


@pytest.mark.parametrize("status", ["failed", "error", "Completed", ""])
def test_any_other_word_is_failed(api: Api, queue: str, status: str) -> None:
    api.push_to(queue, [1])
    assert api.ack(_pop(api, queue)["messages"], status)[0]["success"] is True
    assert _attempts(_pop(api, queue)) == {2}


def test_an_ack_completes_all_below_it(api: Api, queue: str) -> None:
    api.push_to(queue, range(10))
    batch = _pop(api, queue)
    [result] = api.ack(batch["messages"][6:7])
    assert (result["success"], result["leaseReleased"]) == (True, False)
    below = api.ack(batch["messages"][:3])
    assert {(one["success"], one["noop"]) for one in below} == {(True, True)}
    late = api.ack(batch["messages"][:1], "failed")
    assert late[0]["success"] is False
    assert late[0]["error"].startswith("already committed")
    assert api.ack(batch["messages"][7:], "retry")[0]["leaseReleased"] is True
    assert data(_pop(api, queue)) == [7, 8, 9]


def test_an_acked_twice_message_is_a_noop(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    batch = _pop(api, queue)
    api.settle(batch)
    [stale] = api.ack(batch["messages"])
    assert (stale["success"], stale["error"]) == (False, STALE)
    item = {**acknowledgment(batch["messages"][0]), "leaseId": None}
    [again] = api.ack_items([item])
    assert (again["success"], again["noop"], again["error"]) == (True, True, None)


def test_a_lease_that_runs_out_is_delivered_again_and_its_acks_are_refused(api: Api, queue: str) -> None:
    api.push_to(queue, ["a", "b"])
    first = _pop(api, queue, leaseSeconds=1)
    assert _attempts(first) == {1}
    again = api.wait_pop(queue, leaseSeconds=600)
    assert data(again) == ["a", "b"]
    assert _attempts(again) == {2}
    assert again["leaseId"] != first["leaseId"]
    refused = api.ack(first["messages"])
    assert {(one["success"], one["error"], one["leaseReleased"]) for one in refused} == {(False, STALE, False)}
    assert api.pop(queue) is None, "the refused acks moved nothing and freed nothing"
    without = api.ack_items([{**acknowledgment(message), "leaseId": None} for message in first["messages"]])
    assert {(one["success"], one["error"]) for one in without} == {(True, None)}
    assert api.pop(queue) is None


def test_an_expiry_charges_no_retry(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=0, leaseTime=1)
    api.push_to(queue, ["x"])
    for attempt in (1, 2, 3):
        assert _attempts(api.wait_pop(queue)) == {attempt}
    assert api.dead_letters(queue=queue)["total"] == 0


def test_leases_outlive_the_server(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    with Api(server.url) as api:
        api.push_to(queue, range(4), "p")
        batch = _pop(api, queue, leaseSeconds=600, consumerGroup="g")
        api.ack(batch["messages"][:1])
        server.restart()
        assert api.pop(queue, consumerGroup="g") is None, "the lease holds"
        assert api.extend(batch["leaseId"])["renewed"] == 1
        [result] = api.ack(batch["messages"][1:2])
        assert (result["success"], result["partitionName"]) == (True, "p")
        assert api.ack(batch["messages"][2:], "failed", "boom")[0]["success"] is True
        again = _pop(api, queue, consumerGroup="g")
        assert data(again) == [2, 3]
        assert _attempts(again) == {2}
        api.settle(again)
    server.check_unharmed()


def test_a_lease_is_extended_only_while_it_lives(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    first = _pop(api, queue, leaseSeconds=1)
    extended = api.extend(first["leaseId"])
    assert (extended["success"], extended["renewed"], extended["leaseId"]) == (True, 1, first["leaseId"])
    shorter = api.extend(first["leaseId"], b'{"seconds": 1}')
    assert shorter["newExpiresAt"] == extended["newExpiresAt"], "a lease never gets shorter"
    api.settle(first)
    gone = api.extend(first["leaseId"])
    assert (gone["success"], gone["renewed"], gone["newExpiresAt"]) == (False, 0, None)
    assert gone["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"seconds": null}', b'{"seconds": "x"}', b"{", b"\xff", b'{"seconds": 1e99}']
)
def test_an_odd_body_extends_by_the_default(api: Api, queue: str, body: bytes) -> None:
    api.push_to(queue, [1])
    batch = _pop(api, queue, leaseSeconds=5)
    assert api.extend(batch["leaseId"], body)["renewed"] == 1


@pytest.mark.parametrize("lease_id", ["nope", "0", "01990f3f-0a11-7d02-8c44-9b1e2d3c4f50", "a/b", "ä\x00"])
def test_an_unknown_lease_is_not_extended(api: Api, lease_id: str) -> None:
    extended = api.extend(lease_id)
    assert (extended["success"], extended["renewed"], extended["leaseId"]) == (False, 0, lease_id)


def test_two_retries_are_three_deliveries_and_one_dead_letter(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=2)
    api.push_to(queue, [{"poison": 1.50}, "good"], "p")
    for attempt in (1, 2, 3):
        batch = _pop(api, queue, batch=1, consumerGroup="g")
        assert batch["messages"][0]["deliveryAttempt"] == attempt
        [result] = api.ack(batch["messages"], "failed", f"boom {attempt}")
        assert (result["success"], result["error"], result["leaseReleased"]) == (True, None, True)
        assert result["dlq"] is (attempt == 3)
    rest = _pop(api, queue, consumerGroup="g")
    assert [(message["data"], message["deliveryAttempt"]) for message in rest["messages"]] == [("good", 1)]
    listed = api.dead_letters(queue=queue)
    assert listed["total"] == 1
    [dead] = listed["messages"]
    assert dead["messageId"] == batch["messages"][0]["id"]
    assert dead["partitionId"] == batch["messages"][0]["partitionId"]
    assert (dead["transactionId"], dead["queue"], dead["partition"], dead["consumerGroup"]) == ("t0", queue, "p", "g")
    assert (dead["errorMessage"], dead["retryCount"], dead["data"]) == ("boom 3", 2, {"poison": 1.50})
    assert dead["createdAt"] == batch["messages"][0]["createdAt"]
    assert dead["failedAt"] > dead["createdAt"]
    assert api.drain(queue, "other")[0]["data"] == {"poison": 1.50}, "another group is not concerned"


def test_a_batch_that_fails_twice_and_then_succeeds_is_no_dead_letter(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=2)
    api.push_to(queue, range(100))
    for attempt in (1, 2, 3):
        batch = _pop(api, queue, batch=100)
        assert data(batch) == list(range(100))
        assert _attempts(batch) == {attempt}
        results = api.ack(batch["messages"], "failed" if attempt < 3 else "completed")
        assert {(one["success"], one["dlq"], one["leaseReleased"]) for one in results} == {(True, False, True)}
    assert api.pop(queue) is None
    assert api.dead_letters(queue=queue)["total"] == 0


def test_of_a_failed_batch_only_the_lowest_is_set_aside(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=0)
    api.push_to(queue, range(3))
    results = api.ack(_pop(api, queue)["messages"], "failed", "no")
    assert [one["dlq"] for one in results] == [True, False, False]
    assert data(_pop(api, queue)) == [1, 2]


def test_a_completed_message_above_a_failed_one_comes_again(api: Api, queue: str) -> None:
    api.push_to(queue, range(4))
    batch = _pop(api, queue)
    words = ("completed", "failed", "completed", "completed")
    items = [acknowledgment(message, word) for message, word in zip(batch["messages"], words, strict=True)]
    assert {one["success"] for one in api.ack_items(items)} == {True}
    assert data(_pop(api, queue)) == [1, 2, 3]


def test_retry_gives_back_without_a_charge(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=0)
    api.push_to(queue, [1])
    for attempt in (1, 2, 3):
        batch = _pop(api, queue)
        assert _attempts(batch) == {attempt}
        assert api.ack(batch["messages"], "retry")[0]["dlq"] is False
    assert api.dead_letters(queue=queue)["total"] == 0


def test_dlq_sets_aside_at_once(api: Api, queue: str) -> None:
    api.push_to(queue, [1, 2])
    batch = _pop(api, queue)
    [result] = api.ack(batch["messages"][:1], "dlq")
    assert (result["success"], result["dlq"], result["leaseReleased"]) == (True, True, True)
    assert api.dead_letters(queue=queue)["messages"][0]["errorMessage"] == "Retries exhausted"
    assert data(_pop(api, queue)) == [2]


def test_without_dead_letters_an_exhausted_message_is_dropped(api: Api, queue: str) -> None:
    api.configure(queue, retryLimit=0, deadLetterQueue=False, dlqAfterMaxRetries=False)
    api.push_to(queue, [1, 2])
    [result] = api.ack(_pop(api, queue, batch=1)["messages"], "failed")
    assert (result["success"], result["dlq"]) == (True, False)
    assert data(_pop(api, queue)) == [2]
    assert api.dead_letters(queue=queue)["total"] == 0


def test_a_retry_delay_counts_only_when_it_was_set(api: Api, queue: str) -> None:
    api.push_to(queue, ["at once"])
    api.ack(_pop(api, queue)["messages"], "failed")
    api.settle(_pop(api, queue))
    api.configure(queue, retryDelay=2000)
    api.push([{"queue": queue, "payload": "later"}])
    api.ack(_pop(api, queue)["messages"], "failed")
    assert api.pop(queue) is None, "it is held back"
    again = api.wait_pop(queue)
    assert (data(again), _attempts(again)) == (["later"], {2})


def test_dead_letters_are_listed_by_filter_newest_first(api: Api, queue: str) -> None:
    for name in ("a", "b"):
        api.push_to(queue, range(2), name)
        for group in ("g", "h"):
            batch = api.pop(queue, name, consumerGroup=group)
            assert batch is not None
            for message in batch["messages"]:
                api.ack([message], "dlq", f"{name} {group} {message['data']}")
                batch_again = api.pop(queue, name, consumerGroup=group)
                message["leaseId"] = batch_again["leaseId"] if batch_again else ""
                for later in batch["messages"]:
                    later["leaseId"] = message["leaseId"]

    def listed(**filters: Any) -> list[str]:
        return [one["errorMessage"] for one in api.dead_letters(queue=queue, **filters)["messages"]]

    everything = [f"{name} {group} {number}" for name in "ba" for group in "hg" for number in (1, 0)]
    assert listed() == everything
    assert listed(partition="a") == everything[4:]
    assert listed(consumerGroup="g", partition="b") == ["b g 1", "b g 0"]
    assert listed(consumerGroup="nobody") == []
    page = api.http.get("/api/v1/dlq", params={"queue": queue, "limit": 3, "offset": 2})
    assert [one["errorMessage"] for one in page.json()["messages"]] == everything[2:5]
    assert (page.json()["total"], page.json()["pagination"]) == (8, {"limit": 3, "offset": 2})
    assert page.headers["queen-more"] == "true"
    first_at = api.dead_letters(queue=queue)["messages"][-1]["failedAt"]
    assert listed(to=first_at) == everything[-1:]
    assert listed(**{"from": first_at}) == everything
    assert listed(**{"from": "2999-01-01T00:00:00Z"}) == []


def test_deleting_a_group_makes_its_next_pop_a_first_contact(api: Api, queue: str) -> None:
    api.push_to(queue, range(3))
    group = f"group of {queue}"
    assert api.pop(queue, consumerGroup=group, subscriptionMode="new") is None
    api.push([{"queue": queue, "payload": "new"}])
    assert [message["data"] for message in api.drain(queue, group)] == ["new"]
    gone = api.delete(f"/api/v1/consumer-groups/{segment(group)}")
    assert gone == {"success": True, "consumerGroup": group, "deletedPartitions": 1, "metadataDeleted": True}
    assert [message["data"] for message in api.drain(queue, group)] == [0, 1, 2, "new"]


def test_deleting_a_group_may_keep_its_registration(api: Api, queue: str) -> None:
    api.push_to(queue, ["old"])
    group = f"group of {queue}"
    assert api.pop(queue, consumerGroup=group, subscriptionMode="new") is None
    api.push([{"queue": queue, "payload": "new"}])
    held = _pop(api, queue, consumerGroup=group)
    gone = api.delete(f"/api/v1/consumer-groups/{segment(group)}", deleteMetadata="false")
    assert (gone["deletedPartitions"], gone["metadataDeleted"]) == (1, False)
    assert api.ack(held["messages"])[0]["success"] is False, "its leases went with it"
    assert [message["data"] for message in api.drain(queue, group)] == ["new"]


def test_deleting_an_unknown_group_is_no_error(api: Api) -> None:
    gone = api.delete("/api/v1/consumer-groups/nobody%2Fhere")
    assert (gone["success"], gone["consumerGroup"], gone["deletedPartitions"]) == (True, "nobody/here", 0)
