"""Traces against a real server: recorded by handlers, found by message and by name, gone by age."""

from __future__ import annotations

import json
from typing import Any

import pytest

from queen import model
from queen.server.routes.traces import DATA_BYTES_MAX
from queen.server.shapes.traces import NamedTraceList, TraceList, TraceNameList, TraceRecorded, TraceRefused
from tests.support.api import Api, segment
from tests.support.fix_server import MakeServer
from tests.support.server import wait_until

pytestmark = pytest.mark.pg

KNOWN = model.encode_id(model.PARTITION, 1)


def record(api: Api, message: dict[str, Any], **more: Any) -> str:
    """One trace of a pushed message; its id."""
    body = {"transactionId": message["transaction_id"], "partitionId": message["partition_id"], "data": {}, **more}
    answer = api.http.post("/api/v1/traces", json=body)
    assert answer.status_code == 201, answer.text
    TraceRecorded.model_validate(answer.json())
    return str(answer.json()["traceId"])


def of_message(api: Api, message: dict[str, Any], **parameters: Any) -> list[dict[str, Any]]:
    path = f"/api/v1/traces/{message['partition_id']}/{segment(message['transaction_id'])}"
    found = api.get(path, **parameters)
    TraceList.model_validate(found)
    return list(found["traces"])


def of_name(api: Api, name: str, **parameters: Any) -> dict[str, Any]:
    found = api.get(f"/api/v1/traces/by-name/{segment(name)}", **parameters)
    NamedTraceList.model_validate(found)
    return dict(found)


def test_a_trace_is_found_by_its_message(api: Api, queue: str) -> None:
    message = api.push([{"queue": queue, "payload": 1, "transactionId": "a/b %"}])[0]
    one = record(api, message, data={"step": 1.0}, consumerGroup="g", eventType="step", traceNames=["x", "y", "x", ""])
    two = record(api, message, traceNames=None, consumerGroup=None, eventType=None)
    first, second = of_message(api, message)
    assert (first["id"], second["id"]) == (one, two)
    assert first.pop("created_at").endswith("Z")
    assert first == {
        "id": one,
        "event_type": "step",
        "data": {"step": 1.0},
        "consumer_group": "g",
        "worker_id": None,
        "trace_names": ["x", "y"],
    }
    assert (second["event_type"], second["consumer_group"], second["trace_names"]) == ("info", "__QUEUE_MODE__", [])
    assert [trace["id"] for trace in of_message(api, message, limit=1, offset=1)] == [two]


def test_traces_are_found_by_a_name_with_their_places(api: Api, queue: str) -> None:
    name = f"{queue}/ü"
    pushed = api.push_to(queue, range(2), "p")
    ids = [record(api, message, traceNames=name) for message in (*pushed, pushed[0])]
    found = of_name(api, name, limit=2, offset=1)
    assert [trace["id"] for trace in found["traces"]] == ids[1:]
    assert (found["total"], found["pagination"]) == (3, {"limit": 2, "offset": 1})
    trace = found["traces"][0]
    assert (trace["transaction_id"], trace["partition_id"]) == ("t1", pushed[1]["partition_id"])
    assert (trace["queue_name"], trace["partition_name"], trace["message_payload"]) == (queue, "p", None)
    assert of_name(api, "no such name") == {"traces": [], "total": 0, "pagination": {"limit": 100, "offset": 0}}


def test_names_are_listed_with_their_counts(api: Api, queue: str) -> None:
    one, two = api.push_to(queue, range(2))
    for message in (one, one, two):
        record(api, message, traceNames=[f" {queue}"])
    listed = api.get("/api/v1/traces/names", limit=10_000)
    TraceNameList.model_validate(listed)
    (own,) = [entry for entry in listed["trace_names"] if entry["trace_name"] == f" {queue}"]
    assert (own["trace_count"], own["message_count"]) == (3, 2)
    assert listed["total"] == len(listed["trace_names"])
    assert listed["pagination"] == {"limit": 10_000, "offset": 0}
    assert len(api.get("/api/v1/traces/names", limit=1)["trace_names"]) == 1


