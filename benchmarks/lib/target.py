"""The server under measurement: one that we start in a folder of its own, or one that runs already.

It knows how to start, find and stop a server and where its database is; it reads no meter.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.lib.facts import REPOSITORY
from queen.measure.processes import find_listener

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


class TargetError(Exception):
    """The server could not be started or reached; the text says what was seen."""


class Target(msgspec.Struct, frozen=True):
    """A server that answers. `pid` is None when it is not on this machine; `dsn` when its database is unknown."""

    host: str
    port: int
    pid: int | None
    dsn: str | None
    ours: bool


def attach(url: str, dsn: str | None) -> Target:
    """A server that somebody else runs. Raises TargetError when it does not answer."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise TargetError(f"cannot use {url!r}: want http://HOST:PORT")
    port = parts.port or 6632
    if not _is_ready(parts.hostname, port):
        raise TargetError(f"no ready Queen at {url}")
    local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    return Target(parts.hostname, port, find_listener(port) if local else None, dsn, ours=False)


@contextmanager
def started(server_args: Sequence[str]) -> Iterator[Target]:
    """`queen serve` with embedded PostgreSQL on fresh data, stopped and removed afterwards. Raises TargetError."""
    folder = Path(tempfile.mkdtemp(prefix="queen-hotpath-"))
    # The embedded PostgreSQL may run as another user, who must be able to pass through.
    folder.chmod(0o755)
    data, log = folder / "data", folder / "serve.log"
    port = _free_port()
    command = [sys.executable, "-m", "queen", "serve", "--host", "127.0.0.1", "--port", str(port)]
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--data-dir", str(data), *server_args],
                cwd=REPOSITORY,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we then stop the server in order
            )
        try:
            _wait_ready(process, port, log)
            yield Target("127.0.0.1", port, process.pid, _database_url(data), ours=True)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """Ours without settings of Queen or PostgreSQL: a stray DATABASE_URL would aim the load at a real database."""
    aliases = {"DATABASE_URL", "DB_POOL_SIZE", "DB_CONNECTION_TIMEOUT", "PORT", "HIGH_PERF"}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QUEEN_", "PG")) and name not in aliases
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _is_ready(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + READY_TIMEOUT_S
    while not _is_ready("127.0.0.1", port):
        if process.poll() is not None:
            raise TargetError(f"queen serve ended with code {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > end:
            raise TargetError(f"queen serve was not ready after {READY_TIMEOUT_S:.0f} s:\n{_tail(log)}")
        time.sleep(0.1)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _database_url(data: Path) -> str | None:
    command = [sys.executable, "-m", "queen", "db", "url", "--data-dir", str(data)]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=_environment(), capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks first. A server that must be killed is said out loud: its embedded PostgreSQL follows by itself."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"hotpath: queen serve did not stop within {STOP_TIMEOUT_S:.0f} s and was killed", file=sys.stderr)
        process.kill()
        process.wait()
