"""Consumer groups over HTTP: each field of each answer, each refusal, and seeks while consumers wait and work."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from queen.server.shapes.groups import Group, GroupQueue, LaggingPartition
from tests.acceptance.test_instances import Poll
from tests.support.api import Api, data, segment
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

GROUPS = "/api/v1/consumer-groups"
LONG = "n" * 256
AWKWARD = "a/b %2F é 🐝?#&"


def at(path: str, *names: str) -> str:
    """A path below the groups with names in it."""
    return GROUPS + path.format(*map(segment, names))


def seek(api: Api, group: str, queue: str, **body: Any) -> dict[str, Any]:
    answer = api.http.post(at("/{}/queues/{}/seek", group, queue), json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def seek_partition(api: Api, group: str, queue: str, partition: str, **body: Any) -> dict[str, Any]:
    answer = api.http.post(at("/{}/queues/{}/partitions/{}/seek", group, queue, partition), json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def listed(api: Api, queue: str) -> dict[str, dict[str, Any]]:
    """The list's entries of a queue, by group."""
    found: list[dict[str, Any]] = api.get(GROUPS)
    TypeAdapter(list[Group]).validate_python(found, strict=True)
    return {entry["name"]: entry for entry in found if entry["queueName"] == queue}


def make_older(server: EmbeddedServer, queue: str, seconds: int) -> None:
    """All that is stored in a queue, and its partitions."""
    for table, columns in (("messages", ("created_at",)), ("partitions", ("created_at", "last_write_at"))):
        for column in columns:
            server.query(
                f"update {table} set {column} = {column} - %s * interval '1 second'"
                " where queue_id = (select queue_id from queues where name = %s)",
                seconds,
                queue,
            )


def three_days(api: Api, server: EmbeddedServer, queue: str) -> list[datetime]:
    """Messages 0 to 8 in one partition, three a day, each day's in a child table of its own; the time of each day's."""
    for day in range(3):
        if day:
            make_older(server, queue, 86_400)
            server.query("select open_epoch((select max(epoch) + 1 from epochs))")
        items = [{"queue": queue, "payload": 3 * day + n} for n in range(3)]
        api.push(items)
    rows = server.query(
        "select distinct m.created_at from messages m join queues using (queue_id) where name = %s order by 1", queue
    )
    return [row[0] for row in rows]


# List, detail, lag.


def test_a_list_entry_has_all_fields(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push([{"queue": queue, "partition": str(n % 2), "payload": n} for n in range(6)])
    batch = api.pop(queue, consumerGroup="g", batch=2)
    assert batch is not None
    api.settle(batch)
    make_older(server, queue, 100)
    entry = listed(api, queue)["g"]
    lag = entry.pop("maxTimeLag")
    created = entry.pop("subscriptionCreatedAt")
    assert entry == {
        "name": "g",
        "topics": [queue],
        "queueName": queue,
        "members": 2,
        "partitionCursors": 2,
        "partitionsWithLag": 2,
        "totalLag": 4,
        "state": "Stable",
        "subscriptionMode": "all",
        "subscriptionTimestamp": None,
        "conflation": False,
    }
    assert 100 <= lag < 200
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=5)


def test_states_of_groups(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, range(3))
    for group in ("idle", ""):
        assert api.pop(queue, consumerGroup=group, batch=1, leaseSeconds=1) is not None
    api.drain(queue, "eager")
    states = {name: entry["state"] for name, entry in listed(api, queue).items()}
    assert states == {"eager": "Stable", "idle": "Dead", "__QUEUE_MODE__": "Dead"}
    make_older(server, queue, 301)
    states = {name: entry["state"] for name, entry in listed(api, queue).items()}
    assert states == {"eager": "Stable", "idle": "Lagging", "__QUEUE_MODE__": "Lagging"}
    assert listed(api, queue)["__QUEUE_MODE__"]["subscriptionMode"] is None


