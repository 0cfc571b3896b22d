"""The basic life of a message with versions of the public client that the rest of the suite does not try."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Clients, run_script
from tests.conformance.suite import BETWEEN
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


@pytest.mark.parametrize("version", BETWEEN)
def test_basic_life(public_clients: Clients, shared: EmbeddedServer, version: str) -> None:
    found = run_script(public_clients(version), "life", shared.url)
    assert len(found) >= 9
    assert {name: one.detail for name, one in found.items() if one.outcome != "works"} == {}
