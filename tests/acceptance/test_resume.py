"""`queen produce --resume` killed in the middle, against a real server: every record is stored once, in order."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.command import end, queen_command, start_queen, wait_until
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg
RECORDS = 3000


@pytest.mark.spec("R5")
def test_a_killed_reload_is_taken_up_and_stores_every_record_once(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    (tmp_path / "f.ndjson").write_text("".join(json.dumps({"n": n, "shop": n % 7}) + "\n" for n in range(RECORDS)))
    args = ["--queue", queue, "--url", server.url, "--file", "f.ndjson", "--partition-by", "shop", "--batch", "20"]
    args += ["--resume", "state"]
    process = start_queen(tmp_path, "produce", *args, "--rate", "150")
    state = tmp_path / "state"
    wait_until(lambda: state.exists() and json.loads(state.read_bytes())["messages"] > 0, "acknowledged messages")
    process.send_signal(signal.SIGKILL)
    end(process)
    before = json.loads(state.read_bytes())["messages"]
    assert 0 < before < RECORDS
    done = queen_command(tmp_path, "produce", *args, "--json").json()
    assert (done["messages"], done["failed"]) == (RECORDS - before, 0)
    assert done["resume"]["messages_acknowledged"] == RECORDS
    taken = queen_command(tmp_path, "consume", "--queue", queue, "--url", server.url, "--until-empty").lines()
    assert sorted(record["n"] for record in taken) == list(range(RECORDS))
    for shop in range(7):
        assert [record["n"] for record in taken if record["shop"] == shop] == list(range(shop, RECORDS, 7))
