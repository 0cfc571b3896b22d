"""429 and 503: the client waits and goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.programs import running, wait_until
from tests.conformance.runs import Outcome
from tests.conformance.suite import checks, story
from tests.support.api import Api
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

OUTAGE_S = 5.0
"""Longer than the client tries one request: three times, with pauses of one and two seconds."""


@checks("pressure")
def test_pressure(outcome: Outcome) -> None:
    outcome.check()


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    """A server that lets two polls wait, and soon gives up on a database that stands still."""
    made = module_servers(QUEEN_ENGINE__PARKED_POLLS_MAX="2", QUEEN_DATABASE__STATEMENT_TIMEOUT_MS="500")
    made.start()
    return made


@story("pressure", "503 while the database is away: a consumer goes on afterwards, however long it takes")
def test_consumer_in_an_outage(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "consume", server.url, queue, "g", "1", "poll") as consumer:
        with _frozen(server.postmaster):
            time.sleep(OUTAGE_S)
            assert consumer.process.poll() is None, consumer.text()
        server.wait_ready()
        _push(server, queue, 10)
        consumer.wait_for("HANDLED", 10)


@story("pressure", "503 for a short while: a producer goes on, and each message is stored once")
def test_producer_in_an_outage(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "push", server.url, queue, "100") as producer:
        producer.wait_for("PUSHED", 20)
        with _frozen(server.postmaster):
            time.sleep(1.5)
        producer.wait_for("PUSHED", 100)
        assert producer.ended() == 0
    with Api(server.url) as api:
        assert [message["data"] for message in api.drain(queue)] == list(range(100))


@story("pressure", "503 for more waiting consumers than the server lets wait: they keep trying")
def test_too_many_waiting(server: EmbeddedServer, client: PublicClient, queue: str) -> None:
    with running(client, "consume", server.url, queue, "g", "4", "wait") as consumer:
        wait_until(lambda: server.parked_polls() == 2, lambda: "the polls to be parked")
        time.sleep(OUTAGE_S)
        assert consumer.process.poll() is None, consumer.text()
        _push(server, queue, 10)
        consumer.wait_for("HANDLED", 10)


def _push(server: EmbeddedServer, queue: str, count: int) -> None:
    with Api(server.url) as api:
        api.push_to(queue, range(count))


@contextmanager
def _frozen(postmaster: int) -> Iterator[None]:
    """A PostgreSQL whose every process stands still."""
    family = [postmaster, *_children(postmaster)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    return [int(pid) for path in Path(f"/proc/{parent}/task").glob("*/children") for pid in path.read_text().split()]
