"""Runs the real `queen` command as a process of its own, away from the developer's settings and environment."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120
"""Generous: the machine may be slow and loaded. Nothing passes or fails by how fast it is."""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: bytes
    err: str

    def json(self) -> Any:
        """The JSON object of standard output."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Standard output as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def queen_command(home: Path, *args: str, stdin: bytes = b"", **variables: str) -> Done:
    """Run `queen ARGS…` to its end in the empty folder `home`."""
    done = subprocess.run(
        [sys.executable, "-m", "queen", *args],
        input=stdin,
        capture_output=True,
        env=_environment(home, variables),
        cwd=home,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def warm_command(home: Path, *args: str, stdin: bytes = b"", **variables: str) -> Done:
    """As `queen_command`, in a process forked from one that has imported Queen: see tests/support/warm.py."""
    with _service().call() as caller, ThreadPoolExecutor(3) as pool:
        order = {"args": args, "env": _environment(home, variables), "cwd": str(home)}
        (input_end, given), (out, output_end), (err, error_end) = (os.pipe() for _ in range(3))
        theirs = (input_end, output_end, error_end)
        socket.send_fds(caller, [json.dumps(order).encode() + b"\n"], theirs)
        for end_of_theirs in theirs:
            os.close(end_of_theirs)
        texts = [pool.submit(_read, end) for end in (out, err)]
        pool.submit(_write, given, stdin)
        with caller.makefile() as answers:
            pid = int(answers.readline())
            limit = threading.Timer(TIMEOUT_S, os.kill, (pid, signal.SIGKILL))
            limit.start()
            code = int(answers.readline())
            limit.cancel()
        return Done(code, texts[0].result(), texts[1].result().decode())


def start_queen(home: Path, *args: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start `queen ARGS…` with pipes at all three ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "queen", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(home, variables),
        cwd=home,
    )


def end(process: subprocess.Popen[bytes]) -> Done:
    """Wait for the end of a started command; a stuck one is killed and fails the test."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, out, err.decode())


def signal_until_gone(process: subprocess.Popen[bytes], number: signal.Signals, every_s: float = 0.3) -> None:
    """Send the signal again and again, like an impatient person, until the process has ended."""
    ends_at = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < ends_at:
        process.send_signal(number)
        try:
            process.wait(every_s)
        except subprocess.TimeoutExpired:
            continue


def wait_until(condition: Any, what: str) -> None:
    """Wait for a condition that another process or thread will bring about."""
    ends_at = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < ends_at, f"waited in vain for {what}"
        time.sleep(0.01)


class _Service:
    """The process of tests/support/warm.py, for this test run."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="queen-warm-"))
        self._errors = self._folder / "errors"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.warm", str(self._folder / "s")],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=_environment(self._folder, {}),
                cwd=self._folder,
            )
        atexit.register(self._end)
        wait_until(self._listens, "the service of warm commands")

    def call(self) -> socket.socket:
        """A connection to it, for one command."""
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(self._folder / "s"))
        return caller

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._errors.read_text("utf-8")
        try:
            self.call().close()
        except OSError:
            return False
        return True

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT_S)
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def _service() -> _Service:
    return _Service()


def _read(end: int) -> bytes:
    with open(end, "rb") as file:
        return file.read()


def _write(end: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(end, "wb") as file:
        file.write(content)


def _environment(home: Path, variables: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}