def test_a_group_that_came_before_any_message_is_listed(api: Api, queue: str) -> None:
    assert api.pop(queue, consumerGroup="early", subscriptionMode="new") is None
    entry = listed(api, queue)["early"]
    assert (entry["members"], entry["totalLag"], entry["maxTimeLag"], entry["state"]) == (0, 0, 0, "Dead")
    assert entry["subscriptionMode"] == "new"
    assert entry["subscriptionTimestamp"] is not None


def test_a_list_is_paged(api: Api, queue: str) -> None:
    for n in range(3):
        api.pop(queue, consumerGroup=f"paged{n}")
    whole = api.get(GROUPS)
    found = []
    for offset in range(len(whole)):
        answer = api.http.get(GROUPS, params={"limit": 1, "offset": offset})
        assert ("queen-more" in answer.headers) == (offset < len(whole) - 1)
        found += answer.json()
    assert [(entry["name"], entry["queueName"]) for entry in found] == [
        (entry["name"], entry["queueName"]) for entry in whole
    ]


def test_where_a_group_stands_has_all_fields(api: Api, server: EmbeddedServer, queue: str) -> None:
    for partition in "ab":
        api.push_to(queue, range(3), partition)
    batch = api.pop(queue, "a", consumerGroup="g.detail", batch=1)
    assert batch is not None
    api.settle(batch)
    batch = api.pop(queue, "a", consumerGroup="g.detail", batch=1)
    assert batch is not None
    make_older(server, queue, 100)
    found = api.get(at("/{}", "g.detail"))
    TypeAdapter(dict[str, GroupQueue]).validate_python(found, strict=True)
    assert set(found) == {queue}
    assert found[queue]["conflation"] is False
    one, two = found[queue]["partitions"]
    assert 100 <= one.pop("timeLagSeconds") < 200
    assert one == {
        "partition": "a",
        "workerId": batch["messages"][0]["leaseId"],
        "lastConsumedAt": None,
        "totalConsumed": 1,
        "offsetLag": 2,
        "leaseActive": True,
    }
    assert (two["partition"], two["workerId"], two["leaseActive"], two["offsetLag"]) == ("b", None, False, 3)
    answer = api.http.get(at("/{}", "g.detail"), params={"limit": 1})
    assert answer.headers["queen-more"] == "true"
    assert [one["partition"] for one in answer.json()[queue]["partitions"]] == ["a"]
    answer = api.http.get(at("/{}", "g.detail"), params={"limit": 10_000})
    assert "queen-more" not in answer.headers


def test_an_unknown_group_stands_nowhere(api: Api) -> None:
    assert api.get(at("/{}", "nobody")) == {}


def test_what_lags_has_all_fields(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, range(3), "slow")
    batch = api.pop(queue, consumerGroup="g.lag", batch=1)
    assert batch is not None
    make_older(server, queue, 7200)
    rows = [row for row in api.get(GROUPS + "/lagging") if row["queue_name"] == queue]
    TypeAdapter(list[LaggingPartition]).validate_python(rows, strict=True)
    assert len(rows) == 1
    row = rows[0]
    assert 7200 <= row["time_lag_seconds"] < 7300
    assert datetime.fromisoformat(row.pop("oldest_unconsumed_at")).tzinfo is not None
    assert row == {
        "consumer_group": "g.lag",
        "queue_name": queue,
        "partition_name": "slow",
        "partition_id": batch["messages"][0]["partitionId"],
        "worker_id": batch["messages"][0]["leaseId"],
        "offset_lag": 3,
        "time_lag_seconds": row["time_lag_seconds"],
        "lag_hours": round(row["time_lag_seconds"] / 3600, 2),
        "last_consumed_at": None,
    }
    assert not [row for row in api.get(GROUPS + "/lagging", minLagSeconds=8000) if row["queue_name"] == queue]
    assert [row for row in api.get(GROUPS + "/lagging", minLagSeconds="soon") if row["queue_name"] == queue]


