"""Several workers on one port: all serve, any answers for all, one that dies is replaced, none outlives the others."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from queen import errors
from queen.embedded import processes
from queen.engine.mode import mode_of
from queen.server import sockets, workers
from queen.settings import ServerSettings, Settings
from tests.support.api import Api, connect
from tests.support.command import queen_command
from tests.support.fix_server import MakeServer, watch
from tests.support.server import EmbeddedServer, Server, wait_until

pytestmark = pytest.mark.pg


def pids(server: Server) -> dict[int, int]:
    """The process of each worker, the newest one, by the log."""
    return {int(slot): int(pid) for slot, pid in re.findall(r"worker started worker=(\d+) pid=(\d+)", server.output())}


def gone(*family: int) -> bool:
    return not any(processes.is_running(pid) for pid in family)


def sockets_of(pid: int) -> int:
    """How many sockets a process holds."""
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def shared(module_servers: MakeServer) -> EmbeddedServer:
    return module_servers("--workers", "2", QUEEN_SERVER__SHUTDOWN_TIMEOUT_MS="60000")


@pytest.fixture
def pair(shared: EmbeddedServer) -> EmbeddedServer:
    """A running server with two workers, which a test may end."""
    if not shared.running:
        shared.start()
    assert len(pids(shared)) == 2
    return shared


@pytest.mark.spec("R18", "R19")
def test_both_workers_serve_and_any_answers_for_all(pair: EmbeddedServer, queue: str) -> None:
    if pair.metrics()["requests"]["total"]:
        pair.restart()
    assert "by 2 workers" in pair.output()
    before = {pid: sockets_of(pid) for pid in pids(pair).values()}
    clients = [httpx.Client(base_url=pair.url, timeout=120, trust_env=False) for _ in range(40)]
    try:
        for number, client in enumerate(clients):
            body = {"items": [{"queue": queue, "payload": number}]}
            assert client.post("/api/v1/push", json=body).status_code == 201
        # The kernel spreads connections by their addresses: 40 on one side are as likely as 40 times heads.
        assert all(sockets_of(pid) > count for pid, count in before.items()), "both got connections"

        def told() -> list[dict[str, Any]]:
            return [dict(client.get("/metrics").json()) for client in clients]

        wait_until(lambda: {one["messages"]["total"] for one in told()} == {40}, "all to know of all messages")
        found = told()
        assert {one["requests"]["total"] for one in found} == {40}
        assert {one["latency"]["push"]["count"] for one in found} == {40}
        assert {one["database"]["poolSize"] for one in found} == {16}
        assert max(one["database"]["openConnections"] for one in found) <= 16
        assert all(one["workers"] == {"count": 2, "restarts": 0} for one in found)
        health = [client.get("/health").json() for client in clients]
        assert {(one["messages"]["pushed"], one["workers"]["count"]) for one in health} == {(40, 2)}
        text = clients[0].get("/metrics/prometheus").text
        assert "queen_push_messages_total 40.0" in text
        assert "queen_workers 2.0" in text
        assert 'queen_request_seconds_count{verb="push"} 40.0' in text
    finally:
        for client in clients:
            client.close()
    pair.check_unharmed()


class _Pushers:
    """Threads that push one message after the other, each repeated under its id until it is acknowledged."""

    def __init__(self, url: str, queue: str, count: int) -> None:
        self.acknowledged: list[str] = []
        self.refusals: list[int] = []
        self._stop = threading.Event()
        self._url, self._queue = url, queue
        self._threads = [threading.Thread(target=self._run, args=(f"c{number}",)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str) -> None:
        number = 0
        while not self._stop.is_set():
            if self._push(name, f"{name}-{number}"):
                number += 1

    def _push(self, name: str, key: str) -> bool:
        """A connection for each push, so that every worker is met."""
        body = {"items": [{"queue": self._queue, "partition": name, "payload": key, "transactionId": key}]}
        try:
            answer = httpx.post(f"{self._url}/api/v1/push", json=body, timeout=120, trust_env=False)
        except httpx.TransportError:
            return False
        if answer.status_code != 201 or answer.json()[0]["status"] not in ("queued", "duplicate"):
            self.refusals.append(answer.status_code)
            return False
        self.acknowledged.append(key)
        return True


def test_a_worker_that_is_killed_under_load_is_replaced_and_nothing_is_lost(pair: EmbeddedServer, queue: str) -> None:
    pushers = _Pushers(pair.url, queue, 3)
    try:
        wait_until(lambda: len(pushers.acknowledged) > 50, "load")
        first = pids(pair)
        before = pair.metrics()
        os.kill(first[1], signal.SIGKILL)
        wait_until(lambda: pids(pair)[1] != first[1], "a new worker")
        wait_until(
            lambda: pair.metrics()["workers"]["restarts"] > before["workers"]["restarts"], "the restart to be counted"
        )
        wait_until(lambda: sockets_of(pids(pair)[1]) > 0, "the new worker to run")
        enough = len(pushers.acknowledged) + 100
        wait_until(lambda: len(pushers.acknowledged) > enough, "load")
    finally:
        pushers.end()
    assert pushers.refusals == []
    assert pids(pair)[2] == first[2], "the other one went on"
    assert re.search(rf"worker ended worker=1 pid={first[1]} signal=SIGKILL lived_s=", pair.output())
    assert pair.metrics()["messages"]["total"] >= before["messages"]["total"], (
        "what the dead worker had counted is carried on"
    )
    with Api(pair.url) as api:
        found = [message["transactionId"] for message in api.drain(queue)]
    assert len(found) == len(set(found))
    assert set(found) >= set(pushers.acknowledged)
    assert gone(first[1])


@pytest.mark.spec("R18")
def test_sigterm_ends_all_in_order(pair: EmbeddedServer) -> None:
    pair.restart()
    family = [*pids(pair).values(), pair.postmaster]
    assert pair.terminate() == 0
    assert gone(*family)
    assert pair.output().count("queen.server.listen stopped") == 2
    for word in ("Traceback", "ERROR", "resource_tracker", "leaked"):
        assert word not in pair.output()


def test_a_signal_to_the_whole_group_of_processes_ends_in_order_too(make_server: MakeServer, queue: str) -> None:
    """systemd sends SIGTERM to every process of a service: the workers get it twice."""
    server = make_server("--workers", "2", QUEEN_SERVER__DRAIN_DELAY_MS="1000")
    server.start()
    for pid in [*pids(server).values(), server.pid]:
        os.kill(pid, signal.SIGTERM)
    with Api(server.url) as api:
        api.push_to(queue, [1])
    assert server.ended() == 0
    assert server.output().count("queen.server.listen stopped") == 2


def test_a_second_signal_ends_all_at_once(make_server: MakeServer) -> None:
    server = make_server("--workers", "2", QUEEN_SERVER__DRAIN_DELAY_MS="600000")
    server.start()
    family = pids(server).values()
    server.signal()
    wait_until(lambda: not server.is_ready(), "/health/ready to say no")
    assert not gone(*family)
    server.signal()
    assert server.ended() == 128 + signal.SIGTERM
    wait_until(lambda: gone(*family), "the workers to end")


def test_workers_whose_supervisor_is_killed_end_by_themselves(pair: EmbeddedServer, queue: str) -> None:
    family, postmaster = list(pids(pair).values()), pair.postmaster
    head = f"GET /api/v1/pop/queue/{queue}?wait=true&timeout=60000 HTTP/1.1\r\nHost: q\r\n\r\n"
    with connect(pair.url) as poll:
        poll.sendall(head.encode())
        wait_until(lambda: pair.parked_polls() == 1, "the poll to be parked")
        pair.kill()
        assert poll.recv(65_536).startswith(b"HTTP/1.1 204 "), "the poll was answered"
    wait_until(lambda: gone(*family, postmaster), "the workers and PostgreSQL to end")
    assert pair.output().count("the supervisor is gone") == 2
    pair.start()
    assert len(pids(pair)) == 2


@pytest.fixture
def outside(tmp_path: Path, database_dsn: str) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(*arguments: str) -> Server:
        made.append(Server(tmp_path, "--database-url", database_dsn, *arguments, name=f"server-{len(made)}"))
        watch(made[-1])
        return made[-1]

    yield make
    for server in made:
        if server.running:
            server.terminate()


def test_workers_on_a_database_of_ones_own(outside: Callable[..., Server], queue: str) -> None:
    server = outside("--workers", "3", "--pool-size", "3")
    server.start()
    family = list(pids(server).values())
    assert len(family) == 3
    for number in range(6):
        # The tests' shared PostgreSQL does not wait for its disk, and the answer says so.
        with Api(server.url, durability="async") as api:
            api.push([{"queue": queue, "partition": str(number), "payload": number}])
    with Api(server.url) as api:
        wait_until(lambda: api.get("/health")["messages"]["pushed"] == 6, "all to be told")
        assert api.get("/metrics")["database"]["poolSize"] == 3
        assert sorted(message["data"] for message in api.drain(queue)) == list(range(6))
    server.check_unharmed()
    second = queen_command(server.folder, "serve", "--workers", "2", "--port", server.url.rsplit(":", 1)[1])
    assert (second.code, "address already in use" in second.err) == (3, True), "the port cannot be taken twice"
    assert server.terminate() == 0
    assert gone(*family)


def test_what_stops_the_start_of_a_worker_stops_the_start(tmp_path: Path, database_dsn: str) -> None:
    missing = database_dsn.replace("user=queen", "user=nobody_at_all")
    done = queen_command(tmp_path, "serve", "--port", "0", "--workers", "2", "--database-url", missing)
    alone = queen_command(tmp_path, "serve", "--port", "0", "--database-url", missing)
    assert done.code == alone.code == 3, done.err
    assert alone.err.splitlines()[-2:] == done.err.splitlines()[-2:]
    assert "Traceback" not in done.err


def test_more_workers_than_connections(tmp_path: Path) -> None:
    done = queen_command(tmp_path, "serve", "--port", "0", "--workers", "4", "--pool-size", "3")
    assert done.code == 2
    assert "server.workers = 4 needs a database.pool_size of at least 4" in done.err


def test_workers_that_end_again_and_again_end_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "BOOT", "raise SystemExit(7)")
    settings = Settings(server=ServerSettings(port=0, workers=2))
    taken = sockets.bind(settings)
    ready: list[str] = []
    supervisor = workers.Supervisor(settings, mode_of(settings), taken, "", None, lambda url, _: ready.append(url))
    with pytest.raises(errors.WorkersFailed) as failure:
        asyncio.run(supervisor.run(None))
    assert "5 times in a row; last: exit_code=7" in failure.value.message
    assert ready == []
    pauses = [float(found) for found in re.findall(r"worker=1 .*next_start_s=([\d.]+)", caplog.text)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
