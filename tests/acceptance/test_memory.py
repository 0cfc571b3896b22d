"""The memory budget under an overload, and clients that stall: what is refused, what goes on, what is given back."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from queen.engine.memory import REQUEST_FACTOR
from tests.support.api import Api, connect, data, dumps, post, read_all, split_answer
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

LIMIT = 256_000_000
MIB = 1 << 20


class _Load:
    """Threads that push payloads of 1 to 8 MB to a slow database, pop them again, and count what they are told."""

    def __init__(self, server: EmbeddedServer, queue: str) -> None:
        self._server = server
        self._queue = queue
        self._until = 0.0
        self.answers: Counter[Any] = Counter()
        self.delivered = 0
        self.rss_max = 0

    def run(self, seconds: float, pushers: int = 24) -> None:
        self._until = time.monotonic() + seconds
        work: list[tuple[Callable[..., None], tuple[int, ...]]] = [
            *[(self._push, (n,)) for n in range(pushers)],
            *[(self._pop, ())] * 3,
            (self._watch, ()),
        ]
        threads = [threading.Thread(target=target, args=arguments) for target, arguments in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _push(self, number: int) -> None:
        bodies = [
            dumps({"items": [{"queue": self._queue, "partition": f"p{number % 8}", "payload": "x" * size * 1_000_000}]})
            for size in (1, 8, 3)
        ]
        with httpx.Client(base_url=self._server.url, timeout=120, trust_env=False) as http:
            turn = number
            while time.monotonic() < self._until:
                turn += 1
                answer = http.post("/api/v1/push", content=bodies[turn % 3])
                if answer.status_code == 503:
                    assert answer.json()["code"] == "overloaded", answer.text
                    assert int(answer.headers["retry-after"]) >= 1
                    time.sleep(0.05)
                self.answers[answer.status_code] += 1

    def _pop(self) -> None:
        with Api(self._server.url) as api:
            while time.monotonic() < self._until:
                answer = api.http.get(f"/api/v1/pop/queue/{self._queue}", params={"batch": 20, "partitions": 4})
                self.answers["pop", answer.status_code] += 1
                if answer.status_code == 200:
                    batch = answer.json()
                    self.delivered += sum(len(message["data"]) for message in batch["messages"])
                    assert all(result["success"] for result in api.ack(batch["messages"]))
                else:
                    time.sleep(0.02)

    def _watch(self) -> None:
        while time.monotonic() < self._until:
            with open(f"/proc/{self._server.pid}/statm", "rb") as file:
                self.rss_max = max(self.rss_max, int(file.read().split()[1]) * 4096)
            time.sleep(0.01)


def _slow_down(server: EmbeddedServer, delay_s: float) -> None:
    """Every statement that stores messages takes longer by this."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("set search_path = queen")
        connection.execute(
            "create function slow() returns trigger language plpgsql as"
            f" $$ begin perform pg_sleep({delay_s}); return null; end $$"
        )
        connection.execute("create trigger slow after insert on messages for each statement execute function slow()")


@pytest.mark.spec("R3")
@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_an_overload_of_large_payloads_stays_under_the_budget(
    make_server: MakeServer, queue: str, seconds: float
) -> None:
    server = make_server("--max-memory", "256MB")
    server.start()
    _slow_down(server, 0.05)
    load = _Load(server, queue)
    load.run(seconds)
    sizes = server.metrics()["sizes"]
    print(f"rss at most {load.rss_max / 1e6:.0f} MB, {load.answers}, {load.delivered / 1e6:.0f} MB delivered, {sizes}")
    assert load.rss_max < LIMIT
    assert load.answers[503] > 0
    assert load.answers[201] > seconds / 2
    assert load.delivered > seconds * 500_000
    assert set(load.answers) <= {201, 503, ("pop", 200), ("pop", 204), ("pop", 503)}
    assert sizes["memory_refused"] > 0
    wait_until(lambda: server.metrics()["sizes"]["memory_used"] == 0, "everything to be given back")
    server.check_unharmed()