def test_what_lags_is_paged_by_the_offset_that_the_answer_names(api: Api, server: EmbeddedServer, queue: str) -> None:
    for n in range(4):
        api.push_to(queue, [n], f"p{n}")
    assert api.pop(queue, consumerGroup="g.pages") is not None
    make_older(server, queue, 10_000_000)
    found, offset = [], 0
    while True:
        answer = api.http.get(GROUPS + "/lagging", params={"minLagSeconds": 9_000_000, "limit": 1, "offset": offset})
        found += [row["partition_name"] for row in answer.json()]
        assert len(answer.json()) <= 1
        if "queen-more" not in answer.headers:
            break
        assert int(answer.headers["queen-next-offset"]) > offset
        offset = int(answer.headers["queen-next-offset"])
    assert found == ["p0", "p1", "p2", "p3"]


# Subscription.


def test_a_new_subscription_moves_no_cursor_and_counts_for_untouched_partitions(api: Api, queue: str) -> None:
    api.push_to(queue, range(2), "touched")
    batch = api.pop(queue, consumerGroup="g.sub")
    assert batch is not None
    api.settle(batch)
    answer = api.http.post(at("/{}/subscription", "g.sub"), json={"subscriptionTimestamp": "2999-01-01T01:00:00+01:00"})
    assert answer.json() == {
        "success": True,
        "consumerGroup": "g.sub",
        "newTimestamp": "2999-01-01T00:00:00.000000Z",
        "rowsUpdated": 1,
    }
    entry = listed(api, queue)["g.sub"]
    assert (entry["subscriptionMode"], entry["subscriptionTimestamp"]) == ("timestamp", "2999-01-01T00:00:00.000000Z")
    api.push_to(queue, [7], "untouched")
    api.push([{"queue": queue, "partition": "touched", "payload": 8}])
    assert data(api.wait_pop(queue, consumerGroup="g.sub", partitions=0)) == [8]


def test_a_subscription_of_an_unknown_group_is_no_error(api: Api) -> None:
    answer = api.http.post(at("/{}/subscription", "nobody"), json={"subscriptionTimestamp": "2026-01-01"})
    assert (answer.status_code, answer.json()["rowsUpdated"]) == (200, 0)


# Seek.


def test_a_seek_to_the_end(api: Api, queue: str) -> None:
    for partition in "ab":
        api.push_to(queue, range(3), partition)
    assert seek(api, "g", queue, toEnd=True) == {
        "success": True,
        "consumerGroup": "g",
        "queueName": queue,
        "seekToEnd": True,
        "targetTimestamp": None,
        "partitionsUpdated": 2,
    }
    assert api.pop(queue, consumerGroup="g", partitions=0) is None
    api.push([{"queue": queue, "partition": "b", "payload": "new"}])
    assert data(api.wait_pop(queue, consumerGroup="g")) == ["new"]


@pytest.mark.parametrize("day", [0, 1, 2])
def test_a_seek_back_to_a_time_delivers_from_there_on(api: Api, server: EmbeddedServer, queue: str, day: int) -> None:
    times = three_days(api, server, queue)
    assert len(api.drain(queue, "g")) == 9
    answer = seek(api, "g", queue, timestamp=times[day].astimezone(UTC).isoformat())
    assert datetime.fromisoformat(answer["targetTimestamp"]) == times[day]
    assert (answer["seekToEnd"], answer["partitionsUpdated"]) == (False, 1)
    assert [message["data"] for message in api.drain(queue, "g", batch=2)] == list(range(3 * day, 9))
    assert len(server.query("select distinct epoch from messages where queue_id = (select queue_id from queues"
                            " where name = %s)", queue)) == 3  # fmt: skip


