"""SIGTERM under load behind a balancer that asks /health/ready: every request gets its answer, none is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.api import Api, connect, read_all, split_answer
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

_POLLS = 6


class _Balancer:
    """Threads that use a server for as long as it says that it is ready; they note every answer but the good ones."""

    def __init__(self, server: EmbeddedServer, queue: str, count: int) -> None:
        self.problems: list[str] = []
        self.pushed: list[str] = []
        self.popped: list[str] = []
        self.not_ready = threading.Event()
        self._url, self._queue = server.url, queue
        self._threads = [threading.Thread(target=self._check)]
        self._threads += [threading.Thread(target=self._use, args=(f"c{number}",)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _check(self) -> None:
        """A connection for each look, as balancers have it."""
        while not self.not_ready.is_set():
            try:
                answer = httpx.get(f"{self._url}/health/ready", timeout=120, trust_env=False)
            except httpx.TransportError as error:
                self.problems.append(f"ready: {error!r}")
                self.not_ready.set()
                return
            if answer.status_code != 200:
                self.not_ready.set()

    def _use(self, name: str) -> None:
        number = 0
        with httpx.Client(base_url=self._url, timeout=120, trust_env=False) as client:
            while not self.not_ready.is_set():
                number += 1
                try:
                    self._round(client, name, f"{name}-{number}")
                except (httpx.TransportError, AssertionError) as error:
                    self.problems.append(f"{name}: {error!r}")

    def _round(self, client: httpx.Client, name: str, key: str) -> None:
        item = {"queue": self._queue, "partition": name, "payload": key, "transactionId": key}
        answer = client.post("/api/v1/push", json={"items": [item]})
        assert answer.status_code == 201, answer.text
        self.pushed.append(key)
        answer = client.get(f"/api/v1/pop/queue/{self._queue}/partition/{name}")
        assert answer.status_code in (200, 204), answer.text
        if answer.status_code == 200:
            messages: list[dict[str, Any]] = answer.json()["messages"]
            acks = [{name: one[name] for name in ("transactionId", "partitionId", "leaseId")} for one in messages]
            answer = client.post("/api/v1/ack/batch", json={"acknowledgments": acks})
            assert answer.status_code == 200, answer.text
            assert all(one["success"] for one in answer.json()), answer.text
            self.popped += [one["transactionId"] for one in messages]


def _poll(url: str, queue: str) -> tuple[int, dict[str, str], bytes]:
    """One poll on a connection that the client would keep; the answer, once the server has closed it."""
    head = f"GET /api/v1/pop/queue/{queue}.idle?wait=true&timeout=60000 HTTP/1.1\r\nHost: q\r\n\r\n"
    with connect(url) as connection:
        connection.sendall(head.encode())
        return split_answer(read_all(connection))


@pytest.mark.spec("R18")
@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_is_lost_or_refused_while_a_server_ends(make_server: MakeServer, queue: str, workers: int) -> None:
    server = make_server("--workers", str(workers), QUEEN_SERVER__DRAIN_DELAY_MS="2000")
    server.start()
    with ThreadPoolExecutor(_POLLS) as threads:
        polls = [threads.submit(_poll, server.url, queue) for _ in range(_POLLS)]
        wait_until(lambda: server.parked_polls() == _POLLS, "the polls to be parked")
        balancer = _Balancer(server, queue, 3)
        try:
            wait_until(lambda: len(balancer.popped) > 30 or balancer.problems, "load")
            server.signal()
            wait_until(balancer.not_ready.is_set, "/health/ready to say no")
        finally:
            balancer.not_ready.set()
            balancer.join()
        answers = [poll.result() for poll in polls]
    assert server.ended() == 0
    assert balancer.problems == []
    assert [(status, headers["connection"], content) for status, headers, content in answers] == [
        (204, "close", b"")
    ] * _POLLS
    assert "Traceback" not in server.output()
    server.start()
    with Api(server.url) as api:
        left = [message["transactionId"] for message in api.drain(queue)]
    assert sorted(left + balancer.popped) == sorted(balancer.pushed)


def test_a_request_on_a_connection_that_is_still_open_is_served_and_told_to_leave(make_server: MakeServer) -> None:
    server = make_server(QUEEN_SERVER__DRAIN_DELAY_MS="600000")
    server.start()
    with Api(server.url) as api:
        assert "connection" not in api.http.get("/health/live").headers
        server.signal()
        wait_until(lambda: not server.is_ready(), "/health/ready to say no")
        for _ in range(2):
            answer = api.http.post("/api/v1/push", json={"items": [{"queue": "q", "payload": 1}]})
            assert (answer.status_code, answer.headers["connection"]) == (201, "close")
    server.signal()
    server.ended()
