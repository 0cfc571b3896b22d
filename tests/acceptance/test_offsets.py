"""Reads by offset over HTTP: /fetch and /partitions/changed, their bounds and refusals; the public client on them."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

Entry = dict[str, Any]


def fetch(api: Api, *entries: Entry, **more: Any) -> list[Entry]:
    answer = api.http.post("/api/v1/fetch", json={"entries": list(entries), **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: list[Entry] = answer.json()["entries"]
    assert len(found) == len(entries)
    for entry in found:
        assert set(entry) - {"error"} == {"highWatermark", "logStartOffset", "records"}
    return found


def changed(api: Api, *entries: Entry) -> dict[str, Any]:
    answer = api.http.post("/api/v1/partitions/changed", json={"entries": list(entries)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"safeTime", "safeTimeDegraded", "entries"}
    assert len(found["entries"]) == len(entries)
    return found


def at(queue: str, offset: int, partition: str = "Default", **more: Any) -> Entry:
    return {"queue": queue, "partition": partition, "offset": offset, **more}


def test_records_have_what_was_pushed(api: Api, queue: str) -> None:
    payloads = [None, {"b": 1, "a": [1.50, "ü"]}, "x"]
    api.push_to(queue, payloads)
    [entry] = fetch(api, at(queue, 0))
    assert (entry["highWatermark"], entry["logStartOffset"]) == (3, 0)
    assert [record["offset"] for record in entry["records"]] == [0, 1, 2]
    assert [record["payload"] for record in entry["records"]] == payloads
    assert [record["transactionId"] for record in entry["records"]] == ["t0", "t1", "t2"]
    batch = api.pop(queue, batch=3)
    assert batch is not None, "a read leases nothing"
    assert [record["ts"] for record in entry["records"]] == [message["createdAt"] for message in batch["messages"]]


def test_payloads_come_back_byte_for_byte(api: Api, queue: str) -> None:
    payload = '{"b": 1.50,\t"a":"\\u00fc\\u0000"}'
    body = f'{{"items":[{{"queue":"{queue}","payload":{payload},"transactionId":"a\\"b"}}]}}'
    assert api.http.post("/api/v1/push", content=body).status_code == 201
    text = api.http.post("/api/v1/fetch", json={"entries": [at(queue, 0)]}).text
    assert f'"transactionId":"a\\"b","payload":{payload},"ts":"' in text


def test_answers_are_aligned_and_errors_are_per_entry(api: Api, queue: str) -> None:
    api.push_to(queue, [0, 1], "a")
    api.push_to(queue, [2], "b")
    asked = [("b", 1), ("a", 1), ("a", 3), ("a", -1), ("none", 0), ("b", 0)]
    found = fetch(api, *[at(queue, offset, name) for name, offset in asked], at("-", 0))
    assert [[record["payload"] for record in entry["records"]] for entry in found] == [[], [1], [], [], [], [2], []]
    outside, unknown = "OFFSET_OUT_OF_RANGE", "UNKNOWN_TOPIC_OR_PARTITION"
    assert [entry.get("error") for entry in found] == [None, None, outside, outside, unknown, None, unknown]
    assert [(entry["logStartOffset"], entry["highWatermark"]) for entry in found[2:4]] == [(0, 2)] * 2


def test_bounds_cut_and_one_comes_at_least(api: Api, queue: str) -> None:
    api.push_to(queue, ["x" * 1000] * 10, "a")
    api.push_to(queue, ["x" * 1000] * 10, "b")
    counts = [
        [len(entry["records"]) for entry in fetch(api, at(queue, 0, "a", **one), at(queue, 0, "b", **one), **both)]
        for one, both in (
            ({}, {}),
            ({"maxBytes": 3500}, {}),
            ({"maxBytes": 3500}, {"maxBytes": 4600}),
            ({"maxBytes": 1}, {}),
            ({}, {"maxBytes": 0}),
            ({"maxBytes": None}, {"maxBytes": 1 << 40}),
        )
    ]
    assert counts == [[10, 10], [3, 3], [3, 1], [1, 0], [1, 0], [10, 10]]


def test_large_answers_come_whole_and_leave_the_budget(server: EmbeddedServer, api: Api, queue: str) -> None:
    api.push_to(queue, ["y" * 900_000 for _ in range(12)])
    [entry] = fetch(api, at(queue, 0, maxBytes=8 << 20))
    assert len(entry["records"]) == 9
    assert {len(record["payload"]) for record in entry["records"]} == {900_000}
    assert server.metrics()["sizes"]["memory_used"] < 900_000


def test_a_small_budget_cuts_answers(make_server: MakeServer, queue: str) -> None:
    server = make_server("--max-memory", "192MiB")
    server.start()
    with Api(server.url) as api:
        for part in range(8):
            api.push_to(queue, ["y" * 900_000], str(part))
        entries = fetch(api, *[at(queue, 0, str(part), maxBytes=8 << 20) for part in range(8)])
        assert 1 <= sum(len(entry["records"]) for entry in entries) < 8
        server.check_unharmed()


def test_nothing_asked_is_answered(api: Api) -> None:
    assert fetch(api) == []
    assert changed(api)["entries"] == []


def test_the_most_entries(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    assert [len(entry["records"]) for entry in fetch(api, *[at(queue, 0)] * 1024)] == [1] * 1024
    assert len(changed(api, *[{"queue": queue}] * 64)["entries"]) == 64


GOOD = {"queue": "q", "offset": 0}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("fetch", None, "bad body"),
        ("fetch", {}, "missing required field `entries`"),
        ("fetch", {"entries": {}}, "Expected `array`"),
        ("fetch", {"entries": [GOOD, 5]}, "Expected `object`"),
        ("fetch", {"entries": [{"offset": 0}]}, "missing required field `queue`"),
        ("fetch", {"entries": [{"queue": "q"}]}, "missing required field `offset`"),
        ("fetch", {"entries": [{"queue": "q", "offset": "0"}]}, "Expected `int`"),
        ("fetch", {"entries": [{"queue": "q", "offset": 0.5}]}, "Expected `int`"),
        ("fetch", {"entries": [{"queue": "q", "offset": 1 << 63}]}, "Expected `int`"),
        ("fetch", {"entries": [{"queue": "q\0", "offset": 0}]}, "NUL"),
        ("fetch", {"entries": [{"queue": "q", "partition": "p" * 256, "offset": 0}]}, "255 is the most"),
        ("fetch", {"entries": [{**GOOD, "maxBytes": "1"}]}, "Expected `int | null`"),
        ("fetch", {"entries": [GOOD], "maxBytes": []}, "Expected `int | null`"),
        ("fetch", {"entries": [GOOD] * 1025}, "1024 is the most"),
        ("partitions/changed", None, "bad body"),
        ("partitions/changed", {}, "missing required field `entries`"),
        ("partitions/changed", {"entries": [{"queue": 5}]}, "Expected `str`"),
        ("partitions/changed", {"entries": [{"queue": "q", "since": "yesterday"}]}, "since must be a time"),
        ("partitions/changed", {"entries": [{"queue": "q", "since": 5}]}, "Expected `str | null`"),
        ("partitions/changed", {"entries": [{"queue": "q", "limit": "x"}]}, "Expected `int | null`"),
        ("partitions/changed", {"entries": [{"queue": "q" * 256}]}, "255 is the most"),
        ("partitions/changed", {"entries": [{"queue": "q"}] * 65}, "64 is the most"),
    ],
)
def test_bad_bodies(api: Api, path: str, body: Any, words: str) -> None:
    content = b"{" if body is None else json.dumps(body).encode()
    answer = api.http.post(f"/api/v1/{path}", content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "bad_request"
    assert words in answer.json()["error"]
    assert answer.json()["hint"]


# Which partitions were written.


def test_all_partitions_by_name_in_pages(api: Api, queue: str) -> None:
    for name in ("c", "a", "b"):
        api.push_to(queue, [1, 2], name)
    api.pop(queue, "never")
    found: list[Entry] = []
    after = None
    while True:
        [page] = changed(api, {"queue": queue, "limit": 2, "after": after})["entries"]
        found += page["partitions"]
        after = page["next"]
        if after is None:
            break
    assert [one["name"] for one in found] == ["a", "b", "c", "never"]
    assert [(one["lastOffset"], one["logStart"]) for one in found] == [(1, 0)] * 3 + [(-1, 0)]
    parts = {one["name"]: one for one in api.get(f"/api/v1/resources/queues/{queue}")["partitions"]}
    assert {one["name"]: one["id"] for one in found} == {name: one["id"] for name, one in parts.items()}
    assert found[3]["lastWriteAt"] == parts["never"]["createdAt"]


def test_only_those_written_since_by_time_and_name(api: Api, queue: str) -> None:
    for name in ("b", "a"):
        api.push_to(queue, [1], name)
    [page] = changed(api, {"queue": queue})["entries"]
    times = {one["name"]: one["lastWriteAt"] for one in page["partitions"]}
    assert times["b"] < times["a"]
    [one, two] = changed(api, {"queue": queue, "since": times["b"]}, {"queue": queue, "since": times["a"]})["entries"]
    assert [found["name"] for found in one["partitions"]] == ["b", "a"]
    assert [found["name"] for found in two["partitions"]] == ["a"]
    [first] = changed(api, {"queue": queue, "since": times["b"], "limit": 1})["entries"]
    [second] = changed(api, {"queue": queue, "since": times["b"], "limit": 1, "after": first["next"]})["entries"]
    assert [one["name"] for page in (first, second) for one in page["partitions"]] == ["b", "a"]
    [last] = changed(api, {"queue": queue, "since": times["b"], "after": second["next"]})["entries"]
    assert (last["partitions"], last["next"]) == ([], None)


def test_pages_go_on_among_partitions_written_at_one_moment(api: Api, server: EmbeddedServer, queue: str) -> None:
    for name in ("c", "a", "b"):
        api.push_to(queue, [1], name)
    moment = "2030-01-01T00:00:00.000000Z"
    text = "UPDATE partitions SET last_write_at = %s WHERE queue_id = (SELECT queue_id FROM queues WHERE name = %s)"
    server.query(text, moment, queue)
    for since in (moment, "2020-01-01T00:00:00Z"):
        found: list[str] = []
        after = None
        for _ in range(4):
            [page] = changed(api, {"queue": queue, "since": since, "limit": 1, "after": after})["entries"]
            found += [one["name"] for one in page["partitions"]]
            after = page["next"]
            if after is None:
                break
        assert found == ["a", "b", "c"]


def test_limits_are_cut_to_their_bounds(api: Api, queue: str) -> None:
    for name in ("a", "b"):
        api.push_to(queue, [1], name)
    for limit, count in ((0, 1), (-5, 1), (1, 1), (10**9, 2), (None, 2)):
        [page] = changed(api, {"queue": queue, "limit": limit})["entries"]
        assert len(page["partitions"]) == count


def test_cursors_of_other_lists_are_refused(api: Api, queue: str) -> None:
    for name in ("a", "b"):
        api.push_to(queue, [1], name)
        api.push_to(f"{queue}.2", [1], name)
    since = "2020-01-01T00:00:00Z"
    [by_name, by_time] = changed(api, {"queue": queue, "limit": 1}, {"queue": queue, "limit": 1, "since": since})[
        "entries"
    ]
    wrong = [
        {"queue": queue, "after": "?"},
        {"queue": queue, "after": "bm9uZQ=="},
        {"queue": queue, "after": base64.urlsafe_b64encode(b'["q",null,null,5]').decode()},
        {"queue": f"{queue}.2", "after": by_name["next"]},
        {"queue": queue, "since": since, "after": by_name["next"]},
        {"queue": queue, "after": by_time["next"]},
        {"queue": queue, "since": "2020-01-01T00:00:01Z", "after": by_time["next"]},
    ]
    good = [{"queue": queue, "after": by_name["next"]}, {"queue": queue, "since": since, "after": by_time["next"]}]
    entries = changed(api, *wrong, *good, {"queue": "none", "after": ""})["entries"]
    assert [entry.get("error") for entry in entries] == ["BAD_CURSOR"] * 7 + [None, None, "UNKNOWN_TOPIC_OR_PARTITION"]
    assert [entry["queue"] for entry in entries] == [entry["queue"] for entry in [*wrong, *good]] + ["none"]
    assert [one["name"] for entry in entries[7:9] for one in entry["partitions"]] == ["b", "b"]


def test_safe_time_lies_before_what_comes(api: Api, queue: str) -> None:
    first = changed(api)
    api.push_to(queue, [1])
    second = changed(api, {"queue": queue, "since": first["safeTime"]})
    assert first["safeTime"] <= second["safeTime"]
    assert first["safeTimeDegraded"] is False
    assert len(first["safeTime"]) == len("2026-01-31T12:00:00.000000Z")
    [one] = second["entries"][0]["partitions"]
    assert datetime.fromisoformat(one["lastWriteAt"]) > datetime.fromisoformat(first["safeTime"])


_SCRIPT = """
import asyncio, json, sys
from queen import Queen

