"""A real `queen serve` as a process of its own, with everything a test does to one: start, kill, stop, restart, look.

Knows no fixture; tests/support/fix_server.py hands these out and ends them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from queen.embedded import processes
from queen.embedded.cluster import socket_url

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
"""Far more than anything needs: a slow, loaded machine must not fail a test."""

_SERVES = re.compile(r"serves (http://\S+)")
_BUG_WORDS = ("Traceback", "internal error", "request failed", "flush failed", "tick failed", "never retrieved")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition that another process will bring about. Fails the test after PATIENCE_S."""
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at, f"waited in vain for {what}"
        time.sleep(0.02)


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """An environment without the developer's settings: no QUEEN_…, PG… or DB_… variable comes through."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}


class Server:
    """One `queen serve`, started again and again on the same port and database.

    Its log is the file `log`, over all starts. `arguments` go to each start.
    """

    def __init__(self, folder: Path, *arguments: str, name: str = "server", **variables: str) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.arguments = arguments
        self.url = ""
        self._environment = clean_environment(folder, **variables)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    def launch(self) -> None:
        """Start the process; does not wait for it."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        port = self.url.rsplit(":", 1)[1] if self.url else "0"
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "queen", "serve", "--port", port, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.folder,
            )

    def start(self) -> float:
        """Start, and wait until it is ready. Returns the seconds that took."""
        started_at = time.monotonic()
        self.launch()
        self.wait_ready()
        return time.monotonic() - started_at

    def wait_ready(self) -> None:
        """Wait until /health/ready says yes. Fails when the process ends instead."""
        wait_until(self._said_its_url, f"{self.log} to name the server's address")
        wait_until(self.is_ready, "/health/ready")

    def is_ready(self) -> bool:
        """Does /health/ready answer 200 now?"""
        assert self.running, f"the server ended with code {self.process.returncode}"
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal; does not wait."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(PATIENCE_S)

    def terminate(self) -> int:
        """End it by SIGTERM; the exit code."""
        self.signal()
        return self.ended()

    def restart(self) -> float:
        """End it in an orderly way and start it again."""
        assert self.terminate() == 0
        return self.start()

    def output(self) -> str:
        """What it wrote since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode("utf-8", "replace")

    def health(self) -> dict[str, Any]:
        """The content of /health, whatever its status."""
        return dict(httpx.get(f"{self.url}/health", timeout=30).json())

    def metrics(self) -> dict[str, Any]:
        """The content of /metrics."""
        return dict(httpx.get(f"{self.url}/metrics", timeout=30).raise_for_status().json())

    def parked_polls(self) -> int:
        """How many polls wait there now."""
        return int(self.metrics()["sizes"]["parked_polls"])

    def log_size(self) -> int:
        """How long the log is now, for `check_unharmed`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def check_unharmed(self, since: int = 0) -> None:
        """It runs, is healthy, and its log tells of no bug since it was `since` bytes long."""
        assert self.running
        assert self.health()["status"] == "healthy"
        text = self.log.read_bytes()[since:].decode("utf-8", "replace")
        assert [word for word in _BUG_WORDS if word in text] == [], text

    def _said_its_url(self) -> bool:
        match = _SERVES.search(self.output())
        if match is None:
            assert self.running, f"the server ended with code {self.process.returncode}: {self.output()}"
            return False
        self.url = match[1]
        return True


class EmbeddedServer(Server):
    """A server with a private PostgreSQL in a data folder."""

    def __init__(self, folder: Path, data_dir: Path, *arguments: str, name: str = "server", **variables: str) -> None:
        super().__init__(folder, "--data-dir", str(data_dir), *arguments, name=name, **variables)
        self.data_dir = data_dir

    def note(self) -> dict[str, Any]:
        """What the owner of the PostgreSQL left for others; empty when there is none."""
        for path in self.data_dir.glob("pg/*/queen.json"):
            try:
                return dict(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError):
                continue
        return {}

    @property
    def postmaster(self) -> int:
        """The process id of PostgreSQL, by its own lock file; 0 when it is stopped."""
        for path in self.data_dir.glob("pg/*/data/postmaster.pid"):
            try:
                return int(path.read_text("utf-8").split("\n", 1)[0])
            except (OSError, ValueError):
                continue
        return 0

    @property
    def dsn(self) -> str:
        """The database, for a look past the server."""
        return socket_url(Path(self.note()["socket_dir"]))

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the server's database."""
        with psycopg.connect(self.dsn, autocommit=True, options="-c search_path=queen") as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def end(self) -> None:
        """End it, whatever its state, and wait for its PostgreSQL to end too."""
        socket_dir, postmaster = self.note().get("socket_dir"), self.postmaster
        if self.running:
            self.signal()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        if postmaster:
            wait_until(lambda: not processes.is_running(postmaster), f"PostgreSQL {postmaster} to end")
        if socket_dir:
            shutil.rmtree(socket_dir, ignore_errors=True)
