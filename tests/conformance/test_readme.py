"""The programs of the client's own README work without a changed line but the URL.

Run with QUEEN_SDK_POP_AUTOPILOT=off, the client's own switch: with it on, as by default, 2.6.0 hands a list to every
handler, also to those of its README that take one message, whichever server it talks to.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.conformance.programs import started
from tests.conformance.readme import blocks, with_url
from tests.conformance.suite import HERE, RouteMissing, story
from tests.support.fix_public_client import PublicClient
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

START = "Quick Start"
READS = "Reads by Offset"
LEFT_OUT = {
    "API Reference / Push": "stands `[...]` for the messages",
    "Configuration Defaults / Client Defaults": "a table of values, no program",
    "Configuration Defaults / Queue Defaults": "a table of values, no program",
    "Configuration Defaults / Consume Defaults": "a table of values, no program",
    "Key/Value State and Timers / Key/Value": "the server has no key/value store",
    "Key/Value State and Timers / Timers": "the server has no timers",
    "Key/Value State and Timers / Locks and semaphores": "the server has no locks",
    "Key/Value State and Timers / Inside a transaction": "the server has no key/value store",
}
OFF = {"QUEEN_SDK_POP_AUTOPILOT": "off"}


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    """A server for the queue names of the README."""
    made = module_servers()
    made.start()
    return made


@story("readme", "Quick Start, run as it stands until it has handled its message")
def test_quick_start(server: EmbeddedServer, client: PublicClient, tmp_path: Path) -> None:
    script = tmp_path / "quick_start.py"
    script.write_text(with_url(blocks(client.metadata())[START], server.url), encoding="utf-8")
    with started(client.start_file(script, **OFF)) as program:
        program.wait_for_line("Processing: {'task': 'send-email', 'to': 'alice@example.com'}")
        program.process.send_signal(signal.SIGTERM)


@story("readme", "every other block that stands alone")
def test_blocks(server: EmbeddedServer, client: PublicClient) -> None:
    wanted = {
        place: with_url(code, server.url)
        for place, code in blocks(client.metadata()).items()
        if place not in LEFT_OUT and place not in (START, READS)
    }
    assert len(wanted) > 20
    assert {place: error for place, error in _run(server, client, wanted).items() if error} == {}


@story("readme", "the block on reads by offset", since="2.6.0")
def test_reads(server: EmbeddedServer, client: PublicClient) -> None:
    code = with_url(blocks(client.metadata())[READS], server.url)
    error = _run(server, client, {READS: code})[READS]
    if error and "Not Found" in error:
        raise RouteMissing(error)
    assert error is None, error


def test_nothing_is_left_out_that_is_not_there(public_client: PublicClient) -> None:
    assert set(LEFT_OUT) - set(blocks(public_client.metadata())) == set()


def _run(server: EmbeddedServer, client: PublicClient, wanted: dict[str, str]) -> dict[str, str | None]:
    """What each block failed with, if it did."""
    program = HERE / "scripts" / "program_readme.py"
    done = client.run_file(program, server.url, text=json.dumps(wanted), **OFF)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found = {one["place"]: one["error"] for one in map(json.loads, lines)}
    assert found.keys() == wanted.keys()
    return found