async def main():
    url, queue = sys.argv[1:]
    async with Queen(url) as client:
        q = client.queue(queue)
        whole = await q.fetch(["a", "b", "none"])
        part = await q.fetch("a", offsets={"a": 7}, max_bytes=250)
        every = await q.changed_since()
        since = await q.changed_since(every["partitions"][1]["lastWriteAt"])
        again = await q.changed_since(every["safeTime"])
        nobody = await client.queue("nobody").changed_since()
    print("found", json.dumps([whole, part, every, since, again, nobody]))

asyncio.run(main())
"""


def test_the_public_client_reads(server: EmbeddedServer, api: Api, public_client: PublicClient, queue: str) -> None:
    api.push_to(queue, range(10), "a")
    api.push_to(queue, ["x" * 1000] * 3, "b")
    done = public_client.run(_SCRIPT, server.url, queue)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    whole, part, every, since, again, nobody = json.loads(line.removeprefix("found "))
    assert [record["payload"] for record in whole["a"]["records"]] == list(range(10))
    assert (len(whole["b"]["records"]), whole["b"]["nextOffset"], whole["none"]["records"]) == (3, 3, [])
    assert [record["offset"] for record in part["a"]["records"]] == [7, 8, 9]
    assert [one["name"] for one in every["partitions"]] == ["a", "b"]
    assert [one["name"] for one in since["partitions"]] == ["b"]
    assert [one["name"] for one in again["partitions"]] == ["a", "b"], "written within the guard"
    assert nobody["partitions"] == []


@pytest.mark.parametrize("path", ["fetch", "partitions/changed"])
def test_the_page_describes_bodies_and_answers(api: Api, path: str) -> None:
    route = api.get("/openapi.json")["paths"][f"/api/v1/{path}"]["post"]
    assert "entries" in route["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(route["responses"]) >= {"200", "400", "503"}
    assert route["responses"]["200"]["content"]["application/json"]["schema"]