def _open_push(url: str, length: int, sent: bytes = b"") -> socket.socket:
    connection = connect(url)
    connection.sendall(b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: %d\r\n\r\n%b" % (length, sent))
    return connection


@pytest.mark.spec("R3")
@pytest.mark.spec("R15")
def test_what_has_no_room_is_refused_before_it_is_read_and_acks_go_on(make_server: MakeServer, queue: str) -> None:
    server = make_server("--max-memory", "256MB")
    server.start()
    with Api(server.url) as api:
        api.push_to(queue, [1])
        batch = api.wait_pop(queue)
        # Bodies that are announced take their room, although nothing of them came yet.
        held: list[socket.socket] = []
        length, answer = 10 * MIB, b""
        while not answer and len(held) < 20:
            connection = _open_push(server.url, length)
            connection.settimeout(1)
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                held.append(connection)
        assert held
        assert api.get("/metrics")["sizes"]["memory_used"] == len(held) * length * REQUEST_FACTOR
        status, headers, body = split_answer(answer)
        assert (status, json.loads(body)["code"]) == (503, "overloaded")
        assert int(headers["retry-after"]) >= 1
        # The refused client may send its body or not; the connection is still good for the next request.
        connection.settimeout(60)
        connection.sendall(b"x" * length + b"GET /health/live HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n")
        assert split_answer(read_all(connection))[0] == 200
        api.settle(batch)
        assert api.pop(queue) is None
        for one in held:
            one.close()
        wait_until(lambda: api.get("/metrics")["sizes"]["memory_used"] == 0, "the room to be given back")
        assert api.push_to(f"{queue}.2", ["x" * length])[0]["status"] == "queued"
    server.check_unharmed()


@pytest.mark.spec("R15")
def test_a_body_without_a_length_is_refused_as_it_grows(make_server: MakeServer) -> None:
    server = make_server(QUEEN_SERVER__BODY_BYTES_MAX="1MiB")
    server.start()
    with connect(server.url) as connection:
        connection.sendall(b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        status, _, body = split_answer(read_all(connection))
        assert (status, json.loads(body)["code"]) == (413, "body_too_large")
    assert server.metrics()["sizes"]["memory_used"] == 0


@pytest.mark.spec("R15")
def test_a_large_answer_is_the_same_as_a_small_one(api: Api, queue: str) -> None:
    payloads = ["a", "x" * 3_000_000, {"nested": [1, None, "\u00e9"] * 20_000}, "y" * 100, *range(3000), "z" * 70_000]
    for start in range(0, len(payloads), 1000):
        api.push([{"queue": queue, "payload": payload} for payload in payloads[start : start + 1000]])
    whole = api.wait_pop(queue, batch=10_000, autoAck="true", consumerGroup="whole")
    assert data(whole) == payloads
    single = [api.wait_pop(queue, batch=1, autoAck="true", consumerGroup="single") for _ in range(5)]
    for got, expected in zip(whole["messages"][:5], single, strict=True):
        assert {**got, "consumerGroup": ""} == {**expected["messages"][0], "consumerGroup": ""}


@pytest.fixture(scope="module")
def hasty(module_servers: MakeServer) -> EmbeddedServer:
    """A server that cuts off stalling clients after two seconds."""
    server = module_servers(QUEEN_SERVER__STALL_TIMEOUT_MS="2s")
    server.start()
    return server


@pytest.mark.spec("R12")
@pytest.mark.parametrize("leave", ["stall", "close"])
def test_the_lease_of_an_answer_that_is_not_read_goes_back(hasty: EmbeddedServer, queue: str, leave: str) -> None:
    with Api(hasty.url) as api:
        api.push_to(queue, ["x" * 1_000_000] * 20)
        before = hasty.metrics()["counters"]["clients_stalled"]
        with connect(hasty.url) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.sendall(f"GET /api/v1/pop/queue/{queue}?batch=100 HTTP/1.1\r\nHost: q\r\n\r\n".encode())
            wait_until(lambda: hasty.metrics()["sizes"]["memory_used"] > 0, "the answer to be on its way")
            if leave == "close":
                lazy.close()
            batch = api.wait_pop(queue, batch=100)
        assert len(batch["messages"]) == 20
        assert (hasty.metrics()["counters"]["clients_stalled"] > before) == (leave == "stall")
        api.settle(batch)
        assert hasty.metrics()["sizes"]["memory_used"] == 0
    hasty.check_unharmed()


UNFINISHED = [
    b"POST /api/v1/pu",
    b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: 10\r\n\r\n{",
    b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Length: 1000000\r\n\r\n{",
    b"POST /api/v1/configure HTTP/1.1\r\nHost: q\r\nContent-Length: 10\r\n\r\n{",
    b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    b"POST /api/v1/push HTTP/1.1\r\nHost: q\r\nContent-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
]


@pytest.mark.spec("R12")
@pytest.mark.spec("R16")
def test_requests_that_do_not_go_on_are_ended_with_a_word(hasty: EmbeddedServer) -> None:
    connections = [connect(hasty.url) for _ in UNFINISHED]
    for connection, start in zip(connections, UNFINISHED, strict=True):
        connection.sendall(start)
    for connection in connections:
        with connection:
            status, _, body = split_answer(read_all(connection))
        assert (status, json.loads(body)["code"]) == (408, "request_stalled")
    assert hasty.metrics()["sizes"]["memory_used"] == 0
    hasty.check_unharmed()


def test_a_silent_connection_is_closed_and_a_slow_or_waiting_one_is_not(hasty: EmbeddedServer, queue: str) -> None:
    request = post("/api/v1/push", dumps({"items": [{"queue": queue, "payload": 1}]}))
    with connect(hasty.url) as silent, connect(hasty.url) as slow, connect(hasty.url) as poll:
        poll.sendall(f"GET /api/v1/pop/queue/{queue}?wait=true&timeout=60000 HTTP/1.1\r\nHost: q\r\n\r\n".encode())
        for place in range(0, len(request), 10):
            slow.sendall(request[place : place + 10])
            time.sleep(0.2)
        assert split_answer(read_all(slow))[0] == 201
        assert poll.recv(12) == b"HTTP/1.1 200"
        assert read_all(silent) == b""
