"""Own servers of the bench: started where nobody aims them, restarted in place, gone afterwards on every path."""

from __future__ import annotations

import asyncio
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queen.bench import target
from queen.bench.guard import watch
from queen.bench.http_call import address, ask, call
from queen.embedded import processes
from queen.errors import ConsentNeeded, NotQueen, ServerUnreachable, SettingsError
from queen.store.connect import url_of
from tests.support.server import ROOT, clean_environment, wait_until
from tests.tune.flow.support import one

pytestmark = pytest.mark.pg


def as_url(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        return url_of(connection)


@pytest.fixture
def web_page() -> Iterator[str]:
    """The address of a server that answers every request with a page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}"
    served.shutdown()
    thread.join()
    served.server_close()


def test_the_own_system_restarts_in_place_and_leaves_nothing(
    postgres_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@192.0.2.1/other")
    monkeypatch.setenv("QUEEN_PORT", "1")

    async def run() -> tuple[Path, list[int]]:
        async with target.started(("--pool-size", "4")) as system:
            [server] = system.servers
            assert system.database is not None
            assert system.folder is not None
            assert server.pid is not None
            first, postmaster = server.pid, system.database.pid
            assert postmaster is not None
            await server.kill()
            assert server.pid is None
            await server.restart()
            await system.database.restart("immediate")
            again = system.database.pid
            assert again is not None
            assert again != postmaster
            done = await configured(server.url)
            assert done["configured"] is True
            with pytest.raises(ConsentNeeded) as refused:
                await push_and_start_beside(server.url, system.dsn or "")
            assert "--yes-use-this-database" in str(refused.value.hint)
            assert server.pid is not None
            return system.folder, [first, server.pid, postmaster, again]

    async def configured(url: str) -> dict[str, Any]:
        """PostgreSQL was just restarted: the server may still find it away."""
        for _ in range(600):
            try:
                return dict(await call(url, "POST", "/api/v1/configure", {"queue": "bench-x", "options": {}}))
            except ServerUnreachable:
                await asyncio.sleep(0.1)
        raise AssertionError("the server did not find its database again")

    async def push_and_start_beside(url: str, dsn: str) -> None:
        items = [{"queue": "bench-x", "partition": "p", "payload": {}}]
        await call(url, "POST", "/api/v1/push", {"items": items})
        async with target.started(dsn=dsn):
            pass

    folder, pids = asyncio.run(run())
    assert not folder.exists()
    assert [pid for pid in pids if processes.is_running(pid)] == []


def test_settings_of_the_engine_and_of_tables_reach_the_system_and_a_password_no_command_line(
    database_dsn: str, postgres_programs: Path
) -> None:
    async def run() -> tuple[dict[str, Any], Any, str]:
        async with target.started(
            ("--pool-size", "3"),
            settings=("engine.pop_gather_ms = 11",),
            tables=("cursors.fillfactor = 55",),
            dsn=as_url(database_dsn),
            schema="queen_of_tests",
            consent=True,
        ) as system:
            settings = await system.settings()
            assert settings is not None
            command = Path(f"/proc/{system.servers[0].pid}/cmdline").read_text()  # noqa: ASYNC240 - at once
            found = one(database_dsn, "select reloptions from pg_class where oid = 'queen_of_tests.cursors'::regclass")
            return settings["settings"], found, command

    settings, storage, command = asyncio.run(run())
    assert settings["engine"]["pop_gather_ms"] == 11
    assert settings["database"]["pool_size"] == 3
    assert "fillfactor=55" in storage
    assert "postgresql:" not in command


_KILLED = """
import asyncio, signal, sys
from queen.bench import target
signal.signal(signal.SIGINT, signal.default_int_handler)  # a child of a process that ignores it would ignore it too
async def run():
    async with target.started(("--pool-size", "4")) as system:
        print(system.folder, system.servers[0].pid, system.database.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(run())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_bench_that_is_killed_leaves_nothing(postgres_programs: Path, tmp_path: Path, number: signal.Signals) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-c", _KILLED],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(tmp_path),
        cwd=ROOT,
    )
    assert bench.stdout is not None
    words = bench.stdout.readline().decode().split()
    bench.send_signal(number)
    bench.wait(120)
    bench.stdout.close()
    assert len(words) == 3
    folder, server, postmaster = Path(words[0]), int(words[1]), int(words[2])
    wait_until(lambda: not processes.is_running(server), "the server to end")
    wait_until(lambda: not processes.is_running(postmaster), "PostgreSQL to end")
    wait_until(lambda: not folder.exists(), "the folder to go")


def test_a_guard_that_was_told_done_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    watch([f"add {os.getpid()}", "done"], folder)
    assert folder.exists()


def test_a_guard_spares_a_number_that_was_given_out_again(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    marks = iter(["one", *["another"] * 10])
    watch([f"add {os.getpid()}"], folder, lambda _: next(marks))
    assert not folder.exists()


def test_a_kept_folder_stays(tmp_path: Path) -> None:
    watch(["keep"], tmp_path)
    assert tmp_path.exists()
    shutil.rmtree(tmp_path)


def test_a_dead_address_and_a_web_page_are_told_apart(web_page: str) -> None:
    with pytest.raises(ServerUnreachable, match="no server answers") as dead:
        target.attached(["http://127.0.0.1:9"], None)
    assert not isinstance(dead.value, NotQueen)
    with pytest.raises(NotQueen, match="not a Queen server"):
        target.attached([web_page], None)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:y", "http://x/path", "localhost:6632"])
def test_only_plain_addresses_are_taken(url: str) -> None:
    with pytest.raises(SettingsError, match="as a server"):
        address(url)


def test_a_server_that_cannot_start_says_why(postgres_programs: Path) -> None:
    async def run() -> None:
        async with target.started(("--pool-size", "nonsense")):
            pass

    with pytest.raises(ServerUnreachable, match="pool_size"):
        asyncio.run(run())


def test_ask_refuses_what_is_no_json(web_page: str) -> None:
    with pytest.raises(NotQueen):
        ask(web_page, "GET", "/")
