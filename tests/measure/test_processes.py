"""Processor time from a made-up /proc, and from the real one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from queen.measure.processes import (
    cpu_s,
    find_listener,
    look_at_machine,
    parse_stat,
    read_machine,
    read_processes,
    rss_bytes,
    tree,
)

TICKS = os.sysconf("SC_CLK_TCK")


def add_process(proc: Path, pid: int, parent: int, name: str, *, own: int = 0, reaped: int = 0) -> None:
    """Times in ticks, half user and half system."""
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    times = f"{own // 2} {own - own // 2} {reaped // 2} {reaped - reaped // 2}"
    (folder / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {times} 20 0 1 0 0\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A server (10) with a worker (11) and an embedded PostgreSQL (20) with two backends."""
    add_process(tmp_path, 1, 0, "init", own=999)
    add_process(tmp_path, 10, 1, "queen", own=100, reaped=7)
    add_process(tmp_path, 11, 10, "worker", own=50)
    add_process(tmp_path, 20, 10, "postgres", own=10, reaped=300)
    add_process(tmp_path, 21, 20, "postgres: a) b (c", own=40)
    add_process(tmp_path, 22, 20, "postgres", own=2)
    (tmp_path / "stat").write_text("cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    (tmp_path / "not-a-process").mkdir()
    (tmp_path / "30").mkdir()  # ended while we look: no stat any more
    return tmp_path


def test_a_name_may_hold_spaces_and_brackets() -> None:
    process = parse_stat("7 (a) (b) c) R 3 1 1 0 -1 0 0 0 0 0 100 50 200 25 20 0\n", ticks=100)
    assert (process.pid, process.parent, process.name) == (7, 3, "a) (b) c")
    assert (process.own_s, process.reaped_s) == (1.5, 2.25)


def test_a_tree_counts_the_living_and_the_reaped_and_leaves_out_the_database(proc: Path) -> None:
    table = read_processes(proc)
    assert cpu_s(tree(table, 10, without=20)) == pytest.approx(157 / TICKS)
    assert cpu_s(tree(table, 20)) == pytest.approx(352 / TICKS)
    assert {process.pid for process in tree(table, 10)} == {10, 11, 20, 21, 22}
    assert tree(table, 999) == []


def test_machine_time_is_split_into_busy_and_stolen(proc: Path) -> None:
    machine = read_machine(proc)
    assert machine.busy_s == pytest.approx(73 / TICKS)
    assert machine.steal_s == pytest.approx(8 / TICKS)


def test_time_of_an_ended_child_stays_in_the_tree() -> None:
    before = cpu_s(tree(read_processes(), os.getpid()))
    code = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert cpu_s(tree(read_processes(), os.getpid())) - before >= 0.15


def test_the_process_behind_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert find_listener(port) == os.getpid()
    assert find_listener(port) is None


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert read_processes(tmp_path) == {}
    assert look_at_machine(tmp_path) is None
    assert rss_bytes(1, tmp_path) == 0
    assert find_listener(80, tmp_path) is None
