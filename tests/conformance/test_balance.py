"""Two servers on one database: spread of calls, and failover between them."""

from __future__ import annotations

import pytest

from tests.conformance.programs import running
from tests.conformance.runs import Runs
from tests.conformance.suite import Cell, checks, story
from tests.support.api import Api
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


@checks("balance")
def test_balance(runs_with_two: Runs, cell: Cell) -> None:
    runs_with_two.outcome(cell).check()


@pytest.fixture
def second(shared: EmbeddedServer, module_servers: MakeServer) -> EmbeddedServer:
    """A server beside the shared one, to be killed."""
    made = module_servers(beside=shared)
    made.start()
    return made


@story("balance", "failover: a producer and a consumer of two servers do not stop when one is killed")
def test_failover(shared: EmbeddedServer, second: EmbeddedServer, client: PublicClient, queue: str) -> None:
    urls = f"{second.url},{shared.url}"
    with (
        running(client, "consume", urls, queue, "g", "4", "wait") as consumer,
        running(client, "push", urls, queue, "200") as producer,
    ):
        consumer.wait_for("HANDLED", 20)
        second.kill()
        producer.wait_for_more("PUSHED", 50)
        second.start()
        producer.wait_for("PUSHED", 200)
        assert producer.ended() == 0
        wait_until(lambda: set(consumer.numbers("HANDLED")) == set(range(200)), "all to be handled")
        assert consumer.process.poll() is None, consumer.text()
    with Api(shared.url) as api:
        assert [message["data"] for message in api.drain(queue, "check")] == list(range(200))