def test_data_is_the_bytes_that_came(api: Api, queue: str) -> None:
    message = api.push_to(queue, [0])[0]
    text = '{"b": 1.0,\t"a":"\\u0000"}'
    head = f'{{"transactionId":"t0","partitionId":"{message["partition_id"]}","data":'
    assert api.http.post("/api/v1/traces", content=f"{head}{text}}}").status_code == 201
    path = f"/api/v1/traces/{message['partition_id']}/t0"
    assert text in api.http.get(path).text


def test_the_message_need_not_exist_and_a_trace_outlives_its_queue(api: Api, queue: str) -> None:
    message = api.push_to(queue, [0])[0]
    record(api, message, traceNames=[queue])
    record(api, {"transaction_id": "never pushed", "partition_id": KNOWN})
    api.delete(f"/api/v1/resources/queues/{segment(queue)}")
    assert len(of_message(api, message)) == 1
    trace = of_name(api, queue)["traces"][0]
    assert (trace["queue_name"], trace["partition_name"]) == (None, None)


def test_old_traces_go(make_server: MakeServer) -> None:
    server = make_server(QUEEN_ENGINE__TRACE_MS_MAX="1000")
    server.start()
    with Api(server.url) as api:
        message = api.push_to("q", [0])[0]
        record(api, message, traceNames=["x"])
        wait_until(lambda: not of_message(api, message), "the trace to go")
        assert api.get("/api/v1/traces/names")["total"] == 0
    server.check_unharmed()


def body(**more: Any) -> bytes:
    return json.dumps({"transactionId": "t", "partitionId": KNOWN, "data": {}, **more}).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "bad body"),
        (b"[]", "Expected `object`"),
        (b"{}", "transactionId is required"),
        (body(transactionId=""), "transactionId is required"),
        (body(transactionId=None), "transactionId is required"),
        (body(transactionId=5), "Expected `str"),
        (body(transactionId="x" * 256), "255 is the most"),
        (body(transactionId="a\x00"), "NUL"),
        (body(partitionId=""), "partitionId is required"),
        (b'{"transactionId":"t","partitionId":"p"}', "data is required"),
        (body(data=None), "data is required"),
        (body(eventType="x" * 256), "255 is the most"),
        (body(consumerGroup="x" * 256), "255 is the most"),
        (body(traceNames=5), "Expected"),
        (body(traceNames=[5]), "Expected `str`"),
        (body(traceNames=["x" * 256]), "255 is the most"),
        (body(traceNames=[f"n{n}" for n in range(21)]), "20 is the most"),
    ],
)
def test_a_trace_that_makes_no_sense_is_refused(api: Api, content: bytes, words: str) -> None:
    answer = api.http.post("/api/v1/traces", content=content)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]
    assert answer.json()["code"] == "bad_request"
    assert answer.json()["hint"]


def test_large_data_is_refused(api: Api) -> None:
    assert api.http.post("/api/v1/traces", content=body(data="x" * (DATA_BYTES_MAX - 2))).status_code == 201
    answer = api.http.post("/api/v1/traces", content=body(data="x" * DATA_BYTES_MAX))
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("partition_id", ["nonsense", model.encode_id(model.QUEUE, 1), "x" * 1000])
def test_a_malformed_partition_is_a_404_to_record_and_nothing_to_find(api: Api, partition_id: str) -> None:
    answer = api.http.post("/api/v1/traces", content=body(partitionId=partition_id))
    assert answer.status_code == 404
    TraceRefused.model_validate(answer.json())
    assert (answer.json()["success"], answer.json()["error"]) == (False, "Message not found")
    assert api.get(f"/api/v1/traces/{partition_id}/t") == {"traces": []}


def test_the_page_of_the_api_describes_all_of_it(api: Api) -> None:
    """Traces, messages and dead letters: each route has its answer with a schema, and each body an example."""
    found = api.get("/openapi.json")["paths"]
    own = {
        (path, method): found[path][method]
        for path in found
        if path.startswith(("/api/v1/traces", "/api/v1/messages", "/api/v1/dlq"))
        for method in found[path]
    }
    assert len(own) == 12
    for (path, method), route in own.items():
        good = route["responses"]["201" if (path, method) == ("/api/v1/traces", "post") else "200"]
        assert good["content"]["application/json"]["schema"], path
        assert route["responses"]["503"]["content"], path
        for body in route.get("requestBody", {}).get("content", {}).values():
            assert body["schema"]["properties"], path
            assert body["example"], path
