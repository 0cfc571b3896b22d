"""The requests are what a client would send, and answers are believed only when they say what they should."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.lib.plan import Plan
from benchmarks.lib.traffic import (
    PAYLOADS,
    PoppedMessage,
    PushRequests,
    ack_request,
    check_ack,
    check_push,
    make_payloads,
    pop_request,
    read_payloads,
    read_pop,
)
from queen.bench.connection import BadAnswer

PREFIX = "0badcafe-0007-"


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": 6632, "run_id": "0badcafe", "queue": "hot", "group": ""}
    values |= {"size": 7, "spread": 2, "partitions": 9, "connections": 2, "payload_bytes": 265}
    values |= {"backlog_max": 100, "messages_max": 100, "stall_s": 1.0, "seed": 3, "steps": []}
    return Plan(**(values | changes))


def split(request: bytes) -> tuple[list[str], Any]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    lengths = [int(line.partition(":")[2]) for line in lines if line.startswith("Content-Length:")]
    assert lengths == [len(body)]
    return lines, msgspec.json.decode(body)


def test_payloads_are_json_of_the_size_asked_for() -> None:
    payloads = make_payloads(seed=1, payload_bytes=265)
    assert {len(payload) for payload in payloads} == {265}
    assert len(set(payloads)) == PAYLOADS
    assert all(isinstance(msgspec.json.decode(payload), dict) for payload in payloads)


def test_a_push_carries_numbers_partitions_and_payloads() -> None:
    payloads = make_payloads(1, 265)
    requests = PushRequests(plan(), PREFIX, payloads, size=7)
    for first in (0, 7, 123_456_789):
        lines, body = split(requests.make(first, [3, 8]))
        assert lines[0] == "POST /api/v1/push HTTP/1.1"
        items = body["items"]
        assert [item["transactionId"] for item in items] == [f"{PREFIX}{first + n:016d}" for n in range(7)]
        assert [item["partition"] for item in items] == ["p00003", "p00008"] * 3 + ["p00003"]
        assert {item["queue"] for item in items} == {"hot"}
        sent = [msgspec.json.decode(payloads[(first + n) % PAYLOADS]) for n in range(7)]
        assert [item["payload"] for item in items] == sent
    assert len(f"{PREFIX}{0:016d}") == 30


def test_a_pop_waits_and_names_the_group_when_there_is_one() -> None:
    line = pop_request(plan()).split(b"\r\n")[0]
    assert line == b"GET /api/v1/pop/queue/hot?batch=7&partitions=2&wait=true&timeout=1000 HTTP/1.1"
    assert b"&consumerGroup=a%26b " in pop_request(plan(group="a&b"))


def test_an_ack_names_message_partition_and_lease() -> None:
    messages = [PoppedMessage("t1", "pa", "l1"), PoppedMessage("t2", "pa", "l1"), PoppedMessage("t3", "pb", "l1")]
    lines, body = split(ack_request(plan(), messages))
    assert lines[0] == "POST /api/v1/ack/batch HTTP/1.1"
    assert "consumerGroup" not in body
    assert body["acknowledgments"][2] == {
        "transactionId": "t3",
        "partitionId": "pb",
        "leaseId": "l1",
        "status": "completed",
    }
    assert [ack["partitionId"] for ack in body["acknowledgments"]] == ["pa", "pa", "pb"]
    assert split(ack_request(plan(group="g"), messages))[1]["consumerGroup"] == "g"


def test_push_answers() -> None:
    good = b'[{"index":0,"status":"queued"},{"index":1,"status" : "queued"}]'
    check_push(201, good, 2)
    for status, body in [
        (200, good),
        (503, b'{"error":"busy"}'),
        (201, good.replace(b'1,"status" : "queued"', b'1,"status":"duplicate"')),
        (201, b'[{"index":0,"status":"queued"}]'),
        (201, b"nonsense"),
    ]:
        with pytest.raises(BadAnswer):
            check_push(status, body, 2)


def test_ack_answers() -> None:
    assert check_ack(200, b'[{"success":true},{"success":true}]', 2) == []
    assert check_ack(200, b'[{"success": true},{"success": true}]', 2) == []
    refused = b'[{"success":true},{"success":false,"error":"invalid or expired lease"}]'
    assert check_ack(200, refused, 2) == ["invalid or expired lease"]
    for status, body in [(500, b"{}"), (200, b'[{"success":true}]'), (200, b"{}")]:
        with pytest.raises(BadAnswer):
            check_ack(status, body, 2)


def test_pop_answers() -> None:
    body = b'{"success":true,"messages":[{"transactionId":"t","partitionId":"p","leaseId":"l","data":{"a": [1]}}]}'
    assert read_pop(200, body) == [PoppedMessage("t", "p", "l")]
    assert read_payloads(body) == [("t", b'{"a": [1]}')]
    assert read_pop(204, b"") == []
    for status, answer in [(200, b'{"messages":[]}'), (200, b'{"messages":[{"data":1}]}'), (400, b"{}")]:
        with pytest.raises(BadAnswer):
            read_pop(status, answer)