def test_a_seek_in_one_partition_leaves_the_others(api: Api, server: EmbeddedServer, queue: str) -> None:
    for partition in "ab":
        api.push_to(queue, range(3), partition)
    api.drain(queue, "g")
    assert seek_partition(api, "g", queue, "a", timestamp="2000-01-01") == {
        "success": True,
        "consumerGroup": "g",
        "queueName": queue,
        "partitionName": "a",
        "seekToEnd": False,
        "targetTimestamp": "2000-01-01T00:00:00.000000Z",
        "updated": True,
    }
    again = api.drain(queue, "g")
    assert [(message["partition"], message["data"]) for message in again] == [("a", 0), ("a", 1), ("a", 2)]


@pytest.mark.parametrize("body", [b"", b"{}", b" \n", b'{"toEnd":true}', b'{"toEnd":true,"timestamp":null}'], ids=repr)
def test_an_empty_body_on_a_partition_means_the_end(api: Api, queue: str, body: bytes) -> None:
    api.push_to(queue, range(3), "p")
    answer = api.http.post(at("/{}/queues/{}/partitions/{}/seek", "g", queue, "p"), content=body)
    assert (answer.status_code, answer.json()["seekToEnd"]) == (200, True)
    assert api.pop(queue, consumerGroup="g") is None


def test_queue_mode_is_sought_under_its_name(api: Api, queue: str) -> None:
    api.push_to(queue, range(3))
    api.drain(queue)
    seek(api, "__QUEUE_MODE__", queue, timestamp="2000-01-01")
    assert [message["data"] for message in api.drain(queue)] == [0, 1, 2]


def test_names_of_all_kinds(api: Api, queue: str) -> None:
    name = f"{queue} {AWKWARD}"[-255:]
    api.push([{"queue": name, "partition": name, "payload": 1}])
    assert seek_partition(api, name, name, name)["updated"] is True
    assert seek(api, name, name, timestamp="2000-01-01")["partitionsUpdated"] == 1
    assert api.get(at("/{}", name))[name]["partitions"][0]["partition"] == name
    assert data(api.wait_pop(name, consumerGroup=name)) == [1]
    left = api.delete(at("/{}/queues/{}", name, name))
    assert (left["consumerGroup"], left["queueName"], left["deletedPartitions"]) == (name, name, 1)


def test_a_seek_ends_leases_and_late_acks_are_refused(api: Api, queue: str) -> None:
    api.push_to(queue, range(3))
    held = api.pop(queue, consumerGroup="g", batch=2)
    assert held is not None
    seek(api, "g", queue, timestamp="2000-01-01")
    again = api.wait_pop(queue, consumerGroup="g")
    assert data(again) == [0, 1, 2]
    assert again["messages"][0]["deliveryAttempt"] == 1
    results = api.ack(held["messages"])
    assert [result["success"] for result in results] == [False, False]
    assert results[0]["error"] == "invalid or expired lease"
    api.settle(again)


def test_a_seek_wakes_a_waiting_pop(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, range(3))
    api.drain(queue, "g")
    for partition in (None, "Default"):
        poll = Poll(server, lambda own: own.wait_pop(queue, consumerGroup="g", leaseSeconds=1))
        since = time.monotonic()
        if partition is None:
            seek(api, "g", queue, timestamp="2000-01-01")
        else:
            seek_partition(api, "g", queue, partition, timestamp="2000-01-01")
        assert poll.ended(since) < 10
        assert data(poll.batch) == [0, 1, 2]
        api.settle(poll.batch)


def test_seeks_under_load_lose_nothing(api: Api, server: EmbeddedServer, queue: str) -> None:
    """Consumers that ack what they got, seeks to and fro: in the end a seek back delivers everything, in order."""
    for partition in "abc":
        api.push_to(queue, range(50), partition)
    over = threading.Event()
    refused: list[dict[str, Any]] = []

    def consume() -> None:
        with Api(server.url) as own:
            while not over.is_set():
                batch = own.pop(queue, consumerGroup="g", batch=20, partitions=2)
                for result in own.ack(batch["messages"]) if batch else []:
                    if not result["success"] and result["error"] != "invalid or expired lease":
                        refused.append(result)

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(60):
            if turn % 4:
                seek(api, "g", queue, **({"timestamp": "2000-01-01"} if turn % 2 else {"toEnd": True}))
            else:
                seek_partition(api, "g", queue, "b", timestamp="2000-01-01")
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert refused == []
    seek(api, "g", queue, timestamp="2000-01-01")
    found = api.drain(queue, "g")
    for partition in "abc":
        assert [message["data"] for message in found if message["partition"] == partition] == list(range(50))


