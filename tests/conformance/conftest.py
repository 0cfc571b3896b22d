"""Fixtures of the conformance suite: one server for all scripts, and each script run once for each version."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Clients, Outcome, Runs
from tests.conformance.suite import Cell
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer


@pytest.fixture(scope="session")
def shared(session_servers: MakeServer) -> EmbeddedServer:
    """The server that all scripts share; each check has a queue of its own."""
    made = session_servers()
    made.start()
    return made


@pytest.fixture(scope="session")
def beside(shared: EmbeddedServer, session_servers: MakeServer) -> EmbeddedServer:
    """Another server on the same database."""
    made = session_servers(beside=shared)
    made.start()
    return made


@pytest.fixture(scope="session")
def runs(public_clients: Clients, shared: EmbeddedServer) -> Runs:
    """The scripts against one server."""
    return Runs(public_clients, shared.url)


@pytest.fixture(scope="session")
def runs_with_two(public_clients: Clients, shared: EmbeddedServer, beside: EmbeddedServer) -> Runs:
    """The scripts against two servers."""
    return Runs(public_clients, f"{shared.url},{beside.url}")


@pytest.fixture
def outcome(runs: Runs, cell: Cell) -> Outcome:
    """How the check of this test's cell went, with one server."""
    return runs.outcome(cell)


@pytest.fixture
def client(public_clients: Clients, cell: Cell) -> PublicClient:
    """The client of this test's version."""
    return public_clients(cell.version)
