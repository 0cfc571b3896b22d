"""Two servers on one database: spread of calls, and failover between them."""

from __future__ import annotations

import pytest

from tests.conformance.programs import Program, running, wait_until
from tests.conformance.runs import Runs
from tests.conformance.suite import Cell, checks, story
from tests.support.api import Api
from tests.support.fix_public_client import PublicClient
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


@checks("balance")
def test_balance(runs_with_two: Runs, cell: Cell) -> None:
    runs_with_two.outcome(cell).check()


@story("balance", "failover: a producer, and a round-robin consumer of one worker, go on when a server is killed")
def test_kill(shared: EmbeddedServer, beside: EmbeddedServer, client: PublicClient, queue: str) -> None:
    """Not with affinity: a request that is under way when its server is killed is no network error to the client.

    Nor with several workers: they take turns together, and so one may be given the killed server twice.
    """
    urls = f"{beside.url},{shared.url}"
    with (
        running(client, "consume", urls, queue, "g", "1", "wait", "round-robin") as consumer,
        running(client, "push", urls, queue, "150", "again") as producer,
    ):
        consumer.wait_for("HANDLED", 20)
        beside.kill()
        producer.wait_for_more("PUSHED", 40)
        beside.start()
        _all_handled(consumer, producer, 150)
    with Api(shared.url) as api:
        assert [message["data"] for message in api.drain(queue, "check")] == list(range(150))


@story("balance", "failover: a producer and a consumer with affinity go on when a server is stopped")
def test_stop(shared: EmbeddedServer, beside: EmbeddedServer, client: PublicClient, queue: str) -> None:
    urls = f"{beside.url},{shared.url}"
    with (
        running(client, "consume", urls, queue, "g", "4", "wait") as consumer,
        running(client, "push", urls, queue, "150") as producer,
    ):
        consumer.wait_for("HANDLED", 20)
        assert beside.terminate() == 0
        producer.wait_for_more("PUSHED", 40)
        beside.start()
        _all_handled(consumer, producer, 150)


def _all_handled(consumer: Program, producer: Program, count: int) -> None:
    producer.wait_for("PUSHED", count)
    assert producer.ended() == 0
    wait_until(
        lambda: set(consumer.numbers("HANDLED")) == set(range(count)), lambda: f"all to be handled: {consumer.text()}"
    )
    assert consumer.process.poll() is None, consumer.text()
