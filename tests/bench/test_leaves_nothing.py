"""A bench that ends early, however it ends: no process, no folder, and a result only where it can be right."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Done, end, queen_command, start_queen, wait_until

pytestmark = pytest.mark.pg

_LONG = ("bench", "--profile", "smoke", "--warmup", "0s", "--duration", "9m", "--workers", "1", "--output", "out")


@pytest.fixture
def home(postgres_programs: Path) -> Iterator[Path]:
    """A home and a place for temporary folders, both of which PostgreSQL's own user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="queen-left-"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def processes_of(home: Path) -> list[int]:
    """Processes that name this folder in their arguments or in their environment, the test's own apart."""
    mark, found = str(home).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "cmdline").read_bytes() or mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def folders(home: Path) -> list[str]:
    return [path.name for path in (home / "tmp").iterdir()]


def started(home: Path, *args: str) -> subprocess.Popen[bytes]:
    return start_queen(home, *args, TMPDIR=str(home / "tmp"))


def measuring(home: Path) -> subprocess.Popen[bytes]:
    """A bench that has begun to measure."""
    bench = started(home, *_LONG)
    assert bench.stderr is not None
    for line in bench.stderr:
        if b"progress: measure" in line:
            return bench
    raise AssertionError("it ended before it measured")


def check_nothing_is_left(home: Path) -> None:
    wait_until(lambda: not processes_of(home), "all processes to end")
    wait_until(lambda: not folders(home), "the folders to go")


def test_the_counting_sees_what_runs(home: Path) -> None:
    """Or else the tests below could not fail."""
    bench = measuring(home)
    try:
        assert len(processes_of(home)) >= 5, "bench, guard, server, worker, PostgreSQL"
        assert folders(home)
    finally:
        bench.kill()
        end(bench)
    check_nothing_is_left(home)
    assert not (home / "out" / "result.json").exists()


def test_one_ctrl_c_keeps_what_was_measured(home: Path) -> None:
    bench = measuring(home)
    bench.send_signal(signal.SIGINT)
    done = end(bench)
    assert done.code == 130
    assert done.out.startswith(b"PARTIAL")
    assert json.loads((home / "out" / "result.json").read_text("utf-8"))["partial"] is True
    assert "PARTIAL" in (home / "out" / "report.html").read_text("utf-8")
    assert "Traceback" not in done.err
    check_nothing_is_left(home)


def test_a_second_ctrl_c_ends_it_at_once(home: Path) -> None:
    bench = measuring(home)
    bench.send_signal(signal.SIGINT)
    assert bench.stderr is not None
    for line in bench.stderr:
        if b"once more" in line:
            break
    bench.send_signal(signal.SIGINT)
    done = end(bench)
    assert done.code == 130
    assert "Traceback" not in done.err
    check_nothing_is_left(home)


def test_a_ctrl_c_while_the_server_starts_leaves_nothing(home: Path) -> None:
    bench = started(home, *_LONG)
    wait_until(lambda: folders(home), "the folder of the system")
    bench.send_signal(signal.SIGINT)
    bench.send_signal(signal.SIGINT)
    done = end(bench)
    assert done.code == 130
    assert "Traceback" not in done.err
    check_nothing_is_left(home)


def test_two_own_servers_are_loaded_alike_and_go_with_the_run(home: Path) -> None:
    done: Done = queen_command(
        home,
        *("bench", "--profile", "smoke", "--warmup", "1s", "--duration", "2s", "--workers", "1", "--servers", "2"),
        *("--slo", "p50(e2e)<20s", "--pool-size", "5", "--format", "json"),
        TMPDIR=str(home / "tmp"),
    )
    assert done.code in (0, 1, 5), done.err
    result = done.json()
    assert result["ledger"]["accepted"] == result["ledger"]["acked"] > 1000
    assert result["request"]["workload"]["serve"] == ["--pool-size", "5"]
    check_nothing_is_left(home)
