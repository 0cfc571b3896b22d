"""Clients that misbehave on the wire: broken HTTP, leaving in the middle, being slow. The server minds none of them."""

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import Any

import pytest

from tests.support.api import Api, connect, data, dumps, exchange, post, read_all, split_answer
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    made = module_servers(QUEEN_ENGINE__SWEEP_MS="600000")
    made.start()
    return made


def _poll(queue: str, query: str = "wait=true&timeout=60000") -> bytes:
    return f"GET /api/v1/pop/queue/{queue}?{query} HTTP/1.1\r\nHost: q\r\n\r\n".encode()


def _item(queue: str) -> bytes:
    return dumps({"items": [{"queue": queue, "payload": 1}]})


BROKEN = {
    "garbage": b"\x00\x01\x02\xff\xfe garbage\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "a method of its own": b"FROB /health HTTP/1.1\r\nHost: q\r\n\r\n",
    "a header without a colon": b"GET /health HTTP/1.1\r\nHost q\r\n\r\n",
    "a NUL in a header": b"GET /health HTTP/1.1\r\nHost: q\x00\r\n\r\n",
    "two lengths": b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\nContent-Length: 50\r\n\r\n{}",
    "a length and chunks": b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a negative length": b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: -5\r\n\r\n{}",
    "an endless length": b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n{}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_http_is_refused_and_the_connection_closed(api: Api, server: EmbeddedServer, name: str) -> None:
    status, headers, body = split_answer(exchange(server.url, BROKEN[name]))
    assert status == 400
    assert headers["connection"] == "close"
    found = json.loads(body)
    assert found["code"] == "bad_request"
    assert found["error"]
    assert found["hint"]


def test_a_broken_chunk_stores_nothing(api: Api, server: EmbeddedServer, queue: str) -> None:
    head = b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = _item(queue)
    answer = exchange(server.url, head + b"%x\r\n%b\r\nnonsense\r\n" % (len(body), body))
    assert b"201" not in answer
    assert server.query("SELECT * FROM queues WHERE name = %s", queue) == []


@pytest.mark.parametrize("part", [b"GET /health?x=", b"GET /health HTTP/1.1\r\nX-Long: ", b"GET /health HTTP/1.1\r\n"])
def test_a_head_without_an_end_is_cut_off(api: Api, server: EmbeddedServer, part: bytes) -> None:
    filler = b"X-More: more\r\n" if part.endswith(b"\n") else b"x"
    with connect(server.url) as connection:
        connection.sendall(part)
        try:
            for _ in range(200):
                connection.sendall(filler * (16_384 // len(filler)))
        except ConnectionError:
            return
        assert split_answer(read_all(connection))[0] in (400, 431)


def test_a_long_head_that_ends_is_served(api: Api, server: EmbeddedServer) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: q\r\nConnection: close\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\n"
    assert split_answer(exchange(server.url, head))[0] == 200


def test_http_1_0_and_pipelined_requests_are_served(api: Api, server: EmbeddedServer, queue: str) -> None:
    assert split_answer(exchange(server.url, b"GET /health/live HTTP/1.0\r\n\r\n"))[0] == 200
    one = post("/api/v1/push", _item(queue)).replace(b"Connection: close\r\n", b"")
    answers = exchange(server.url, one * 20 + post("/api/v1/push", _item(queue)))
    assert answers.count(b"HTTP/1.1 201") == 21
    assert len(api.drain(queue)) == 21


def _leave_by_close(connection: socket.socket) -> None:
    connection.close()


def _leave_by_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


leaving = pytest.mark.parametrize("leave", [_leave_by_close, _leave_by_reset], ids=["close", "reset"])


@pytest.mark.spec("R16")
@leaving
@pytest.mark.parametrize("path", ["/api/v1/push", "/api/v1/ack/batch", "/api/v1/configure", "/api/v1/lease/x/extend"])
def test_a_client_that_leaves_in_its_body_is_forgotten(
    api: Api, server: EmbeddedServer, queue: str, path: str, leave: Any
) -> None:
    body = _item(queue)
    request = post(path, body + b" " * 100)[:-100]
    connection = connect(server.url)
    connection.sendall(request)
    leave(connection)
    api.push_to(f"{queue}.later", [1])
    assert server.query("SELECT * FROM queues WHERE name = %s", queue) == []


@pytest.mark.spec("R16")
@leaving
def test_a_client_that_leaves_its_poll_takes_no_lease(api: Api, server: EmbeddedServer, queue: str, leave: Any) -> None:
    connections = [connect(server.url) for _ in range(5)]
    for connection in connections:
        connection.sendall(_poll(queue))
    wait_until(lambda: server.parked_polls() == 5, "the polls to be parked")
    for connection in connections:
        leave(connection)
    wait_until(lambda: server.parked_polls() == 0, "the polls to end")
    api.push([{"queue": queue, "partition": str(number), "payload": number} for number in range(5)])
    batch = api.pop(queue, partitions=0)
    assert batch is not None
    assert sorted(data(batch)) == list(range(5))
    assert {message["deliveryAttempt"] for message in batch["messages"]} == {1}


@pytest.mark.spec("R16")
def test_the_next_in_line_gets_what_a_client_that_left_was_woken_for(
    api: Api, server: EmbeddedServer, queue: str
) -> None:
    """One poll leaves at the very moment of the push: the other one must get the message, without an expiry."""
    for round_ in range(20):
        leaver, stayer = connect(server.url), connect(server.url)
        leaver.sendall(_poll(queue))
        wait_until(lambda: server.parked_polls() == 1, "the first poll to be parked")
        stayer.sendall(_poll(queue))
        wait_until(lambda: server.parked_polls() == 2, "the second poll to be parked")
        leaver.close()
        wait_until(lambda: server.parked_polls() == 1, "the first poll to end")
        api.push([{"queue": queue, "payload": round_}])
        with stayer:
            status, _, body = split_answer(_answer(stayer))
        assert status == 200
        batch = json.loads(body)
        assert [(one["data"], one["deliveryAttempt"]) for one in batch["messages"]] == [(round_, 1)]
        api.settle(batch)


def test_a_slow_body_delays_nobody_and_is_taken_in_the_end(api: Api, server: EmbeddedServer, queue: str) -> None:
    request = post("/api/v1/push", _item(queue))
    with connect(server.url) as slow:
        for place in range(0, len(request) - 7, 7):
            slow.sendall(request[place : place + 7])
            assert api.http.get("/health/live").status_code == 200
        assert api.pop(queue) is None
        slow.sendall(request[(len(request) - 8) // 7 * 7 + 7 :])
        assert split_answer(read_all(slow))[0] == 201
    assert len(api.drain(queue)) == 1


def test_a_client_that_reads_nothing_delays_nobody(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.push_to(queue, ["x" * 100_000] * 100)
    with connect(server.url) as lazy:
        for group in range(20):
            lazy.sendall(_poll(queue, f"batch=1000&consumerGroup=g{group}"))
        wait_until(lambda: server.metrics()["counters"]["pop_messages"] >= 100, "the first answer to be on its way")
        assert len(api.drain(queue, "quick")) == 100


def test_many_connections_at_once_are_served(api: Api, server: EmbeddedServer, queue: str) -> None:
    api.pop(queue)
    connections = [connect(server.url) for _ in range(300)]
    try:
        for connection in connections:
            connection.sendall(_poll(queue))
        wait_until(lambda: server.parked_polls() == 300, "all polls to be parked")
        api.push([{"queue": queue, "partition": str(number), "payload": number} for number in range(300)])
        answers = [json.loads(split_answer(_answer(connection))[2]) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert sorted(message["data"] for answer in answers for message in answer["messages"]) == list(range(300))


def _answer(connection: socket.socket) -> bytes:
    """One whole answer of known length."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65_536)
    length = int(split_answer(found)[1]["content-length"])
    while len(split_answer(found)[2]) < length:
        found += connection.recv(65_536)
    return found


@pytest.mark.spec("R16")
def test_idle_threads_of_clients_leave_no_polls_behind(api: Api, server: EmbeddedServer, queue: str) -> None:
    def poll_and_leave() -> None:
        with connect(server.url) as connection:
            connection.sendall(_poll(queue))

    threads = [threading.Thread(target=poll_and_leave) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: server.parked_polls() == 0, "every poll to end")
    api.push([{"queue": queue, "partition": str(number), "payload": number} for number in range(50)])
    assert len(api.drain(queue)) == 50


@pytest.mark.spec("R16")
def test_requests_sent_ahead_by_a_client_that_left_take_no_lease(api: Api, server: EmbeddedServer, queue: str) -> None:
    with connect(server.url) as connection:
        connection.sendall(_poll(queue) * 5)
        wait_until(lambda: server.parked_polls() == 1, "the first poll to be parked")
    wait_until(lambda: server.parked_polls() == 0, "the poll to end")
    api.push_to(queue, [1])
    batch = api.pop(queue)
    assert batch is not None
    assert batch["messages"][0]["deliveryAttempt"] == 1
