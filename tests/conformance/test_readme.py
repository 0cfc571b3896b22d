"""The programs of the client's own README work without a changed line but the URL.

1.0.0 is a version whose README parses and fits its client. That of 0.12.0 has blocks that are no Python. That of 2.6.0
gives `batch=1` as the default of consume, under which a handler takes one message; the client hands it a list until
somebody calls `batch(1)`, whichever server it talks to.
"""

from __future__ import annotations

import ast
import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conformance.programs import started, wait_until
from tests.conformance.readme import blocks, with_url
from tests.conformance.runs import Clients
from tests.conformance.suite import HERE, Cell, RouteMissing, story
from tests.support.api import Api
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
NO_PYTHON = {
    "0.12.0": {
        START,
        "Core Concepts / Consumer Groups",
        "Basic Usage Patterns / Consume Messages (Long-Running Workers)",
        "Basic Usage Patterns / Message Tracing",
        "API Reference / Consume",
    }
}
"""What does not compile."""

TAKE_ONE = {
    "2.6.0": {
        "Core Concepts / Consumer Groups",
        "Basic Usage Patterns / Consume Messages (Long-Running Workers)",
        "Basic Usage Patterns / Message Tracing",
        "Type Hints",
    }
}
"""What works only with the default that the README gives."""


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    """A server for the queue names of the README."""
    made = module_servers()
    made.start()
    return made


def test_quick_start(server: EmbeddedServer, public_clients: Clients, tmp_path: Path) -> None:
    with started(_quick_start(public_clients("1.0.0"), server, tmp_path)) as program:
        program.wait_for_line("Processing: {'task': 'send-email', 'to': 'alice@example.com'}")
        program.process.send_signal(signal.SIGTERM)


@story(
    "readme",
    "Quick Start as it stands: its handler gets a list, by the client's own default, and raises",
    since="2.6.0",
)
def test_quick_start_of_the_newest(server: EmbeddedServer, client: PublicClient, tmp_path: Path) -> None:
    with Api(server.url) as api, started(_quick_start(client, server, tmp_path)):
        api.delete("/api/v1/resources/queues/tasks")
        wait_until(lambda: api.dead_letters(queue="tasks")["messages"], lambda: "its message to be given up")
        [dead] = api.dead_letters(queue="tasks")["messages"]
    assert dead["data"] == {"task": "send-email", "to": "alice@example.com"}
    assert dead["errorMessage"] == "list indices must be integers or slices, not str"


def _quick_start(client: PublicClient, server: EmbeddedServer, folder: Path) -> subprocess.Popen[str]:
    script = folder / "quick_start.py"
    script.write_text(with_url(blocks(client.metadata())[START], server.url), encoding="utf-8")
    return client.start_file(script)


@story("readme", "every other block that is Python and stands alone")
def test_blocks(server: EmbeddedServer, client: PublicClient, cell: Cell) -> None:
    all_blocks = blocks(client.metadata())
    left_out = {*LEFT_OUT, READS, START} | NO_PYTHON.get(cell.version, set())
    take_one = TAKE_ONE.get(cell.version, set())
    for places, arguments in ((set(all_blocks) - left_out - take_one, ()), (take_one, ("batch=1",))):
        found = _run(server, client, {place: all_blocks[place] for place in places}, *arguments)
        assert {place: error for place, error in found.items() if error} == {}


def test_all_blocks_of_1_0_0(server: EmbeddedServer, public_clients: Clients) -> None:
    client = public_clients("1.0.0")
    wanted = {place: code for place, code in blocks(client.metadata()).items() if place not in {*LEFT_OUT, START}}
    assert len(wanted) > 20
    assert {place: error for place, error in _run(server, client, wanted).items() if error} == {}


@pytest.mark.parametrize(("version", "places"), NO_PYTHON.items())
def test_what_is_said_not_to_compile_does_not(public_clients: Clients, version: str, places: set[str]) -> None:
    found = blocks(public_clients(version).metadata())
    for place in places:
        with pytest.raises(SyntaxError):
            compile(found[place], place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@story("readme", "the block on reads by offset", since="2.6.0")
def test_reads(server: EmbeddedServer, client: PublicClient) -> None:
    error = _run(server, client, {READS: blocks(client.metadata())[READS]})[READS]
    if error and "Not Found" in error:
        raise RouteMissing(error)
    assert error is None, error


def test_nothing_is_left_out_that_is_not_there(public_client: PublicClient) -> None:
    assert set(LEFT_OUT) - set(blocks(public_client.metadata())) == set()


def _run(
    server: EmbeddedServer, client: PublicClient, wanted: dict[str, str], *arguments: str
) -> dict[str, str | None]:
    """What each block failed with, if it did."""
    program = HERE / "scripts" / "program_readme.py"
    text = json.dumps({place: with_url(code, server.url) for place, code in wanted.items()})
    done = client.run_file(program, server.url, *arguments, text=text)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found = {one["place"]: one["error"] for one in map(json.loads, lines)}
    assert found.keys() == wanted.keys()
    return found
