"""A push as lines, answered line by line: order, broken lines, bounds, clients that leave, a database that goes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.api import Api, data, exchange, post, split_answer
from tests.support.fix_server import MakeServer
from tests.support.ndjson import PATH, TYPE, Stream, lines
from tests.support.server import EmbeddedServer, wait_until

pytestmark = [pytest.mark.pg, pytest.mark.spec("R15")]


def items(queue: str, count: int, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [{"queue": queue, "payload": n, "transactionId": f"t{n}", **more} for n in range(start, start + count)]


def push(api: Api, body: bytes, query: str = "") -> list[dict[str, Any]]:
    """A whole streamed push by an ordinary client; its lines."""
    answer = api.http.post(PATH + query, content=body, headers={"content-type": TYPE})
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == TYPE
    assert answer.headers["queen-durability"] == "committed"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_lines_are_stored_in_order_and_answered_one_by_one(api: Api, queue: str) -> None:
    *results, done = push(api, lines(items(queue, 2500)))
    assert done == {"done": True, "received": 2500, "queued": 2500, "duplicate": 0, "failed": 0}
    assert [result["index"] for result in results] == list(range(2500))
    assert {result["status"] for result in results} == {"queued"}
    assert results[7].keys() == api.push(items(queue, 1, 9000))[0].keys()
    stored = api.drain(queue)
    assert [message["data"] for message in stored] == [*range(2500), 9000]
    assert [message["id"] for message in stored[:2500]] == [result["message_id"] for result in results]


def test_a_broken_line_fails_alone(api: Api, queue: str) -> None:
    good = [json.dumps(item).encode() for item in items(queue, 3)]
    bad = [b"{", b'"text"', b'{"payload":1}', b'{"queue":"a","payload":"\xff"}', b'{"queue":7,"payload":1}']
    *results, done = push(api, b"\n".join([good[0], *bad, b"", b"  ", good[1], good[2]]))
    assert [result["status"] for result in results] == ["queued", *["failed"] * 5, "queued", "queued"]
    assert [result["index"] for result in results] == list(range(8))
    assert all(result["error"] for result in results[1:6])
    assert done == {"done": True, "received": 8, "queued": 3, "duplicate": 0, "failed": 5}
    assert [message["data"] for message in api.drain(queue)] == [0, 1, 2]


def test_a_line_that_the_database_refuses_fails_alone(api: Api, queue: str) -> None:
    body = (
        lines(items(queue, 1))
        + lines([{"queue": queue, "payload": "a", "partition": "n\0"}])
        + lines(items(queue, 1, 1))
    )
    *results, done = push(api, body)
    assert [result["status"] for result in results] == ["queued", "failed", "queued"]
    assert done["failed"] == 1
    assert len(api.drain(queue)) == 2


def test_the_request_may_name_queue_and_partition(api: Api, queue: str) -> None:
    body = lines([{"payload": 1}, {"payload": 2, "partition": "own"}])
    *results, done = push(api, body, f"?queue={queue}&partition=p")
    assert done["queued"] == 2
    assert {result["queueName"] for result in results} == {queue}
    assert data(api.wait_pop(queue, "p")) == [1]
    assert data(api.wait_pop(queue, "own")) == [2]


def test_nothing_is_a_stream_too(api: Api) -> None:
    assert push(api, b"") == [{"done": True, "received": 0, "queued": 0, "duplicate": 0, "failed": 0}]


def test_results_come_while_the_request_still_goes_on(server: EmbeddedServer, api: Api, queue: str) -> None:
    with Stream(server.url) as stream:
        results = stream.results()
        for start in range(0, 50, 10):
            stream.send_lines(items(queue, 10, start))
            assert [next(results)["index"] for _ in range(10)] == list(range(start, start + 10))
        stream.send(b'{"queue":"' + queue.encode()[:3])
        stream.send(queue.encode()[3:] + b'","payload":50}')
        stream.end()
        assert next(results)["status"] == "queued"
        assert next(results)["received"] == 51
        # The connection goes on to serve.
        assert next(results, None) is None
        stream.connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n")
        assert stream.connection.recv(100).startswith(b"HTTP/1.1 200")
    assert [message["data"] for message in api.drain(queue)] == list(range(51))


def test_a_client_that_sends_all_before_it_reads_is_served(api: Api, queue: str) -> None:
    def blocks() -> Iterator[bytes]:
        for start in range(0, 5000, 100):
            yield lines(items(queue, 100, start))

    answer = api.http.post(PATH, content=blocks(), headers={"content-type": TYPE})
    assert answer.status_code == 201
    assert json.loads(answer.text.splitlines()[-1])["queued"] == 5000


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_sends_a_file(server: EmbeddedServer, queue: str, tmp_path: Path) -> None:
    file = tmp_path / "items.ndjson"
    file.write_bytes(lines(items(queue, 30_000)))
    command = ["curl", "-sS", "-X", "POST", "-H", f"Content-Type: {TYPE}", "-T", str(file), server.url + PATH]
    output = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.splitlines()
    assert len(output) == 30_001
    assert json.loads(output[-1])["queued"] == 30_000


def test_a_page_of_an_allowed_origin_streams_through_the_application(api: Api, queue: str) -> None:
    headers = {"content-type": TYPE, "origin": "http://localhost:3000"}
    answer = api.http.post(PATH, content=lines(items(queue, 5)), headers=headers)
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert json.loads(answer.text.splitlines()[-1])["queued"] == 5


def test_what_was_cut_off_is_sent_again_and_stored_once(server: EmbeddedServer, api: Api, queue: str) -> None:
    """Clients that leave at any point, and one that stays to the end: every item is there once, in order."""
    held = api.get("/metrics")["sizes"]["memory_used"]
    for count in (1, 700, 3000):
        with Stream(server.url) as stream:
            stream.send_lines(items(queue, count))
            if count == 700:
                next(stream.results())
    wait_until(lambda: api.get("/metrics")["sizes"]["memory_used"] == held, "the streams to be forgotten")
    *results, done = push(api, lines(items(queue, 4000)))
    assert done["failed"] == 0
    assert done["queued"] + done["duplicate"] == done["received"] == len(results) == 4000
    assert [message["data"] for message in api.drain(queue)] == list(range(4000))


def test_a_killed_server_leaves_no_done_and_the_repetition_stores_the_rest(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    with Stream(server.url) as stream:
        stream.send_lines(items(queue, 1500))
        seen = [next(results := stream.results())["status"] for _ in range(1)]
        server.kill()
        with contextlib.suppress(ValueError, OSError):
            seen += [result.get("status", "done") for result in results]
        assert "done" not in seen
    server.start()
    with Api(server.url) as api:
        *_, done = push(api, lines(items(queue, 3000)))
        assert done["duplicate"] >= len(seen)
        assert done["duplicate"] + done["queued"] == 3000
        assert [message["data"] for message in api.drain(queue)] == list(range(3000))


def test_a_database_that_stays_away_ends_the_stream_with_an_error(make_server: MakeServer, queue: str) -> None:
    server = make_server(QUEEN_DATABASE__STATEMENT_TIMEOUT_MS="500")
    server.start()
    with Stream(server.url) as stream, psycopg.connect(server.dsn) as blocker:
        stream.send_lines(items(queue, 10))
        results = stream.results()
        assert [next(results)["status"] for _ in range(10)] == ["queued"] * 10
        blocker.execute("lock table queen.partitions in access exclusive mode")
        stream.send_lines(items(queue, 10, 10))
        assert next(results)["code"] == "store_unavailable"
        assert next(results, None) is None
        assert stream.connection.recv(100) == b""
    with Api(server.url) as api:
        *_, done = push(api, lines(items(queue, 20)))
        assert done["failed"] == 0
        assert done["duplicate"] >= 10
        assert [message["data"] for message in api.drain(queue)] == list(range(20))


def test_a_database_that_was_killed_costs_no_message(make_server: MakeServer, queue: str) -> None:
    """Whether the stream rides it out or ends: what it did not answer is sent again, and each item is there once."""
    server = make_server()
    server.start()
    with Stream(server.url) as stream:
        results = stream.results()
        stream.send_lines(items(queue, 10))
        assert next(results)["status"] == "queued"
        os.kill(server.postmaster, signal.SIGKILL)
        stream.send_lines(items(queue, 1500, 10))
        stream.end()
        last = list(results)[-1]
        assert ("done" in last) != ("code" in last)
    with Api(server.url) as api:
        wait_until(lambda: server.health()["status"] == "healthy", "the database to come back")
        *_, done = push(api, lines(items(queue, 1510)))
        assert done["failed"] == 0
        assert [message["data"] for message in api.drain(queue)] == list(range(1510))


def test_before_the_first_result_a_failure_is_a_plain_503(make_server: MakeServer, queue: str) -> None:
    server = make_server(QUEEN_DATABASE__STATEMENT_TIMEOUT_MS="500")
    server.start()
    with psycopg.connect(server.dsn) as blocker:
        blocker.execute("lock table queen.partitions in access exclusive mode")
        with Stream(server.url) as stream:
            stream.send_lines(items(queue, 10))
            (error,) = stream.results()
            assert stream.status == 503
            assert int(stream.headers["retry-after"]) >= 1
            assert error["code"] == "store_unavailable"


def test_lines_and_payloads_have_a_bound(make_server: MakeServer, queue: str) -> None:
    server = make_server(QUEEN_ENGINE__PAYLOAD_BYTES_MAX="64KiB")
    server.start()
    sizes = [100, 70_000, 5, 300_000, 2_000_000, 7]
    with Api(server.url) as api:
        *results, done = push(api, lines({"queue": queue, "payload": "x" * size} for size in sizes))
        assert [result["status"] for result in results] == ["queued", "failed", "queued", "failed", "failed", "queued"]
        assert done["failed"] == 3
        assert [len(message["data"]) for message in api.drain(queue)] == [100, 5, 7]


def test_the_page_of_the_api_describes_it(api: Api) -> None:
    operation = api.get("/openapi.json")["paths"][PATH]["post"]
    assert TYPE in operation["requestBody"]["content"]
    assert TYPE in operation["responses"]["201"]["content"]


def test_a_bad_query_is_refused(server: EmbeddedServer) -> None:
    request = post(f"{PATH}?queue={'q' * 300}", b"", f"Content-Type: {TYPE}")
    assert split_answer(exchange(server.url, request))[0] == 400


@pytest.mark.slow
@pytest.mark.parametrize(("count", "size"), [(1_000_000, 10), (1000, 100_000)], ids=["a million", "100 MB"])
def test_any_length_in_bounded_memory(make_server: MakeServer, count: int, size: int) -> None:
    server = make_server()
    server.start()
    with Stream(server.url, "?queue=long") as stream:

        def send() -> None:
            step = max(1, min(1000, 1_000_000 // size))
            for _ in range(0, count, step):
                stream.send(b'{"payload":"%b"}\n' % (b"x" * size) * step)
            stream.end()

        before, peak = server.metrics()["memory"]["rss"], 0
        sender = threading.Thread(target=send)
        sender.start()
        for number, result in enumerate(stream.results()):
            if number % (count // 50) == 0:
                peak = max(peak, server.metrics()["memory"]["rss"])
            if number < count:
                assert (result["index"], result["status"]) == (number, "queued")
        sender.join()
    print(f"{count} messages of {size} bytes: rss {before >> 20} MiB before, {peak >> 20} MiB at most")
    assert result == {"done": True, "received": count, "queued": count, "duplicate": 0, "failed": 0}
    assert peak - before < 150 << 20
    assert httpx.get(f"{server.url}/metrics", timeout=30).json()["sizes"]["memory_used"] == 0
