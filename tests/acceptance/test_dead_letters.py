"""Dead letters against a real server: they go back once, wake who waits, go in bulk, or are removed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from queen import model
from queen.server.shapes.dead_letters import (
    DeadLetterList,
    DeadLettersDeleted,
    Replayed,
    ReplayGone,
    ReplayPreview,
    ReplayProgress,
)
from tests.support.api import Api, data, segment
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


def bury(api: Api, queue: str, count: int = 1, error: str = "broken", partition: str = "p") -> list[dict[str, Any]]:
    """Make dead letters of queue mode; their records, oldest first."""
    before = api.dead_letters(queue=queue)["total"]
    for number in range(count):
        api.push([{"queue": queue, "partition": partition, "payload": {"n": number}}])
        batch = api.pop(queue, partition)
        assert batch is not None
        api.ack(batch["messages"], "dlq", f"{error} {number}")
    listed = api.dead_letters(queue=queue, limit=1000)
    DeadLetterList.model_validate(listed)
    assert listed["total"] == before + count
    return list(reversed(listed["messages"]))[before:]


def replay(api: Api, record_id: str, body: Any = None) -> dict[str, Any]:
    content = b"" if body is None else json.dumps(body).encode()
    answer = api.http.post(f"/api/v1/dlq/{record_id}/replay", content=content)
    assert answer.status_code == 200, answer.text
    Replayed.model_validate(answer.json())
    return dict(answer.json())


def many(api: Api, **body: Any) -> list[dict[str, Any]]:
    """The lines of a replay of many."""
    answer = api.http.post("/api/v1/dlq/replay", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for line in lines:
        ReplayProgress.model_validate(line)
    return lines


def preview(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.http.post("/api/v1/dlq/replay", json={**body, "preview": True})
    assert answer.status_code == 200, answer.text
    ReplayPreview.model_validate(answer.json())
    return dict(answer.json())


def test_a_replay_moves_a_record_to_the_end_of_its_partition(api: Api, queue: str) -> None:
    (record,) = bury(api, queue)
    done = replay(api, record["id"])
    name = f"dlq:{record['id']}"
    message_id = model.encode_id(model.MESSAGE, (model.partition_number(record["partitionId"]) or 0), 1)
    assert done == {
        "success": True,
        "result": "moved",
        "queue": queue,
        "partition": "p",
        "consumerGroup": "__QUEUE_MODE__",
        "dlqId": record["id"],
        "originalTransactionId": record["transactionId"],
        "replayedAs": {
            "index": 0,
            "message_id": message_id,
            "transaction_id": name,
            "queueName": queue,
            "status": "queued",
            "offset": 1,
        },
        "dlqRowRemoved": True,
    }
    batch = api.pop(queue)
    assert batch is not None
    assert [(one["id"], one["transactionId"], one["data"]) for one in batch["messages"]] == [
        (message_id, name, {"n": 0})
    ]
    assert api.dead_letters(queue=queue)["total"] == 0


def test_a_replay_goes_elsewhere(api: Api, queue: str) -> None:
    one, two = bury(api, queue, 2)
    done = replay(api, one["id"], {"queue": f"{queue}.new"})
    assert (done["queue"], done["partition"]) == (f"{queue}.new", "p")
    done = replay(api, two["id"], {"partition": "other"})
    assert (done["queue"], done["partition"]) == (queue, "other")
    assert data(api.pop(f"{queue}.new", "p") or {}) == [{"n": 0}]
    assert data(api.pop(queue, "other") or {}) == [{"n": 1}]


def test_a_replay_that_is_stored_already_removes_nothing(api: Api, queue: str) -> None:
    (record,) = bury(api, queue)
    own = f"dlq:{record['id']}"
    pushed = api.push([{"queue": queue, "partition": "p", "payload": 0, "transactionId": own}])[0]
    done = replay(api, record["id"])
    assert (done["success"], done["result"], done["dlqRowRemoved"]) == (False, "duplicate", False)
    assert (done["replayedAs"]["status"], done["replayedAs"]["message_id"]) == ("duplicate", pushed["message_id"])
    assert api.dead_letters(queue=queue)["total"] == 1


def test_a_retry_takes_the_newest_record_of_its_address(api: Api, queue: str) -> None:
    api.push([{"queue": queue, "payload": 1, "transactionId": "a/b"}])
    for group in ("one", "two"):
        batch = api.pop(queue, consumerGroup=group)
        assert batch is not None
        api.ack(batch["messages"], "dlq", group)
    records = api.dead_letters(queue=queue)["messages"]
    path = f"/api/v1/messages/{records[0]['partitionId']}/{segment('a/b')}/retry"
    for record in records:
        answer = api.http.post(path)
        assert answer.status_code == 200, answer.text
        Replayed.model_validate(answer.json())
        assert (answer.json()["dlqId"], answer.json()["consumerGroup"]) == (record["id"], record["consumerGroup"])
    assert api.http.post(path).status_code == 404


def test_the_records_of_a_deleted_queue_are_gone(api: Api, queue: str) -> None:
    (record,) = bury(api, queue)
    api.delete(f"/api/v1/resources/queues/{segment(queue)}")
    assert api.http.post(f"/api/v1/dlq/{record['id']}/replay").json()["result"] == "gone"
    assert api.http.post("/api/v1/dlq/replay", json={"queue": queue}).status_code == 404


def test_a_target_that_was_deleted_unheard_of_is_made_again(api: Api, server: EmbeddedServer, queue: str) -> None:
    one, two = bury(api, queue, 2)
    for record, body in ((one, None), (two, {"queue": queue, "toQueue": f"{queue}.to", "toPartition": "p"})):
        api.push([{"queue": f"{queue}.to", "partition": "p", "payload": 0}])
        server.query("SELECT delete_queue(%s)", f"{queue}.to")
        if body is None:
            assert replay(api, record["id"], {"queue": f"{queue}.to"})["result"] == "moved"
        else:
            assert many(api, **body)[-1]["replayed"] == 1
        assert len(api.pop(f"{queue}.to")["messages"]) == 1  # type: ignore[index]
        api.delete(f"/api/v1/resources/queues/{segment(queue)}.to")


def test_of_many_replays_at_once_exactly_one_stores(api: Api, queue: str) -> None:
    (record,) = bury(api, queue)

    def one(number: int) -> int:
        body = {"partition": f"p{number % 3}"} if number % 2 else {}
        return api.http.post(f"/api/v1/dlq/{record['id']}/replay", json=body).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(one, range(16)))
    assert sorted(statuses) == [200] + [404] * 15
    assert len(api.drain(queue)) == 1


def test_a_replay_wakes_a_waiting_pop(api: Api, server: EmbeddedServer, queue: str) -> None:
    (record,) = bury(api, queue)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(api.wait_pop, queue)
        wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
        replay(api, record["id"])
        assert data(waiting.result(60)) == [{"n": 0}]


@pytest.fixture
def other_api(server: EmbeddedServer, module_servers: MakeServer) -> Iterator[Api]:
    """Another server on the same database."""
    other = module_servers(beside=server, QUEEN_ENGINE__SWEEP_MS="600000")
    other.start()
    wait_until(lambda: other.metrics()["sizes"]["peers"] == 1, "the two to know of each other")
    wait_until(lambda: other.metrics()["sizes"]["listening"] == 1, "it to listen")
    with Api(other.url) as made:
        yield made
    other.terminate()


def test_a_replay_wakes_a_waiting_pop_of_another_server(api: Api, other_api: Api, queue: str) -> None:
    (record,) = bury(api, queue)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(other_api.wait_pop, queue)
        wait_until(lambda: other_api.get("/metrics")["sizes"]["parked_polls"] == 1, "the poll to be parked")
        began_at = time.monotonic()
        replay(api, record["id"])
        assert data(waiting.result(60)) == [{"n": 0}]
        assert time.monotonic() - began_at < 30, "by an announcement, not at the end of its time"


def test_a_replay_of_many_goes_in_order_and_leaves_the_rest(api: Api, queue: str) -> None:
    bury(api, queue, 3, "tariff service")
    bury(api, queue, 2, "poison")
    lines = many(api, queue=queue, error="TARIFF")
    assert lines[-1] | {"last": None} == {"replayed": 3, "duplicates": 0, "gone": 0, "last": None, "done": True}
    assert [message["data"]["n"] for message in api.drain(queue)] == [0, 1, 2]
    assert api.dead_letters(queue=queue)["total"] == 2


def test_a_replay_of_many_goes_on_where_the_last_one_ended(api: Api, queue: str) -> None:
    bury(api, queue, 5)
    assert many(api, queue=queue, limit=2)[-1]["replayed"] == 2
    assert many(api, queue=queue, limit=2)[-1]["done"] is False
    assert many(api, queue=queue)[-1] | {"last": None} == {
        "replayed": 1, "duplicates": 0, "gone": 0, "last": None, "done": True
    }  # fmt: skip
    assert [message["data"]["n"] for message in api.drain(queue)] == [0, 1, 2, 3, 4]


def test_a_replay_of_many_goes_elsewhere(api: Api, queue: str) -> None:
    bury(api, queue, 2, partition="a")
    bury(api, queue, 1, partition="b")
    assert many(api, queue=queue, limit=2, toQueue=f"{queue}.new")[-1]["replayed"] == 2
    assert many(api, queue=queue, toQueue=f"{queue}.new", toPartition="one")[-1]["replayed"] == 1
    assert len(api.pop(f"{queue}.new", "a")["messages"]) == 2  # type: ignore[index]
    assert len(api.pop(f"{queue}.new", "one")["messages"]) == 1  # type: ignore[index]


def test_a_duplicate_among_many_stays(api: Api, queue: str) -> None:
    one, _ = bury(api, queue, 2)
    api.push([{"queue": queue, "partition": "p", "payload": 0, "transactionId": f"dlq:{one['id']}"}])
    last = many(api, queue=queue)[-1]
    assert (last["replayed"], last["duplicates"], last["done"]) == (1, 1, True)
    assert [record["id"] for record in api.dead_letters(queue=queue)["messages"]] == [one["id"]]


def test_a_rate_is_kept(api: Api, queue: str) -> None:
    bury(api, queue, 4)
    began_at = time.monotonic()
    lines = many(api, queue=queue, ratePerSecond=5)
    assert time.monotonic() - began_at >= 0.55
    assert [line["replayed"] for line in lines] == [1, 2, 3, 4, 4]


def test_a_client_that_leaves_stops_it(api: Api, queue: str) -> None:
    bury(api, queue, 4)
    with api.http.stream("POST", "/api/v1/dlq/replay", json={"queue": queue, "ratePerSecond": 0.5}) as answer:
        assert json.loads(next(answer.iter_lines()))["replayed"] == 1
    time.sleep(2.5)  # Longer than to the next one.
    assert api.dead_letters(queue=queue)["total"] == 3


def test_a_preview_moves_nothing(api: Api, queue: str) -> None:
    records = bury(api, queue, 12)
    found = preview(api, queue=queue)
    assert (found["matched"], found["complete"]) == (12, True)
    assert [record["id"] for record in found["first"]] == [record["id"] for record in records[:10]]
    assert preview(api, queue=queue, error="broken 11")["first"] == [records[11]]
    assert preview(api, queue=queue, limit=3)["matched"] == 3
    assert preview(api, queue=queue, consumerGroup="nobody") == {
        "preview": True, "queue": queue, "matched": 0, "complete": True, "first": []
    }  # fmt: skip
    assert preview(api, queue=queue, **{"from": "2999-01-01T00:00:00Z"})["matched"] == 0
    assert api.dead_letters(queue=queue)["total"] == 12


def test_dead_letters_are_removed_by_queue_and_group(api: Api, queue: str) -> None:
    bury(api, queue, 3)
    answer = api.delete("/api/v1/dlq", queue=queue, consumerGroup="nobody")
    assert answer == {"success": True, "deleted": 0, "queue": queue, "consumerGroup": "nobody"}
    answer = api.delete("/api/v1/dlq", queue=queue)
    DeadLettersDeleted.model_validate(answer)
    assert (answer["deleted"], answer["consumerGroup"]) == (3, None)
    assert api.delete("/api/v1/dlq", queue="no such queue")["deleted"] == 0


RECORDS = {
    "no id": "nonsense",
    "a foreign id": "01990f3f-0a11-7d02-8c44-9b1e2d3c4f50",
    "an id of a partition": model.encode_id(model.PARTITION, 1),
    "an unknown record": model.encode_id(model.DEAD_LETTER, 1 << 40),
    "a long text": "x" * 2000,
    "a slash": "a/b",
}


@pytest.mark.parametrize("record_id", RECORDS.values(), ids=RECORDS)
def test_a_record_that_is_not_there_is_gone(api: Api, record_id: str) -> None:
    answer = api.http.post(f"/api/v1/dlq/{segment(record_id)}/replay")
    assert answer.status_code == 404
    ReplayGone.model_validate(answer.json())
    content = answer.json()
    assert (content["success"], content["result"], content["dlqId"]) == (False, "gone", record_id)
    assert (content["error"], content["code"]) == ("Message not found", "not_found")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"5", b"{", b'{"queue":5}', b'{"partition":[]}', b'{"queue":"%b"}' % (b"x" * 256), b'{"queue":"a\\u0000"}'],
)
def test_a_redirection_that_makes_no_sense_is_refused(api: Api, queue: str, body: bytes) -> None:
    (record,) = bury(api, queue)
    answer = api.http.post(f"/api/v1/dlq/{record['id']}/replay", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "bad_request"
    assert api.dead_letters(queue=queue)["total"] == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "bad body"),
        (b"{}", "queue"),
        (b'{"queue":null}', "Expected `str`"),
        (b'{"queue":"q","consumergroup":"g"}', "consumergroup"),
        (b'{"queue":"q","limit":0}', "limit"),
        (b'{"queue":"q","limit":1e300}', "limit"),
        (b'{"queue":"q","limit":"5"}', "Expected `int"),
        (b'{"queue":"q","ratePerSecond":0}', "ratePerSecond"),
        (b'{"queue":"q","ratePerSecond":1e300}', "ratePerSecond"),
        (b'{"queue":"q","from":"yesterday"}', "from must be a time"),
        (b'{"queue":"q","preview":"yes"}', "Expected `bool`"),
        (b'{"queue":"q","toQueue":"%b"}' % (b"x" * 256), "255 is the most"),
    ],
)
def test_a_replay_of_many_that_makes_no_sense_is_refused(api: Api, body: bytes, words: str) -> None:
    answer = api.http.post("/api/v1/dlq/replay", content=body)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]


def test_a_replay_of_many_needs_its_queue(api: Api) -> None:
    answer = api.http.post("/api/v1/dlq/replay", json={"queue": "no such queue"})
    assert (answer.status_code, answer.json()["error"]) == (404, "Queue not found")
    assert api.http.delete("/api/v1/dlq").json()["error"] == "queue is required"
