"""Servers that are killed or stopped under producers and consumers, and consumers that are stopped: nothing is lost."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.conformance.programs import running, wait_until
from tests.conformance.suite import story
from tests.support.api import Api
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


@pytest.fixture(scope="module")
def victim(module_servers: MakeServer) -> EmbeddedServer:
    """A server that may be killed and is started again; each test has a queue of its own."""
    made = module_servers()
    made.start()
    return made


@pytest.fixture
def server(victim: EmbeddedServer) -> EmbeddedServer:
    """The same, running."""
    if not victim.running:
        victim.start()
    return victim


def push(server: EmbeddedServer, queue: str, start: int, count: int) -> None:
    """Push numbers to a queue of five partitions."""
    items = [
        {"queue": queue, "partition": f"p{number % 5}", "payload": number, "transactionId": f"t{number}"}
        for number in range(start, start + count)
    ]
    with Api(server.url) as api:
        assert {result["status"] for result in api.push(items)} == {"queued"}


def left(server: EmbeddedServer, queue: str, group: str | None = None) -> list[int]:
    """What this group has not completed, in order of the partition."""
    with Api(server.url) as api:
        return [message["data"] for message in api.drain(queue, group)]


@story("reconnect", "a consumer goes on after its server was killed and started again")
def test_consumer_survives(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with Api(server.url) as api:
        api.configure(queue, leaseTime=2)
    push(server, queue, 0, 200)
    with running(client, "consume", server.url, queue, "g", "2", "wait") as consumer:
        consumer.wait_for("HANDLED", 20)
        server.kill()
        server.start()
        push(server, queue, 200, 50)
        wait_until(lambda: set(consumer.numbers("HANDLED")) == set(range(250)), lambda: f"all: {consumer.text()}")
        wait_until(lambda: _pending(server, queue) == 0, lambda: "all to be acknowledged")
        assert consumer.process.poll() is None, consumer.text()
    server.check_unharmed()


@story("reconnect", "a waiting consumer goes on after its server was stopped and started again")
def test_waiting_consumer(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "consume", server.url, queue, "g", "1", "wait") as consumer:
        wait_until(lambda: server.parked_polls() == 1, lambda: "the consumer to wait")
        server.restart()
        push(server, queue, 0, 10)
        consumer.wait_for("HANDLED", 10)
        wait_until(lambda: _pending(server, queue) == 0, lambda: "all to be acknowledged")
        assert sorted(consumer.numbers("HANDLED")) == list(range(10)), "each once: nothing was leased to the old poll"


@story("reconnect", "a producer goes on after its server was killed: all it was told is stored, once and in order")
def test_producer_survives(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "push", server.url, queue, "150", "again") as producer:
        producer.wait_for("PUSHED", 30)
        server.kill()
        server.start()
        producer.wait_for("PUSHED", 150)
        assert producer.ended() == 0
    assert left(server, queue) == list(range(150))


@story("reconnect", "a buffered producer goes on after its server was killed, and loses nothing", since="2.0.0")
def test_buffered_producer_survives(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "push", server.url, queue, "200", "buffer") as producer:
        producer.wait_for("PUSHED", 50)
        server.kill()
        producer.wait_for_more("PUSHED", 20)
        server.start()
        assert producer.ended() == 0
        assert "All buffers flushed" in producer.text()
    assert left(server, queue) == list(range(200))


@story("reconnect", "SIGTERM ends a consumer; what it had not acknowledged comes again")
def test_stopped_consumer(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with Api(server.url) as api:
        api.configure(queue, leaseTime=1)
    push(server, queue, 0, 100)
    with running(client, "consume", server.url, queue, "g", "2", "wait") as consumer:
        consumer.wait_for("HANDLED", 20)
        consumer.process.send_signal(signal.SIGTERM)
        consumer.ended()
        handled = consumer.numbers("HANDLED")
        assert any("shutting down gracefully" in line for line in consumer.lines)
    rest: list[int] = []

    def drained() -> bool:
        rest.extend(left(server, queue, "g"))
        return _pending(server, queue) == 0

    wait_until(drained, lambda: "the leases to end")
    assert set(handled) | set(rest) == set(range(100))
    again = Counter(handled) & Counter(rest)
    assert again.total() <= 10, "no more than the two batches of five under way"


def _pending(server: EmbeddedServer, queue: str) -> int:
    with Api(server.url) as api:
        return int(api.queue_totals(queue)["pending"])
