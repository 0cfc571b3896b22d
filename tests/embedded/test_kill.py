"""Killed with SIGKILL in any order: it comes back by itself, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.embedded.find import find_binaries
from queen.embedded.folders import Home, home_of
from queen.embedded.state import read_note
from queen.settings import EmbeddedSettings
from queen.store.connect import admin, facts, ping
from tests.embedded.support import Holder, kill, until, until_gone

pytestmark = pytest.mark.pg
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")


def write_row(dsn: str) -> None:
    with admin(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def rows(dsn: str) -> int:
    with admin(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def home_in(data_dir: str) -> Home:
    return home_of(Path(data_dir), find_binaries(None).major)


@needs_linux
def test_the_server_ends_with_its_owner_and_the_next_open_works(
    settings: EmbeddedSettings, data_dir: str, hold: Callable[..., Holder]
) -> None:
    owner = hold(data_dir)
    write_row(owner.state["dsn"])
    owner.kill()
    with Cluster.open(settings) as cluster:  # at once, while the old server may still be stopping
        assert cluster.owned
        assert rows(cluster.dsn) == 1
    until_gone(owner.postmaster)
    assert not cluster.socket_dir.exists()


@needs_linux
def test_nothing_is_left_when_nobody_opens_again(data_dir: str, hold: Callable[..., Holder]) -> None:
    owner = hold(data_dir)
    owner.kill()
    until_gone(owner.postmaster)
    assert not (home_in(data_dir).data / "postmaster.pid").exists(), "it was a clean shutdown"
    assert ping(owner.state["dsn"], 2.0) is not None


def test_a_killed_server_comes_back_by_ensure(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        write_row(cluster.dsn)
        note = read_note(cluster.home)
        assert note is not None
        assert note.postmaster_pid is not None
        kill(note.postmaster_pid)
        until(lambda: not cluster.alive, "the owner notices")
        assert cluster.ensure() is True
        assert cluster.owned
        assert rows(cluster.dsn) == 1
        assert cluster.ensure() is False


@needs_linux
@pytest.mark.parametrize("order", ["owner first", "server first"])
def test_both_killed(order: str, settings: EmbeddedSettings, data_dir: str, hold: Callable[..., Holder]) -> None:
    owner = hold(data_dir)
    write_row(owner.state["dsn"])
    if order == "owner first":
        os.kill(owner.postmaster, signal.SIGSTOP)  # so that the death signal cannot be obeyed before SIGKILL
        owner.kill()
        kill(owner.postmaster)
    else:
        kill(owner.postmaster)
        owner.kill()
    assert (home_in(data_dir).data / "postmaster.pid").exists(), "this must be a crash"
    with Cluster.open(settings) as cluster:
        assert rows(cluster.dsn) == 1


@needs_linux
def test_a_number_given_out_again_does_not_stop_the_start(
    settings: EmbeddedSettings, data_dir: str, hold: Callable[..., Holder]
) -> None:
    owner = hold(data_dir)
    write_row(owner.state["dsn"])
    kill(owner.postmaster)
    owner.kill()
    home = home_in(data_dir)
    pid_file = home.data / "postmaster.pid"
    status = home.data.stat()
    as_owner = {"user": status.st_uid, "group": status.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    other = subprocess.Popen(["sleep", "600"], cwd="/", **as_owner)  # type: ignore[call-overload]
    try:
        lines = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{other.pid}\n", *lines[1:]]))
        with Cluster.open(settings) as cluster:
            assert rows(cluster.dsn) == 1
        assert other.poll() is None, "the other process is none of ours"
    finally:
        other.kill()
        other.wait()


@needs_linux
def test_one_of_those_who_joined_becomes_the_next_owner(data_dir: str, hold: Callable[..., Holder]) -> None:
    owner, first, second = hold(data_dir), hold(data_dir), hold(data_dir)
    assert [holder.state["owned"] for holder in (owner, first, second)] == [True, False, False]
    assert first.state["postmaster"] == second.state["postmaster"] == owner.postmaster
    old_server, dsn = owner.postmaster, owner.state["dsn"]
    write_row(dsn)
    owner.kill()
    until_gone(old_server)
    for holder in (first, second):
        holder.send("ensure")
    answers = [holder.answer() for holder in (first, second)]
    assert sorted(answer["owned"] for answer in answers) == [False, True]
    assert {answer["dsn"] for answer in answers} == {dsn}
    assert answers[0]["postmaster"] == answers[1]["postmaster"] != old_server
    assert rows(dsn) == 1


def test_two_who_open_new_data_at_once_share_one_server(
    programs: None, place: Path, hold: Callable[..., Holder]
) -> None:
    data_dir = str(place / "new")
    holders = [hold(data_dir, wait=False) for _ in range(3)]
    states = [holder.opened() for holder in holders]
    assert sorted(state["owned"] for state in states) == [False, False, True]
    assert len({state["postmaster"] for state in states}) == 1
    assert facts(states[0]["dsn"]).version
    joined = next(holder for holder in holders if not holder.state["owned"])
    joined.tell("close")
    assert ping(states[0]["dsn"], 5.0) is None, "one who joined never stops the server"


@needs_linux
def test_killed_in_the_middle_of_the_first_start(programs: None, place: Path, hold: Callable[..., Holder]) -> None:
    data_dir = str(place / "new")
    home = home_in(data_dir)
    victim = hold(data_dir, wait=False)
    until(lambda: any(home.path.glob("data.new-*/base")), "initdb is at work")
    victim.kill()
    with Cluster.open(EmbeddedSettings(data_dir=data_dir, wal_reserve_bytes=0)) as cluster:
        assert facts(cluster.dsn).version


@needs_linux
def test_the_server_outlives_the_thread_that_opened_it(settings: EmbeddedSettings) -> None:
    import threading

    opened: list[Cluster] = []
    thread = threading.Thread(target=lambda: opened.append(Cluster.open(settings)))
    thread.start()
    thread.join()
    with opened[0] as cluster:
        with admin(cluster.dsn) as connection:
            row = connection.execute("SELECT pg_sleep(0.3), pg_postmaster_start_time()").fetchone()
        assert row is not None
        assert cluster.alive
        assert cluster.ensure() is False
