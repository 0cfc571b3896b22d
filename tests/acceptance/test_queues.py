"""Queues against a real server: configure, list, show, delete, and what deleting does to those who use one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api import Api, data, segment
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

DEFAULTS = {
    "leaseTime": 300,
    "retryLimit": 3,
    "retryDelay": 1000,
    "priority": 0,
    "maxSize": 0,
    "ttl": 3600,
    "deadLetterQueue": True,
    "dlqAfterMaxRetries": True,
    "delayedProcessing": 0,
    "windowBuffer": 0,
    "minPopWaitTime": 0,
    "retentionEnabled": False,
    "retentionSeconds": 0,
    "completedRetentionSeconds": 0,
    "maxWaitTimeSeconds": 0,
    "encryptionEnabled": False,
    "dedupWindowSeconds": 3600,
    "retentionSinkHold": "",
    "retentionSinkHoldMaxSeconds": 604_800,
}


def test_a_new_queue_has_the_defaults(api: Api, queue: str) -> None:
    made = api.configure_with({"queue": queue})
    assert made.pop("queueId")
    assert made == {
        "configured": True,
        "partitionId": None,
        "queue": queue,
        "namespace": "",
        "task": "",
        "options": DEFAULTS,
    }


def test_configure_merges_restores_and_replaces(api: Api, queue: str) -> None:
    api.configure(queue, leaseTime=120, retryLimit=5, deadLetterQueue=False)
    merged = api.configure_with({"queue": queue, "namespace": "n", "options": {"retryLimit": 7, "priority": 2}})
    assert merged["options"] == {
        **DEFAULTS, "leaseTime": 120, "retryLimit": 7, "deadLetterQueue": False, "priority": 2
    }  # fmt: skip
    restored = api.configure_with({"queue": queue, "namespace": None, "options": {"leaseTime": None}})
    assert restored["options"]["leaseTime"] == 300
    assert restored["options"]["retryLimit"] == 7
    assert restored["namespace"] == "n", "null means not given"
    replaced = api.configure_with({"queue": queue, "mode": "replace", "options": {"ttl": 9}})
    assert replaced["options"] == {**DEFAULTS, "ttl": 9}
    assert replaced["queueId"] == merged["queueId"]


def test_options_may_stand_at_the_top_and_unknown_ones_are_ignored(api: Api, queue: str) -> None:
    made = api.configure_with({"queue": queue, "leaseTime": 45, "colour": "red", "task": "t"})
    assert (made["options"]["leaseTime"], made["task"]) == (45, "t")
    assert "colour" not in made["options"]


def test_what_is_null_at_the_top_counts_as_absent(api: Api, queue: str) -> None:
    body = {"queue": queue, "mode": None, "options": None, "leaseTime": 45}
    assert api.configure_with(body)["options"]["leaseTime"] == 45


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if isinstance(value, int)])
def test_every_number_and_switch_is_echoed_merged_and_restored(api: Api, queue: str, name: str) -> None:
    queue = queue.split("[")[0] + name
    value = (not DEFAULTS[name]) if isinstance(DEFAULTS[name], bool) else 12_345
    assert api.configure(queue, **{name: value})["options"] == {**DEFAULTS, name: value}
    assert api.configure(queue)["options"][name] == value
    shown = api.get(f"/api/v1/resources/queues/{segment(queue)}")["options"]
    assert shown == {**DEFAULTS, name: value, "namespace": "", "task": ""}
    assert api.configure(queue, **{name: None})["options"] == DEFAULTS


def test_a_long_fill_time_is_cut(api: Api, queue: str) -> None:
    assert api.configure(queue, minPopWaitTime=2**31 - 1)["options"]["minPopWaitTime"] == 60_000


def test_the_largest_numbers_work(api: Api, queue: str) -> None:
    """Durations of 68 years must not break a statement."""
    most = 2**31 - 1
    names = ("retryLimit", "priority", "maxSize", "ttl", "retentionSeconds", "completedRetentionSeconds",
             "maxWaitTimeSeconds", "retryDelay")  # fmt: skip
    api.configure(queue, retentionEnabled=True, **dict.fromkeys(names, most))
    api.push_to(queue, [1])
    batch = api.wait_pop(queue)
    assert api.ack(batch["messages"], "failed")[0]["success"] is True
    api.configure(queue, delayedProcessing=most, windowBuffer=most)
    assert api.pop(queue, consumerGroup="other") is None


def test_a_pop_after_configure_has_the_new_lease(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, [1])
    api.pop(queue)
    api.configure(queue, leaseTime=5000)
    assert api.pop(queue, consumerGroup="g") is not None
    text = (
        "SELECT lease_until > now() + interval '4900 s' FROM cursors JOIN partitions USING (partition_id)"
        " JOIN queues q USING (queue_id) WHERE q.name = %s ORDER BY consumer_group"
    )
    assert server.query(text, queue) == [(False,), (True,)]


def test_configures_at_once_lose_nothing(api: Api, queue: str) -> None:
    names = [name for name, value in DEFAULTS.items() if isinstance(value, int) and not isinstance(value, bool)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda name: api.configure(queue, **{name: 77}), names))
    options = api.configure(queue)["options"]
    assert {name: options[name] for name in names} == dict.fromkeys(names, 77)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "queue"),
        ({"queue": 5}, "queue"),
        ({"queue": None}, "queue"),
        ({"queue": "@"}, "leaseTime"),
        ({"queue": "@", "options": {"leaseTime": -1}}, "leaseTime"),
        ({"queue": "@", "options": {"leaseTime": 0}}, "leaseTime"),
        ({"queue": "@", "options": {"leaseTime": 10**30}}, "leaseTime"),
        ({"queue": "@", "options": {"leaseTime": "60"}}, "leaseTime"),
        ({"queue": "@", "options": {"leaseTime": True}}, "leaseTime"),
        ({"queue": "@", "options": {"retryLimit": 1.5}}, "retryLimit"),
        ({"queue": "@", "options": {"retryLimit": 2**31}}, "retryLimit"),
        ({"queue": "@", "options": {"deadLetterQueue": 1}}, "deadLetterQueue"),
        ({"queue": "@", "options": {"retentionSinkHold": 1}}, "retentionSinkHold"),
        ({"queue": "@", "options": {"maxSize": -1}}, "maxSize"),
        ({"queue": "@", "options": {"maxSize": "9"}}, "maxSize"),
        ({"queue": "@", "options": {"maxSize": 2**31}}, "maxSize"),
        ({"queue": "@", "options": {"priority": -1}}, "priority"),
        ({"queue": "@", "options": {"priority": [1]}}, "priority"),
        ({"queue": "@", "options": {"encryptionEnabled": "true"}}, "encryptionEnabled"),
        ({"queue": "@", "options": {"encryptionEnabled": 1}}, "encryptionEnabled"),
        ({"queue": "@", "options": {"dedupWindowSeconds": 604_801}}, "dedupWindowSeconds"),
        ({"queue": "@", "options": {"windowBuffer": 0.5}}, "windowBuffer"),
        ({"queue": "@", "options": {"leaseTime": 86_401}}, "leaseTime"),
        ({"queue": "@", "options": {"retryDelay": {}}}, "retryDelay"),
        ({"queue": "@", "options": []}, "options"),
        ({"queue": "@", "namespace": 5}, "namespace"),
        ({"queue": "@", "namespace": "a\x00b"}, "namespace"),
        ({"queue": "@", "task": "t" * 256}, "task"),
        ({"queue": "@", "mode": "overwrite"}, "mode"),
        ({"queue": "@" * 256}, "queue"),
        ({"queue": "@\x00"}, "queue"),
    ],
    ids=str,
)
def test_configure_refuses_what_is_wrong_and_writes_nothing(
    api: Api, queue: str, body: dict[str, Any], word: str
) -> None:
    if body.get("queue") == "@":
        body = {**body, "queue": queue}
        if len(body) == 1:
            body["options"] = {"retryLimit": 1, "leaseTime": float("1e300")}
    answer = api.http.post("/api/v1/configure", json=body)
    assert answer.status_code == 400, answer.text
    found = answer.json()
    assert found["code"] == "bad_request"
    assert word in found["error"]
    assert found["hint"]
    assert api.http.get(f"/api/v1/resources/queues/{segment(queue)}").status_code == 404


def test_the_list_of_queues_has_filters_and_pages(api: Api) -> None:
    for name, namespace, task in (("lst-a", "ns1", "t1"), ("lst-B", "ns1", "t2"), ("lst-c", "ns2", "t1")):
        api.configure_with({"queue": name, "namespace": namespace, "task": task})
    api.push_to("lst-a", range(3), "p")
    api.push_to("lst-a", range(2), "q")

    def names(**filters: Any) -> list[str]:
        return [one["name"] for one in api.get("/api/v1/resources/queues", **filters)["queues"]]

    assert sorted(names(search="lst-")) == ["lst-B", "lst-a", "lst-c"]
    assert names(search="LST-b") == ["lst-B"]
    assert names(search="lst_") == [], "a search is a text, not a pattern"
    assert sorted(names(namespace="ns1")) == ["lst-B", "lst-a"]
    assert names(namespace="ns1", task="t1") == ["lst-a"]
    ordered = names(search="lst-")
    page = api.http.get("/api/v1/resources/queues", params={"search": "lst-", "limit": 2})
    assert [one["name"] for one in page.json()["queues"]] == ordered[:2]
    assert page.headers["queen-more"] == "true"
    rest = api.http.get("/api/v1/resources/queues", params={"search": "lst-", "limit": 2, "offset": 2})
    assert [one["name"] for one in rest.json()["queues"]] == ordered[2:]
    assert "queen-more" not in rest.headers
    [listed] = api.get("/api/v1/resources/queues", search="lst-a")["queues"]
    assert (listed["partitions"], listed["messages"]["total"], listed["messages"]["pending"]) == (2, 5, 5)


def test_a_queue_shows_its_options_partitions_and_totals(api: Api, queue: str) -> None:
    api.configure_with({"queue": queue, "namespace": "n", "task": "t", "options": {"leaseTime": 60}})
    api.push_to(queue, range(5), "a")
    api.push_to(queue, range(3), "b")
    batch = api.pop(queue, "a", batch=4)
    assert batch is not None
    api.ack(batch["messages"][:1])
    shown = api.get(f"/api/v1/resources/queues/{segment(queue)}")
    assert shown["name"] == queue
    assert shown["options"] == {**DEFAULTS, "leaseTime": 60, "namespace": "n", "task": "t"}
    assert shown["totals"] == {
        "total": 8, "pending": 7, "processing": 3, "completed": 1, "failed": None, "deadLetter": 0
    }  # fmt: skip
    by_name = {one["name"]: one for one in shown["partitions"]}
    assert by_name.keys() == {"a", "b"}
    assert by_name["a"]["id"] == batch["partitionId"]
    assert (by_name["a"]["stats"]["total"], by_name["b"]["stats"]["pending"]) == (5, 3)
    assert by_name["a"]["oldestMessage"] <= by_name["a"]["newestMessage"]


def test_a_queue_that_is_not_there_is_not_found(api: Api) -> None:
    answer = api.http.get("/api/v1/resources/queues/nobody")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "Queue not found",
        "code": "not_found",
        "hint": "GET /api/v1/resources/queues lists the queues",
    }


def test_push_derives_namespace_and_task_from_the_name(api: Api) -> None:
    for name, namespace, task in (
        ("parcels.scanned.eu", "parcels", "scanned"),
        ("single", "single", ""),
        (".x", "", "x"),
    ):
        api.push_to(name, [1])
        shown = api.get(f"/api/v1/resources/queues/{segment(name)}")
        assert (shown["namespace"], shown["task"]) == (namespace, task)


def test_delete_removes_all_and_the_name_may_be_used_again(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, ["old"], "p")
    batch = api.pop(queue, consumerGroup="g")
    assert batch is not None
    path = f"/api/v1/resources/queues/{segment(queue)}"
    assert api.delete(path) == {"deleted": True, "queue": queue, "existed": True}
    assert api.http.get(path).status_code == 404
    assert api.ack(batch["messages"])[0]["success"] is False
    assert api.extend(batch["leaseId"])["renewed"] == 0
    [again] = api.push([{"queue": queue, "partition": "p", "transactionId": "t0", "payload": "new"}])
    assert again["status"] == "queued", "what was known of the old one is forgotten"
    assert again["partition_id"] != batch["partitionId"]
    fresh = api.pop(queue, consumerGroup="g")
    assert fresh is not None
    assert data(fresh) == ["new"]
    missing = api.delete("/api/v1/resources/queues/nobody")
    assert (missing["deleted"], missing["existed"], missing["queue"]) == (False, False, "nobody")


def test_pushes_and_polls_survive_that_their_queue_is_deleted(api: Api, server: EmbeddedServer, queue: str) -> None:
    path = f"/api/v1/resources/queues/{segment(queue)}"
    api.push_to(queue, [1])
    api.drain(queue)
    with ThreadPoolExecutor(4) as threads:
        waiting = threads.submit(api.pop, queue, wait="true", timeout=15_000)
        wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
        api.delete(path)
        pushes = [
            threads.submit(api.push, [{"queue": queue, "payload": number, "transactionId": str(number)}])
            for number in range(60)
        ]
        for _ in range(3):
            api.delete(path)
        assert {future.result()[0]["status"] for future in pushes} == {"queued"}
        waiting.result()
    api.push([{"queue": queue, "payload": "last"}])
    assert api.drain(queue, "after")[-1]["data"] == "last"
