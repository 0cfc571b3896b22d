"""maxSize against a real server: 429 with Retry-After, nothing stored, and consumers that make room."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest

from tests.support.api import Api, data
from tests.support.fix_public_client import PublicClient
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


def _push(api: Api, *queues: str) -> httpx.Response:
    """One request with a message for each of these queues."""
    return api.http.post("/api/v1/push", json={"items": [{"queue": queue, "payload": 1} for queue in queues]})


def _check_refusal(answer: httpx.Response, queue: str) -> None:
    assert answer.status_code == 429, answer.text
    assert float(answer.headers["retry-after"]) > 0
    assert answer.json()["code"] == "queue_full"
    assert queue in answer.json()["error"]
    assert answer.json()["hint"]


def _patiently(api: Api, queue: str, payload: Any) -> int:
    """Push as a client does that honours Retry-After; how many times it was refused."""
    for refusals in range(60):
        answer = api.http.post("/api/v1/push", json={"items": [{"queue": queue, "payload": payload}]})
        if answer.status_code == 201:
            return refusals
        _check_refusal(answer, queue)
        time.sleep(float(answer.headers["retry-after"]))
    raise AssertionError("never let in")


def test_a_full_queue_refuses_and_a_consumer_makes_room(api: Api, queue: str) -> None:
    api.configure(queue, maxSize=3)
    api.push_to(queue, range(3))
    _check_refusal(_push(api, queue), queue)
    assert api.queue_totals(queue)["total"] == 3
    found: list[int] = []
    client = threading.Thread(target=lambda: found.append(_patiently(api, queue, "late")))
    client.start()
    with Api(api.url) as other:
        other.settle(other.wait_pop(queue, batch=2))
        client.join(60)
        assert found, "it was let in"
        assert data(other.wait_pop(queue, batch=10)) == [2, "late"]


def test_a_size_that_is_set_below_what_is_there_refuses_at_once(api: Api, queue: str) -> None:
    api.push_to(queue, range(10))
    api.configure(queue, maxSize=5)
    _check_refusal(_push(api, queue), queue)
    api.configure(queue, maxSize=0)
    assert _push(api, queue).status_code == 201


def test_a_request_that_names_a_full_queue_is_refused_whole(api: Api, queue: str) -> None:
    full, free = f"{queue}-full", f"{queue}-free"
    api.configure(full, maxSize=1)
    assert _push(api, full, free).status_code == 201
    _check_refusal(_push(api, free, full), full)
    assert api.queue_totals(free)["total"] == 1
    assert _push(api, free).status_code == 201


def test_a_transaction_is_refused_whole(api: Api, queue: str) -> None:
    api.configure(queue, maxSize=1)
    api.push_to(queue, ["first"])
    source = f"{queue}-source"
    api.push_to(source, ["job"])
    batch = api.wait_pop(source)
    [job] = batch["messages"]
    ack = {"type": "ack", "transactionId": job["transactionId"], "partitionId": job["partitionId"]}
    operations = [ack, {"type": "push", "queue": queue, "payload": 2}]
    _check_refusal(api.http.post("/api/v1/transaction", json={"operations": operations}), queue)
    assert api.queue_totals(source)["pending"] == 1
    api.settle(batch)


def test_a_stream_ends_at_the_first_batch_without_room_and_goes_on_later(api: Api, queue: str) -> None:
    api.configure(queue, maxSize=100)
    items = [{"queue": queue, "payload": n, "transactionId": str(n)} for n in range(3000)]
    headers = {"content-type": "application/x-ndjson"}

    def send() -> list[dict[str, Any]]:
        body = "\n".join(map(json.dumps, items)).encode()
        answer = api.http.post("/api/v1/push", content=body, headers=headers)
        if answer.status_code == 429:
            return [answer.json()]
        return [json.loads(line) for line in answer.text.splitlines()]

    api.push([{"queue": queue, "payload": "full"}] * 100)
    assert [line["code"] for line in send()] == ["queue_full"]
    api.drain(queue)
    api.configure(queue, maxSize=1500)
    lines = send()
    assert lines[-1]["code"] == "queue_full"
    stored = [line for line in lines if line.get("status") == "queued"]
    assert len(stored) <= 1500
    assert api.queue_totals(queue)["pending"] == len(stored)
    api.configure(queue, maxSize=0)
    assert send()[-1]["duplicate"] == len(stored)
    assert sorted(message["data"] for message in api.drain(queue)) == list(range(3000))


_SCRIPT = """
import asyncio, sys
from queen import Queen

async def main(url, name):
    async with Queen(url) as queen:
        made = await queen.queue(name).config({"maxSize": 5}).create()
        assert made["options"]["maxSize"] == 5, made
        await queen.queue(name).push([{"data": {"n": n}} for n in range(5)])

        async def consume():
            await asyncio.sleep(2)
            async def handle(message): pass
            await queen.queue(name).batch(1).limit(5).each().consume(handle)

        consumer = asyncio.ensure_future(consume())
        await queen.queue(name).push([{"data": {"n": n}} for n in range(5, 9)])
        print("LET IN")
        await consumer

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_public_client_waits_for_room(
    server: EmbeddedServer, api: Api, public_client: PublicClient, queue: str
) -> None:
    done = public_client.run(_SCRIPT, server.url, queue)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LET IN" in done.stdout
    assert api.queue_totals(queue)["total"] == 9