def test_a_queue_deleted_while_it_is_sought(api: Api, server: EmbeddedServer, queue: str) -> None:
    statuses: set[int] = set()
    over = threading.Event()

    def work() -> None:
        with Api(server.url) as own:
            while not over.is_set():
                answer = own.http.post(at("/{}/queues/{}/seek", "g", queue), json={"toEnd": True})
                statuses.add(answer.status_code)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            api.push([{"queue": queue, "partition": str(n), "payload": n} for n in range(20)])
            api.delete(f"/api/v1/resources/queues/{queue}")
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert statuses <= {200, 404}
    orphans = server.query(
        "select * from cursors c where not exists (select from partitions p where p.partition_id = c.partition_id)"
    )
    assert orphans == []


# Delete on one queue.


def test_a_group_leaves_one_queue(api: Api, queue: str) -> None:
    other = f"{queue}.other"
    for name in (queue, other):
        api.push_to(name, range(3))
        api.drain(name, "g.leaves")
    assert api.delete(at("/{}/queues/{}", "g.leaves", queue)) == {
        "success": True,
        "consumerGroup": "g.leaves",
        "queueName": queue,
        "deletedPartitions": 1,
        "metadataDeleted": True,
    }
    assert [message["data"] for message in api.drain(queue, "g.leaves")] == [0, 1, 2]
    assert api.drain(other, "g.leaves") == []


def test_without_its_metadata_it_starts_where_it_was_registered(api: Api, queue: str) -> None:
    assert api.pop(queue, consumerGroup="g", subscriptionMode="new") is None
    api.push_to(queue, range(3))
    api.drain(queue, "g")
    left = api.delete(at("/{}/queues/{}", "g", queue), deleteMetadata="false")
    assert (left["deletedPartitions"], left["metadataDeleted"]) == (1, False)
    assert [message["data"] for message in api.drain(queue, "g")] == [0, 1, 2]
    assert listed(api, queue)["g"]["subscriptionMode"] == "new"


