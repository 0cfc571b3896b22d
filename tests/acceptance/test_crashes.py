"""Killing the server and its private PostgreSQL: what was acknowledged stays, all comes back, no process is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import Api
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


class Pusher(threading.Thread):
    """Pushes numbers one by one to a queue until stopped, repeating what got no answer. `acknowledged`: up to which."""

    def __init__(self, url: str, queue: str) -> None:
        super().__init__()
        self._url, self._queue = url, queue
        self._stopping = threading.Event()
        self.acknowledged = 0
        self.statuses: set[int] = set()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stopping.is_set():
                number = self.acknowledged
                self._push(client, {"queue": self._queue, "payload": number, "transactionId": str(number)})

    def _push(self, client: httpx.Client, item: dict[str, Any]) -> None:
        try:
            answer = client.post("/api/v1/push", json={"items": [item]})
        except httpx.TransportError:
            time.sleep(0.05)
            return
        self.statuses.add(answer.status_code)
        if answer.status_code == 201 and answer.json()[0]["status"] in ("queued", "duplicate"):
            self.acknowledged += 1
        elif answer.status_code == 503:
            time.sleep(0.05)
        else:
            self._stopping.set()

    def wait_for_more(self) -> None:
        """Until some more pushes are acknowledged."""
        goal = self.acknowledged + 20
        wait_until(lambda: self.acknowledged >= goal or not self.is_alive(), "more pushes to be acknowledged")
        assert self.is_alive(), f"pushes were answered with {self.statuses}"

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def check_stored(server: EmbeddedServer, queue: str, pusher: Pusher) -> None:
    """Every acknowledged number is there once, in order; at most the one after them too."""
    with Api(server.url) as api:
        found = [message["data"] for message in api.drain(queue, "check")]
    assert found in (list(range(pusher.acknowledged)), list(range(pusher.acknowledged + 1)))


def processes_of(data_dir: Path) -> list[int]:
    """Every process that names the data folder in its command line, or works in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            folder = os.readlink(entry / "cwd")
        except OSError:
            continue
        if str(data_dir) in command or folder.startswith(str(data_dir)):
            found.append(int(entry.name))
    return found


def test_a_killed_server_leaves_no_process_behind(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    with Api(server.url) as api:
        api.push_to(queue, [1])
    assert len(processes_of(server.data_dir)) > 2
    server.kill()
    wait_until(lambda: not processes_of(server.data_dir), "its processes to end")
    server.start()
    assert server.terminate() == 0
    wait_until(lambda: not processes_of(server.data_dir), "its processes to end")


def test_a_killed_postgresql_comes_back_under_load(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    pusher = Pusher(server.url, queue)
    pusher.start()
    try:
        for _ in range(2):
            pusher.wait_for_more()
            killed = server.postmaster
            os.kill(killed, signal.SIGKILL)
            _wait_for_another_postgresql(server, killed)
            pusher.wait_for_more()
    finally:
        pusher.stop()
    server.wait_ready()
    assert pusher.statuses <= {201, 503}
    check_stored(server, queue, pusher)
    assert "Traceback" not in server.output()
    assert server.terminate() == 0
    wait_until(lambda: not processes_of(server.data_dir), "all processes to end")


def _wait_for_another_postgresql(server: EmbeddedServer, killed: int) -> None:
    wait_until(lambda: server.postmaster not in (0, killed), "another PostgreSQL")


def test_a_killed_server_loses_nothing_it_acknowledged(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    pusher = Pusher(server.url, queue)
    pusher.start()
    try:
        for _ in range(3):
            pusher.wait_for_more()
            server.kill()
            server.start()
        pusher.wait_for_more()
    finally:
        pusher.stop()
    check_stored(server, queue, pusher)
    server.check_unharmed()


def test_a_large_push_that_is_cut_off_is_stored_as_a_whole_or_not_at_all(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    items = [{"queue": queue, "payload": "x" * 500, "transactionId": str(number)} for number in range(5000)]
    for round_ in range(3):
        for item in items:
            item["queue"] = f"{queue}.{round_}"
        stopped = threading.Thread(target=_push_in_vain, args=(server.url, items))
        stopped.start()
        _wait_for_a_push_at_work(server, stopped)
        server.kill()
        stopped.join()
        server.start()
        with Api(server.url) as api:
            stored = [message["data"] for message in api.drain(items[0]["queue"], "before", batch=10_000)]
            assert len(stored) in (0, 5000)
            statuses = [result["status"] for result in api.push(items)]
            assert statuses == ["duplicate" if stored else "queued"] * 5000
            assert len(api.drain(items[0]["queue"], "after", batch=10_000)) == 5000


def _wait_for_a_push_at_work(server: EmbeddedServer, pushing: threading.Thread) -> None:
    text = "SELECT FROM pg_stat_activity WHERE application_name = 'queen' AND state <> 'idle' AND query LIKE '%push%'"
    wait_until(lambda: server.query(text) or not pushing.is_alive(), "the push to be in the database")


def _push_in_vain(url: str, items: list[dict[str, Any]]) -> None:
    try:
        httpx.post(f"{url}/api/v1/push", json={"items": items}, timeout=60)
    except httpx.TransportError:
        pass


def test_two_servers_share_a_data_folder_and_the_second_takes_over(make_server: MakeServer, queue: str) -> None:
    first = make_server()
    first.start()
    second = make_server(beside=first)
    second.start()
    assert f"private (of process {first.pid})" in second.output()
    with Api(first.url) as one, Api(second.url) as two:
        one.push_to(queue, range(3))
        batch = two.pop(queue, batch=2, leaseSeconds=10)
        assert batch is not None
        [result] = one.ack(batch["messages"][:1])
        assert result["success"] is True, "any server settles any lease"
        assert one.extend(batch["leaseId"], b'{"seconds": 10}')["renewed"] == 1
        assert two.push([{"queue": queue, "payload": 9, "transactionId": "t0"}])[0]["status"] == "duplicate"
    pusher = Pusher(second.url, f"{queue}.load")
    pusher.start()
    try:
        pusher.wait_for_more()
        first.kill()
        wait_until(lambda: second.note().get("owner_pid") == second.pid, "the second server to take over")
        pusher.wait_for_more()
        second.wait_ready()
        first.start()
        assert f"private (of process {second.pid})" in first.output()
        pusher.wait_for_more()
    finally:
        pusher.stop()
    check_stored(first, f"{queue}.load", pusher)
    with Api(first.url) as one, Api(second.url) as two:
        assert two.queue_totals(queue)["total"] == 3
        left = [message["data"] for message in one.wait_pop(queue)["messages"]]
        assert left == [1, 2], "what was acknowledged stays so, and the rest comes again when the lease has ended"
    assert first.terminate() == 0
    second.check_unharmed()
    assert second.terminate() == 0
    wait_until(lambda: not processes_of(first.data_dir), "all processes to end")
