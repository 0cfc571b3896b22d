"""Starting and stopping a real server: what stops a start and how it is said, waiting for a database, orderly ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.api import Api
from tests.support.command import queen_command
from tests.support.fix_server import MakeServer, open_folder, watch
from tests.support.scram_cluster import ScramCluster
from tests.support.server import EmbeddedServer, Server, wait_until

pytestmark = pytest.mark.pg


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = open_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def scram(place: Path, postgres_programs: Path) -> Iterator[ScramCluster]:
    cluster = ScramCluster(place, postgres_programs)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def outside(tmp_path: Path, scram: ScramCluster) -> Iterator[Server]:
    """A server on a database of the user's own, not started."""
    server = Server(tmp_path, "--database-url", scram.url())
    watch(server)
    yield server
    if server.running:
        server.kill()


def check_refused_start(home: Path, code: int, *words: str, arguments: tuple[str, ...], **variables: str) -> str:
    """`queen serve` ends with this code, says these words, gives a hint, and shows no traceback."""
    done = queen_command(home, "serve", "--port", "0", *arguments, stdin=b"", **variables)
    assert done.code == code, done.err
    assert done.out == b""
    assert f"(exit {code})" in done.err
    for word in words:
        assert word in done.err, done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    return done.err


def test_a_taken_port(tmp_path: Path, place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        data_dir = place / "taken"
        check_refused_start(
            tmp_path, 3, f"cannot listen on 127.0.0.1:{port}", "address already in use", "--port",
            arguments=("--port", port, "--data-dir", str(data_dir)),
        )  # fmt: skip
    assert not data_dir.exists(), "the port comes first: nothing was started for a server that cannot serve"


def test_an_address_that_is_not_ours(tmp_path: Path, place: Path) -> None:
    check_refused_start(tmp_path, 3, "cannot listen on 203.0.113.1", "--host", arguments=("--host", "203.0.113.1"))


def test_a_data_folder_that_postgresql_may_not_enter(tmp_path: Path, place: Path, postgres_programs: Path) -> None:
    closed = place / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    words = ("cannot enter", str(closed)) if os.geteuid() == 0 else ("no permission", str(closed))
    check_refused_start(tmp_path, 3, *words, "--data-dir", arguments=("--data-dir", str(closed / "d")))
    assert list(closed.iterdir()) == []


def test_a_data_folder_that_is_a_file(tmp_path: Path, place: Path, postgres_programs: Path) -> None:
    (place / "file").write_text("not a folder", "utf-8")
    check_refused_start(tmp_path, 3, str(place / "file"), arguments=("--data-dir", str(place / "file")))


def test_a_wrong_password(tmp_path: Path, scram: ScramCluster) -> None:
    said = check_refused_start(
        tmp_path, 3, "password authentication failed", "check user, password",
        arguments=("--database-url", scram.url("wrong secret")),
    )  # fmt: skip
    assert "wrong" not in said


def test_a_schema_newer_than_the_program(tmp_path: Path, scram: ScramCluster) -> None:
    scram.execute(
        "CREATE SCHEMA newer; CREATE TABLE newer.schema_migrations (version integer, name text);"
        "INSERT INTO newer.schema_migrations VALUES (9999, 'from the future')"
    )
    check_refused_start(
        tmp_path, 4, "version 9999", "newer than this program", arguments=("--database-url", scram.url()),
        QUEEN_DATABASE__SCHEMA="newer",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--port", "99999"), {}, ("port", "65535")),
        (("--pool-size", "0"), {}, ("pool-size", "1000")),
        (("--log-level", "loud"), {}, ("log-level", "warning")),
        (("--cors-origin", "example.com/x"), {}, ("cors-origin", "https://")),
        (("--config", "missing.yaml"), {}, ("missing.yaml",)),
        ((), {"DB_POOL_SIZE": "many"}, ("DB_POOL_SIZE",)),
        ((), {"QUEEN_SERVER__PROT": "1"}, ("QUEEN_SERVER__PROT", "QUEEN_SERVER__PORT")),
        ((), {"DATABASE_URL": "mysql://db"}, ("DATABASE_URL", "postgresql://")),
    ],
    ids=str,
)
def test_settings_that_cannot_be(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], words: tuple[str, ...]
) -> None:
    done = queen_command(tmp_path, "serve", *arguments, stdin=b"", **variables)
    assert done.code == 2, done.err
    for word in words:
        assert word in done.err, done.err
    assert "Traceback" not in done.err


def test_a_database_that_is_down_is_waited_for(outside: Server, scram: ScramCluster, queue: str) -> None:
    scram.stop()
    outside.launch()
    wait_until(lambda: outside.output().count("waiting for") >= 3 or not outside.running, "the third try")
    assert outside.running
    assert "next_try_s=" in outside.output()
    assert "serves http" not in outside.output()
    scram.start()
    outside.wait_ready()
    with Api(outside.url) as api:
        api.push_to(queue, [1])
    outside.check_unharmed()
    assert outside.terminate() == 0


def test_a_database_that_does_not_exist_yet_is_waited_for_by_name(tmp_path: Path, scram: ScramCluster) -> None:
    server = Server(tmp_path, "--database-url", scram.url().replace("/postgres", "/not_yet"))
    watch(server)
    server.launch()
    try:
        wait_until(lambda: "waiting for the database" in server.output() or not server.running, "the first try")
        assert 'database "not_yet" does not exist' in server.output()
        scram.execute("CREATE DATABASE not_yet")
        server.wait_ready()
        assert server.terminate() == 0
    finally:
        if server.running:
            server.kill()
        scram.execute("DROP DATABASE IF EXISTS not_yet WITH (FORCE)")