def test_leaving_what_is_not_there_is_no_error(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    for group, name in (("nobody", queue), ("g", "no such queue")):
        left = api.delete(at("/{}/queues/{}", group, name))
        assert (left["success"], left["deletedPartitions"]) == (True, 0)


# Bad input.

SEEK, SEEK_PARTITION, SUBSCRIPTION = "/g/queues/{}/seek", "/g/queues/{}/partitions/Default/seek", "/g/subscription"
BAD_SEEKS = [
    (b"{", "bad body"),
    (b"[]", "object"),
    (b"null", "object"),
    (b'"end"', "object"),
    (b"\xff", "bad body"),
    (b'{"toEnd":false}', "Must specify toEnd=true or a timestamp"),
    (b'{"toEnd":null,"timestamp":""}', "Must specify toEnd=true or a timestamp"),
    (b'{"timestamp":null}', "Must specify toEnd=true or a timestamp"),
    (b'{"other":1}', "Must specify toEnd=true or a timestamp"),
    (b'{"toEnd":"true"}', "toEnd"),
    (b'{"toEnd":1}', "toEnd"),
    (b'{"toEnd":true,"timestamp":"2026-01-01"}', "exclude"),
    (b'{"timestamp":"yesterday"}', "timestamp"),
    (b'{"timestamp":"2026-13-01"}', "timestamp"),
    (b'{"timestamp":"2026-01-01T25:00:00Z"}', "timestamp"),
    (b'{"timestamp":"0001-01-01T00:00:00+14:00"}', "timestamp"),
    (b'{"timestamp":"9999-12-31T23:59:59-14:00"}', "timestamp"),
    (b'{"timestamp":"10000-01-01"}', "timestamp"),
    (b'{"timestamp":"infinity"}', "timestamp"),
    (b'{"timestamp":"\\u0000"}', "timestamp"),
    (b'{"timestamp":1767225600}', "timestamp"),
    (b'{"timestamp":true}', "timestamp"),
    (b'{"timestamp":{}}', "timestamp"),
]


def refuse(api: Api, path: str, body: bytes, words: str) -> None:
    answer = api.http.post(GROUPS + path, content=body)
    assert answer.status_code == 400, answer.text
    found = answer.json()
    assert found["code"] == "bad_request"
    assert words in found["error"]
    assert found["hint"]


@pytest.mark.parametrize("path", [SEEK, SEEK_PARTITION])
@pytest.mark.parametrize(("body", "words"), BAD_SEEKS, ids=lambda value: repr(value)[:60])
def test_a_bad_seek_is_refused(api: Api, queue: str, path: str, body: bytes, words: str) -> None:
    refuse(api, path.format("no-queue"), body, words)


@pytest.mark.parametrize("body", [b"", b"{}", b" "], ids=repr)
def test_a_seek_of_a_queue_says_where_to(api: Api, body: bytes) -> None:
    refuse(api, SEEK.format("q"), body, "Must specify toEnd=true or a timestamp")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "subscriptionTimestamp is required"),
        (b"{}", "subscriptionTimestamp is required"),
        (b'{"subscriptionTimestamp":null}', "subscriptionTimestamp is required"),
        (b'{"subscriptionTimestamp":""}', "subscriptionTimestamp is required"),
        (b'{"subscriptionTimestamp":5}', "subscriptionTimestamp must be"),
        (b'{"subscriptionTimestamp":"soon"}', "subscriptionTimestamp must be"),
        (b"[]", "object"),
        (b"{", "bad body"),
    ],
    ids=repr,
)
def test_a_bad_subscription_is_refused(api: Api, body: bytes, words: str) -> None:
    refuse(api, SUBSCRIPTION, body, words)


@pytest.mark.parametrize(
    "path",
    [
        f"/{LONG}/queues/q/seek",
        f"/g/queues/{LONG}/seek",
        f"/g/queues/q/partitions/{LONG}/seek",
        f"/{LONG}/subscription",
        "/%00/queues/q/seek",
        "/g/queues/%00/partitions/p/seek",
    ],
    ids=lambda path: path[:30] + path[-10:],
)
def test_a_bad_name_is_refused(api: Api, path: str) -> None:
    answer = api.http.post(GROUPS + path, json={"toEnd": True, "subscriptionTimestamp": "2026-01-01"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("made", [False, True], ids=["unknown", "without partitions"])
def test_a_seek_of_a_queue_with_nothing_in_it(api: Api, queue: str, made: bool) -> None:
    if made:
        api.configure(queue, leaseTime=5)
    answer = api.http.post(at("/{}/queues/{}/seek", "g", queue), json={"toEnd": True})
    assert answer.status_code == 404
    found = answer.json()
    assert found.pop("hint")
    assert found == {
        "success": False,
        "error": "Queue not found or has no partitions",
        "code": "not_found",
        "consumerGroup": "g",
        "queueName": queue,
        "partitionsUpdated": 0,
    }


def test_a_seek_of_an_unknown_partition(api: Api, queue: str) -> None:
    api.push_to(queue, [1], "p")
    for name, partition in ((queue, "other"), ("no such queue", "p")):
        answer = api.http.post(at("/{}/queues/{}/partitions/{}/seek", "g", name, partition))
        assert answer.status_code == 404
        found = answer.json()
        assert found.pop("hint")
        assert found == {"success": False, "error": "Partition not found", "code": "not_found"}
    assert "g" not in listed(api, queue)
