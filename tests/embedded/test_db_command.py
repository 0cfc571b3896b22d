"""`queen db …` as a user runs it: real processes, a real private PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queen.settings.places import environment_without
from queen.store.connect import ping
from tests.embedded.support import PATIENCE_S, ROOT, Holder, until, until_gone

pytestmark = pytest.mark.pg

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "queen", "db", *words]


@pytest.fixture
def run(data_dir: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `queen db WORDS` on the data folder, and stops at the end whatever it left running."""
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", data_dir)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), capture_output=True, text=True, timeout=PATIENCE_S, cwd=data_dir, check=False
        )

    yield run
    run("stop")


def test_detached_from_start_to_stop(run: Run) -> None:
    started = run("start", "--detach")
    assert started.returncode == 0, started.stderr
    report = json.loads(run("status", "--json").stdout)
    assert report["running"] is True
    assert report["schema_version"] == 1
    assert report["owner"] == "queen db start"
    assert report["disk_bytes"] > report["database_bytes"] > 0
    assert report["connections_max"] == 200
    url = run("url").stdout.strip()
    assert ping(url, 5.0) is None
    again = run("start")
    assert again.returncode == 0
    assert "already running" in again.stderr
    stopped = run("stop")
    assert stopped.returncode == 0, stopped.stderr
    until_gone(report["postmaster_pid"])
    until_gone(report["owner_pid"])
    assert not Path(report["socket_dir"]).exists()


def test_what_is_not_running_says_so(run: Run) -> None:
    status = run("status", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)["running"] is False
    url = run("url")
    assert (url.returncode, url.stdout) == (3, "")
    assert "queen db start" in url.stderr
    assert run("stop").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_until_told_to_end(run: Run, number: signal.Signals) -> None:
    with subprocess.Popen(command("start"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as held:
        try:
            said = _read_until(held, "Ctrl-C")
            assert "Ctrl-C" in said, said
            report = json.loads(run("status", "--json").stdout)
            held.send_signal(number)
            _, rest = held.communicate(timeout=PATIENCE_S)
        finally:
            held.kill()
    assert held.returncode == 0
    assert "Traceback" not in rest
    until_gone(report["postmaster_pid"])


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    """What the process says up to the line with the word, or all of it when it ends before."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if word in line:
            break
    return said


def test_the_holder_brings_a_killed_server_back(run: Run) -> None:
    assert run("start", "--detach").returncode == 0
    before = json.loads(run("status", "--json").stdout)
    os.kill(before["postmaster_pid"], signal.SIGKILL)

    def is_back() -> bool:
        report = json.loads(run("status", "--json").stdout)
        return bool(report["running"]) and report["postmaster_pid"] != before["postmaster_pid"]

    until(is_back, "another server runs")
    assert json.loads(run("status", "--json").stdout)["owner_pid"] == before["owner_pid"]


def test_stop_leaves_the_server_of_another_command_alone(run: Run, data_dir: str, hold: Callable[..., Holder]) -> None:
    owner = hold(data_dir)
    refused = run("stop")
    assert refused.returncode == 4
    assert str(owner.pid) in refused.stderr
    assert ping(owner.state["dsn"], 5.0) is None


def test_psql_starts_the_server_for_as_long_as_it_takes(run: Run) -> None:
    asked = run("psql", "-At", "-c", "SELECT current_user, 6 * 7")
    assert (asked.returncode, asked.stdout.strip()) == (0, "queen|42"), asked.stderr
    assert run("psql", "-c", "SELECT broken").returncode == 1
    assert run("status").returncode == 3


def test_migrate_twice(run: Run) -> None:
    first = json.loads(run("migrate", "--json").stdout)
    assert first["from_version"] == 0
    assert first["to_version"] >= 1
    assert first["applied"]
    again = json.loads(run("migrate", "--json").stdout)
    assert (again["from_version"], again["to_version"]) == (first["to_version"], first["to_version"])
    assert again["applied"] == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_database_of_ones_own_is_neither_started_nor_stopped(run: Run, verb: str) -> None:
    refused = run(verb, "--database-url", "postgresql://me:geheim@localhost:1/d")
    assert refused.returncode == 4
    assert "database of your own" in refused.stderr
    assert "geheim" not in refused.stdout + refused.stderr


def test_a_database_of_ones_own_is_reported_without_its_password(run: Run) -> None:
    away = run("status", "--json", "--database-url", "postgresql://me:geheim@localhost:1/d")
    assert away.returncode == 3
    assert json.loads(away.stdout)["running"] is False
    assert "geheim" not in away.stdout + away.stderr
    assert "geheim" not in run("url", "--database-url", "postgresql://me:geheim@localhost:1/d").stdout


def test_migrate_and_psql_reach_a_database_of_ones_own(run: Run, data_dir: str, hold: Callable[..., Holder]) -> None:
    hold(data_dir)
    url = run("url").stdout.strip()
    assert json.loads(run("migrate", "--json", "--database-url", url).stdout)["to_version"] >= 1
    seen = run("psql", "--database-url", url, "-At", "-c", "SELECT count(*) > 0 FROM queen.schema_migrations")
    assert seen.stdout.strip() == "t", seen.stderr
    assert json.loads(run("status", "--json", "--database-url", url).stdout)["private"] is False


def test_no_variable_of_libpq_reaches_psql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    assert "PGOPTIONS" not in environment_without("PG")
