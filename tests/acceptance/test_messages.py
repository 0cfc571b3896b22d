"""Stored messages against a real server: search, show, delete, retry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from queen import model
from queen.server import browse
from queen.server.shapes.messages import MessageDeleted, MessageDetail, MessageList, NoSuchMessage
from tests.support.api import Api, data, segment
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


def search(api: Api, **parameters: Any) -> httpx.Response:
    answer = api.http.get("/api/v1/messages", params=parameters)
    assert answer.status_code == 200, answer.text
    MessageList.model_validate(answer.json())
    return answer


def found(api: Api, **parameters: Any) -> list[str]:
    return [message["transactionId"] for message in search(api, **parameters).json()["messages"]]


def path(message: dict[str, Any]) -> str:
    partition_id = message.get("partitionId") or message["partition_id"]
    name = message.get("transactionId") or message["transaction_id"]
    return f"/api/v1/messages/{partition_id}/{segment(name)}"


def show(api: Api, message: dict[str, Any]) -> dict[str, Any]:
    answer = api.http.get(path(message))
    assert answer.status_code == 200, answer.text
    MessageDetail.model_validate(answer.json())
    return dict(answer.json())


def test_a_search_returns_the_newest_first_with_all_fields(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, [{"n": n} for n in range(3)], "p")
    answer = search(api, queue=queue, partition="p").json()
    assert [message["id"] for message in answer["messages"]] == [one["message_id"] for one in reversed(pushed)]
    first = answer["messages"][0]
    assert first["createdAt"].endswith("Z")
    assert {name: first[name] for name in ("queuePath", "status", "data", "payload", "queueStatus")} == {
        "queuePath": f"{queue}/p",
        "status": "pending",
        "data": {"n": 2},
        "payload": {"n": 2},
        "queueStatus": None,
    }
    assert answer["mode"] == {"hasQueueMode": False, "busGroupsCount": 0, "type": "none"}
    assert answer["total"] == 3


def test_payloads_are_the_bytes_that_came(api: Api, queue: str) -> None:
    text = '{"b": 1.0,\t"a":"\\u0041"}'
    body = f'{{"items":[{{"queue":{json.dumps(queue)},"payload":{text},"transactionId":"t"}}]}}'
    pushed = api.http.post("/api/v1/push", content=body).json()[0]
    assert search(api, queue=queue).text.count(text) == 2
    assert api.http.get(path(pushed)).text.count(text) == 2


def test_pages_follow_each_other(api: Api, queue: str) -> None:
    api.push_to(queue, range(5))
    assert found(api, queue=queue, limit=2) == ["t4", "t3"]
    assert found(api, queue=queue, limit=2, offset=2) == ["t2", "t1"]
    assert search(api, queue=queue, limit=2, offset=2).headers["queen-more"] == "true"
    last = search(api, queue=queue, limit=2, offset=4)
    assert len(last.json()["messages"]) == 1
    assert "queen-more" not in last.headers


def test_partitions_are_merged_by_time(api: Api, queue: str) -> None:
    for number in range(6):
        api.push([{"queue": queue, "partition": f"p{number % 3}", "payload": 0, "transactionId": f"m{number}"}])
    assert found(api, queue=queue) == [f"m{number}" for number in reversed(range(6))]
    assert found(api, queue=queue, partition="p1") == ["m4", "m1"]


def test_a_status_follows_from_the_cursors(api: Api, queue: str) -> None:
    api.push_to(queue, range(4))
    api.settle(api.pop(queue, batch=1) or {})
    api.pop(queue, batch=1)
    by_status = {status: found(api, queue=queue, status=status) for status in ("pending", "processing", "completed")}
    assert by_status == {"pending": ["t3", "t2"], "processing": ["t1"], "completed": ["t0"]}
    shown = search(api, queue=queue).json()
    assert [message["status"] for message in shown["messages"]] == ["pending", "pending", "processing", "completed"]
    assert [bool(message["leaseExpiresAt"]) for message in shown["messages"]] == [False, False, True, False]
    assert shown["mode"] == {"hasQueueMode": True, "busGroupsCount": 0, "type": "queue"}


def test_groups_complete_a_message_together(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, range(2))
    api.drain(queue, "a")
    api.settle(api.pop(queue, batch=1, consumerGroup="b") or {})
    shown = search(api, queue=queue).json()
    assert [message["status"] for message in shown["messages"]] == ["pending", "completed"]
    assert shown["messages"][0]["busStatus"] == {"consumedBy": 1, "totalGroups": 2}
    assert shown["mode"] == {"hasQueueMode": False, "busGroupsCount": 2, "type": "bus"}
    assert found(api, queue=queue, status="completed") == ["t0"]
    assert show(api, pushed[1])["consumerGroups"] == [
        {"name": "a", "group": "a", "consumed": True, "leaseExpiresAt": None},
        {"name": "b", "group": "b", "consumed": False, "leaseExpiresAt": None},
    ]


def test_scheduled_messages_have_a_status_of_their_own(api: Api, queue: str) -> None:
    api.push_to(queue, [0])
    later = api.push([{"queue": queue, "payload": 1, "transactionId": "later", "delaySeconds": 600}])[0]
    assert found(api, queue=queue) == ["later", "t0"]
    assert found(api, queue=queue, status="scheduled") == ["later"]
    assert found(api, queue=queue, status="pending") == ["t0"]
    assert show(api, later)["status"] == "scheduled"
    assert show(api, later)["scheduledAt"]
    assert api.delete(path(later))["success"] is True
    assert found(api, queue=queue, status="scheduled") == []


def test_a_dead_letter_is_a_status_and_shows_its_error(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, range(3))
    batch = api.pop(queue, batch=2)
    assert batch is not None
    api.ack(batch["messages"][1:], "dlq", "poison")
    assert found(api, queue=queue, status="dead_letter") == ["t1"]
    assert found(api, queue=queue, status="completed") == ["t0"]
    assert found(api, status="dead_letter", limit=1) == ["t1"]
    shown = show(api, pushed[1])
    assert (shown["status"], shown["errorMessage"], shown["retryCount"]) == ("dead_letter", "poison", 0)


def test_a_time_selects(api: Api, queue: str, server: EmbeddedServer) -> None:
    api.push_to(queue, range(2))
    number = server.query(
        "SELECT partition_id FROM partitions p JOIN queues q USING (queue_id) WHERE q.name = %s", queue
    )
    server.query(
        """UPDATE messages SET created_at = created_at - interval '2 hours' WHERE partition_id = %s AND "offset" = 0
           RETURNING 1""",
        number[0][0],
    )
    server.query("UPDATE epochs SET opened_at = opened_at - interval '1 day' RETURNING 1")
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert found(api, queue=queue) == ["t1"], "the last hour by default"
    assert found(api, queue=queue, **{"from": "2000-01-01T00:00:00Z"}) == ["t1", "t0"]
    assert found(api, queue=queue, **{"from": "2000-01-01T00:00:00Z", "to": hour_ago}) == ["t0"]
    assert found(api, queue=queue, to=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z")) == ["t1"], "the whole minute"


def test_namespace_and_task_select(api: Api, queue: str) -> None:
    space = f"space-{len(queue)}"
    for name in ("one", "two"):
        api.configure_with({"queue": f"{queue}.{name}", "namespace": space, "task": name})
        api.push([{"queue": f"{queue}.{name}", "payload": 0, "transactionId": name}])
    assert found(api, namespace=space) == ["two", "one"]
    assert found(api, ns=space, task="one") == ["one"]
    assert found(api, ns=space, task="three") == []
    assert found(api, queue=f"{queue}.one", namespace="another") == []


def test_without_a_filter_the_newest_of_all_are_found(api: Api, queue: str) -> None:
    for number in range(3):
        api.push([{"queue": f"{queue}.{number}", "payload": 0, "transactionId": f"all{number}"}])
    assert found(api, limit=3) == ["all2", "all1", "all0"]
    to = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert found(api, to=to, **{"from": "2000-01-01T00:00:00Z"}) == []


def test_many_partitions_are_searched_by_place(api: Api, queue: str) -> None:
    many = browse.READS_MAX // 201 + 5
    api.push([{"queue": queue, "partition": f"p{n}", "payload": n, "transactionId": f"m{n:03}"} for n in range(many)])
    api.push([{"queue": queue, "partition": "p0", "payload": 0, "transactionId": "last"}])
    assert found(api, queue=queue, limit=1000)[0] == "last"
    assert sorted(found(api, queue=queue)) == sorted(["last", *(f"m{n:03}" for n in range(many))])
    api.drain(queue)
    assert found(api, queue=queue, status="pending") == []
    assert len(found(api, queue=queue, status="completed")) == many + 1


def test_a_search_that_ended_at_its_bound_says_so(api: Api, queue: str) -> None:
    count = browse.LOOKS_MAX + 100
    for first in range(0, count, 1000):
        numbers = range(first, min(first + 1000, count))
        api.push([{"queue": queue, "partition": f"p{n % 60}", "payload": n, "transactionId": f"m{n}"} for n in numbers])
    answer = search(api, queue=queue, status="completed")
    assert answer.json()["messages"] == []
    assert (answer.headers["queen-search"], answer.headers["queen-more"]) == ("bounded", "true")
    assert "queen-search" not in search(api, queue=queue, partition="p1", status="completed").headers
    assert "queen-search" not in search(api, queue=queue, status="pending").headers


def test_a_deleted_queue_has_no_messages(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, [0])[0]
    api.delete(f"/api/v1/resources/queues/{segment(queue)}")
    assert found(api, queue=queue) == []
    assert "t0" not in found(api, limit=1)
    assert api.http.get(path(pushed)).status_code == 404
    assert api.http.delete(path(pushed)).status_code == 404


def test_an_address_is_percent_encoded(api: Api, queue: str) -> None:
    name = "a/b %2F ü 🐘"
    pushed = api.push([{"queue": queue, "payload": 1, "transactionId": name}])[0]
    assert show(api, pushed)["transactionId"] == name
    assert api.delete(path(pushed))["transactionId"] == name


def test_a_deleted_message_is_delivered_no_more_and_nobody_waits_for_it(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, range(4))
    gone = api.delete(path(pushed[3]))
    MessageDeleted.model_validate(gone)
    assert gone["message"] == "Message deleted successfully"
    api.delete(path(pushed[1]))
    batch = api.pop(queue)
    assert batch is not None
    assert data(batch) == [0, 2]
    api.settle(batch)
    assert api.pop(queue) is None
    again = api.push([{"queue": queue, "payload": "again", "transactionId": "t3"}])[0]
    assert again["status"] == "queued"
    assert data(api.wait_pop(queue)) == ["again"]


def test_the_last_message_deleted_under_a_lease_stops_nobody(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, range(2))
    batch = api.pop(queue, leaseSeconds=1)
    assert batch is not None
    api.ack(batch["messages"][:1])
    api.delete(path(pushed[1]))
    api.push([{"queue": queue, "payload": "next"}])
    assert data(api.wait_pop(queue)) == ["next"]


def test_a_deleted_message_may_still_be_acknowledged(api: Api, queue: str) -> None:
    pushed = api.push_to(queue, range(2))
    batch = api.pop(queue)
    assert batch is not None
    for one in pushed:
        api.delete(path(one))
    assert all(result["success"] for result in api.ack(batch["messages"]))
    api.push([{"queue": queue, "payload": "next"}])
    assert data(api.wait_pop(queue)) == ["next"]


KNOWN = model.encode_id(model.PARTITION, 1)
ADDRESSES = {
    "no id": ("nonsense", "t0"),
    "a short id": ("0000", "t0"),
    "a foreign id": ("01990f3f-0a11-7d02-8c44-9b1e2d3c4f50", "t0"),
    "an id of a queue": (model.encode_id(model.QUEUE, 1), "t0"),
    "an id of a message": (model.encode_id(model.MESSAGE, 1, 1), "t0"),
    "an unknown partition": (model.encode_id(model.PARTITION, 1 << 40), "t0"),
    "an unknown transaction": (KNOWN, "nobody pushed this"),
    "a long transaction": (KNOWN, "x" * 300),
    "a NUL": (KNOWN, "a\x00b"),
    "a slash in the id": ("a/b", "t0"),
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("DELETE", ""), ("POST", "/retry")])
def test_what_is_not_there_is_a_404(api: Api, method: str, tail: str, address: tuple[str, str]) -> None:
    answer = api.http.request(method, f"/api/v1/messages/{segment(address[0])}/{segment(address[1])}{tail}")
    assert answer.status_code == 404
    content = answer.json()
    assert (content["success"], content["error"], content["code"]) == (False, "Message not found", "not_found")
    assert content["hint"]
    if not tail:
        NoSuchMessage.model_validate(content)
        assert (content["partitionId"], content["transactionId"]) == address


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"status": "failed"}, "status"),
        ({"status": "x" * 1000}, "status"),
        ({"partition": "p"}, "partition without queue"),
        ({"from": "yesterday"}, "from must be a time"),
        ({"to": "2026-13-01"}, "to must be a time"),
        ({"queue": "x" * 256}, "255 is the most"),
        ({"queue": "a\x00"}, "NUL"),
        ({"namespace": "x" * 256}, "255 is the most"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(api: Api, parameters: dict[str, str], words: str) -> None:
    answer = api.http.get("/api/v1/messages", params=parameters)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "x", "offset": "y"},
        {"limit": "-5", "offset": "-5"},
        {"limit": "0"},
        {"limit": "9" * 30, "offset": "9" * 30},
        {"limit": "1000000", "offset": "1000000"},
        {"to": "9999-12-31T23:59:59Z"},
        {"from": "9999-12-31T23:59:59Z"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"queue": "no such queue"},
        {"unknown": "1", "status": ""},
    ],
)
def test_an_absurd_page_is_a_page(api: Api, parameters: dict[str, str]) -> None:
    search(api, **parameters)


def test_who_pages_beyond_the_bound_comes_to_an_end_and_is_told(api: Api, queue: str) -> None:
    api.push_to(queue, range(3))
    beyond = search(api, queue=queue, limit=1, offset=10_001)
    assert (beyond.json()["messages"], beyond.headers.get("queen-more")) == ([], None)
    assert beyond.headers["queen-search"] == "bounded"
    assert "queen-search" not in search(api, queue=queue, limit=1, offset=10_000).headers
