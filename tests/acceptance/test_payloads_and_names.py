"""What producers send comes back byte for byte, and names may be any text of up to 255 characters."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.support.api import Api, segment

pytestmark = pytest.mark.pg

_DIGITS = "".join(random.Random(7).choices("123456789", k=10_000))

PAYLOADS = {
    "null": "null",
    "true": "true",
    "empty object": "{}",
    "empty array": "[]",
    "empty string": '""',
    "string": '"x"',
    "zero": "0",
    "minus zero": "-0",
    "float form": "1.10",
    "exponent": "1E+2",
    "beyond floats": "1e400",
    "beneath floats": "-1e-9999",
    "10,000 digits": _DIGITS,
    "more digits than a float holds": "0.10000000000000000000000000000000000001",
    "key order": '{"b":1,"a":2,"B":3}',
    "equal keys": '{"a":1,"a":2}',
    "space inside": '{ "a" :\t[ 1 ,\n 2 ] }',
    "escapes as written": '"\\u0041\\/\\n\\ud83d\\ude00"',
    "escaped NUL": '"a\\u0000b"',
    "emoji and accents": '"😀 é ü 漢字 \u2028"',
    "quotes and braces": '"}{][\\"\\\\"',
    "deep": "[" * 400 + "]" * 400,
    "a million bytes": json.dumps({"text": "é" * 500_000}, ensure_ascii=False),
}


def _push_raw(api: Api, queue: str, payload: str) -> None:
    body = f'{{"items":[{{"queue":{json.dumps(queue)},"transactionId":"t","payload":{payload}}}]}}'
    answer = api.http.post("/api/v1/push", content=body.encode())
    assert answer.status_code == 201, answer.text
    assert answer.json()[0]["status"] == "queued", answer.text


def _raw_payload(answer: bytes) -> bytes:
    """The bytes between the fields around the payload in the answer of a pop with one message."""
    _, _, rest = answer.partition(b'"data":')
    payload, _, _ = rest.rpartition(b',"producerSub":')
    return payload


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_comes_back_byte_for_byte(api: Api, queue: str, name: str) -> None:
    payload = PAYLOADS[name]
    _push_raw(api, queue, payload)
    answer = api.http.get(f"/api/v1/pop/queue/{segment(queue)}")
    assert answer.status_code == 200
    assert _raw_payload(answer.content) == payload.encode()


@pytest.mark.parametrize("name", ["beyond floats", "10,000 digits", "equal keys", "escaped NUL", "emoji and accents"])
def test_a_dead_letter_keeps_the_payload_byte_for_byte(api: Api, queue: str, name: str) -> None:
    _push_raw(api, queue, PAYLOADS[name])
    batch = api.http.get(f"/api/v1/pop/queue/{segment(queue)}").content
    ids = {field: _text_field(batch, field) for field in ("transactionId", "partitionId", "leaseId")}
    assert api.ack_items([{**ids, "status": "dlq"}])[0]["dlq"] is True
    answer = api.http.get("/api/v1/dlq", params={"queue": queue})
    assert answer.status_code == 200
    assert b'"data":' + PAYLOADS[name].encode() + b"," in answer.content


def _text_field(answer: bytes, name: str) -> str:
    return answer.partition(f'"{name}":"'.encode())[2].partition(b'"')[0].decode()


def test_many_payloads_of_every_kind_in_one_push(api: Api, queue: str) -> None:
    values: list[Any] = [None, True, 0, -1.5, "x", "", {}, [], {"a": [{"b": None}]}, "\u0000", "😀" * 1000]
    api.push_to(queue, values)
    assert [message["data"] for message in api.drain(queue)] == values


NAMES = {
    "slash": "a/b",
    "percent": "100%",
    "encoded slash as text": "a%2Fb",
    "spaces": " two  words ",
    "emoji": "😀 größe",
    "query signs": "a?b=c&d#e",
    "plus": "a+b",
    "quotes": '"it\'s" \\ {x} $1 %s ;--',
    "dots": "..",
    "control characters": "tab\tnewline\nbell\x07",
    "255 emoji": "🐝" * 255,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_work_in_paths_and_bodies(api: Api, name: str) -> None:
    queue = partition = group = NAMES[name]
    item = {"queue": queue, "partition": partition, "transactionId": queue, "payload": name}
    [result] = api.push([item])
    assert (result["status"], result["queueName"], result["transaction_id"]) == ("queued", queue, queue)
    assert api.push([item])[0]["status"] == "duplicate"
    batch = api.pop_at(f"/api/v1/pop/queue/{_encoded(queue)}/partition/{_encoded(partition)}", consumerGroup=group)
    assert batch is not None
    assert (batch["queue"], batch["partition"], batch["consumerGroup"]) == (queue, partition, group)
    [message] = batch["messages"]
    assert [message[key] for key in ("queue", "partition", "consumerGroup", "transactionId")] == [queue] * 4
    [acked] = api.ack([message], "dlq", error=queue)
    assert (acked["queueName"], acked["partitionName"], acked["transactionId"]) == (queue, partition, queue)
    listed = api.dead_letters(queue=queue, partition=partition, consumerGroup=group)
    assert [one["errorMessage"] for one in listed["messages"]] == [queue]
    assert api.delete(f"/api/v1/consumer-groups/{_encoded(group)}")["consumerGroup"] == group
    found = api.get(f"/api/v1/resources/queues/{_encoded(queue)}")
    assert (found["name"], [one["name"] for one in found["partitions"]]) == (queue, [partition])
    assert api.delete(f"/api/v1/resources/queues/{_encoded(queue)}") == {
        "deleted": True,
        "queue": queue,
        "existed": True,
    }


def _encoded(name: str) -> str:
    """A segment in which even the dots are encoded, where the name is nothing but dots: a client would drop those."""
    return name.replace(".", "%2E") if set(name) == {"."} else segment(name)


def test_an_empty_queue_name_is_legal_in_a_body(api: Api) -> None:
    [result] = api.push([{"queue": "", "payload": 1}])
    assert (result["status"], result["queueName"]) == ("queued", "")
    assert "" in [one["name"] for one in api.get("/api/v1/resources/queues")["queues"]]


def test_names_differ_by_case_and_by_form(api: Api, queue: str) -> None:
    for partition in ("é", "e\u0301", "É", "default", "Default"):
        api.push_to(queue, [partition], partition)
    assert sorted(message["data"] for message in api.drain(queue)) == sorted(
        ["é", "e\u0301", "É", "default", "Default"]
    )


def test_a_transaction_id_may_be_any_text(api: Api, queue: str) -> None:
    ids = ["x" * 255, "🐝" * 255, 'quote " and \\ back', "tab\t", "\u2028", "{}", "a,b", "NULL", "\\N", "é"]
    results = api.push([{"queue": queue, "transactionId": one, "payload": place} for place, one in enumerate(ids)])
    assert [result["transaction_id"] for result in results] == ids
    batch = api.pop(queue)
    assert batch is not None
    assert [message["transactionId"] for message in batch["messages"]] == ids
    acked = api.ack(batch["messages"])
    assert [(one["transactionId"], one["success"]) for one in acked] == [(one, True) for one in ids]


def test_the_same_transaction_id_escaped_in_two_ways_is_one(api: Api, queue: str) -> None:
    bodies = ['"\\u00e9\\u002f"', '"é/"', '"\\u00E9\\/"']
    statuses = []
    for text in bodies:
        body = f'{{"items":[{{"queue":{json.dumps(queue)},"transactionId":{text},"payload":1}}]}}'
        answer = api.http.post("/api/v1/push", content=body.encode())
        assert answer.status_code == 201
        statuses.append(answer.json()[0]["status"])
    assert statuses == ["queued", "duplicate", "duplicate"]