def test_a_server_that_waits_for_its_database_can_be_stopped(outside: Server, scram: ScramCluster) -> None:
    scram.stop()
    try:
        outside.launch()
        wait_until(lambda: "waiting for the database" in outside.output(), "the first try")
        assert outside.terminate() == 0
        assert "Traceback" not in outside.output()
    finally:
        scram.start()


def test_a_database_that_goes_away_comes_back(outside: Server, scram: ScramCluster, queue: str) -> None:
    outside.start()
    with Api(outside.url) as api:
        api.push_to(queue, ["before"])
        scram.stop()
        wait_until(lambda: outside.health()["status"] == "unhealthy", "/health to notice")
        answer = api.http.post("/api/v1/push", json={"items": [{"queue": queue, "payload": 1}]})
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        scram.start()
        wait_until(lambda: outside.health()["status"] == "healthy", "/health to notice")
        api.push([{"queue": queue, "payload": "after"}])
        assert [message["data"] for message in api.drain(queue)] == ["before", "after"]
    assert "Traceback" not in outside.output()
    assert outside.terminate() == 0


def _hold_partitions(server: EmbeddedServer) -> psycopg.Connection:
    """A session that holds every partition, so that pushes stay in flight."""
    connection = psycopg.connect(server.dsn, options="-c search_path=queen")
    connection.execute("SELECT * FROM partitions FOR UPDATE")
    return connection


def _waiting_statements(server: EmbeddedServer) -> int:
    text = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'queen'"
    return int(server.query(text)[0][0])


def test_sigterm_answers_what_is_in_flight_and_ends_with_0(make_server: MakeServer, queue: str) -> None:
    server = make_server(QUEEN_SERVER__SHUTDOWN_TIMEOUT_MS="120000")
    server.start()
    with Api(server.url) as api, ThreadPoolExecutor(12) as threads:
        api.push([{"queue": queue, "partition": str(number), "payload": -1} for number in range(4)])
        polls = [threads.submit(api.pop, f"{queue}.idle", wait="true", timeout=60_000) for _ in range(4)]
        wait_until(lambda: server.parked_polls() == 4, "the polls to be parked")
        holder = _hold_partitions(server)
        pushes = [
            threads.submit(api.push, [{"queue": queue, "partition": str(number), "payload": number}])
            for number in range(4)
        ]
        wait_until(lambda: _waiting_statements(server) >= 1, "a push to wait in the database")
        server.signal()
        assert [poll.result() for poll in polls] == [None] * 4
        assert server.running, "a push is still in flight"
        holder.rollback()
        holder.close()
        assert [push.result()[0]["status"] for push in pushes] == ["queued"] * 4
        assert server.ended() == 0
    assert "Traceback" not in server.output()
    wait_until(lambda: not server.postmaster, "PostgreSQL to be stopped")
    server.start()
    with Api(server.url) as api:
        assert sorted(message["data"] for message in api.drain(queue)) == [-1, -1, -1, -1, 0, 1, 2, 3]


def test_while_it_drains_a_server_is_not_ready(make_server: MakeServer) -> None:
    server = make_server(QUEEN_SERVER__DRAIN_DELAY_MS="600000")
    server.start()
    server.signal()
    wait_until(lambda: not server.is_ready(), "/health/ready to say no")
    answer = httpx.get(f"{server.url}/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
    with Api(server.url) as api:
        api.push_to("still.served", [1])
    server.signal()
    assert server.ended() == 128 + signal.SIGTERM


def test_a_second_signal_ends_it_at_once(make_server: MakeServer, queue: str) -> None:
    server = make_server(QUEEN_SERVER__SHUTDOWN_TIMEOUT_MS="600000")
    server.start()
    with Api(server.url) as api, ThreadPoolExecutor(1) as thread:
        api.push_to(queue, [1])
        holder = _hold_partitions(server)
        push = thread.submit(api.http.post, "/api/v1/push", json={"items": [{"queue": queue, "payload": 2}]})
        wait_until(lambda: _waiting_statements(server) == 1, "the push to wait in the database")
        server.signal(signal.SIGINT)
        wait_until(lambda: "stopping" in server.output(), "the first signal to be heard")
        assert server.running
        server.signal(signal.SIGINT)
        assert server.ended() == 128 + signal.SIGINT
        with pytest.raises(httpx.TransportError):
            push.result()
        holder.close()
    assert "Traceback" not in server.output()


def test_idle_connections_do_not_delay_the_end(make_server: MakeServer) -> None:
    server = make_server(QUEEN_SERVER__SHUTDOWN_TIMEOUT_MS="600000")
    server.start()
    with Api(server.url) as api:
        api.get("/health/live")
        assert server.terminate() == 0


def test_first_and_later_starts(make_server: MakeServer, record_property: Callable[[str, object], None]) -> None:
    server = make_server(fresh=True)
    first_s = server.start()
    later_s = server.restart()
    record_property("first_start_s", round(first_s, 2))
    record_property("later_start_s", round(later_s, 2))
    print(f"ready after {first_s:.2f} s the first time, {later_s:.2f} s later")
    assert first_s < 60
    assert later_s < 30
