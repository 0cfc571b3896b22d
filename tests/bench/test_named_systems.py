"""The bench on systems that others made: several running servers, a named database, and one that is in use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from queen.bench import sink
from queen.bench.http_call import ask
from tests.support.command import queen_command
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

_QUICK = ("bench", "--profile", "smoke", "--warmup", "1s", "--duration", "2s", "--workers", "1")
_SLO = ("--slo", "p50(e2e)<20s", "--format", "json")


def test_several_servers_are_loaded_alike(tmp_path: Path, server: EmbeddedServer) -> None:
    """Both names of one server: messages pushed through either are consumed."""
    port = server.url.rsplit(":", 1)[1]
    urls = ("--url", server.url, "--url", f"http://localhost:{port}")
    done = queen_command(tmp_path, *_QUICK, *_SLO, *urls)
    assert done.code in (0, 1, 5), done.err
    ledger = done.json()["ledger"]
    assert ledger["accepted"] == ledger["acked"] > 1000
    left = ask(server.url, "GET", "/api/v1/resources/queues")
    assert "bench-" not in json.dumps(left), "the queue of the run is removed"


def test_one_dead_address_of_several_is_named(tmp_path: Path) -> None:
    with sink.running() as alive:
        done = queen_command(tmp_path, *_QUICK, "--url", alive.url, "--url", "http://127.0.0.1:9")
    assert done.code == 3
    assert "127.0.0.1:9" in done.err
    assert "Traceback" not in done.err


def test_a_database_with_messages_needs_consent(tmp_path: Path, new_database: Callable[[], str]) -> None:
    dsn = new_database()
    first = queen_command(tmp_path, *_QUICK, *_SLO, "--database-url", dsn, "--keep", TMPDIR=str(tmp_path))
    assert first.code in (0, 1, 5), first.err
    assert first.json()["request"]["own_database"] is False
    refused = queen_command(tmp_path, *_QUICK, *_SLO, "--database-url", dsn)
    assert refused.code == 4
    assert "--yes-use-this-database" in refused.err
    allowed = queen_command(tmp_path, *_QUICK, *_SLO, "--database-url", dsn, "--yes-use-this-database")
    assert allowed.code in (0, 1, 5), allowed.err
