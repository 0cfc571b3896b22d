"""Starts a server on a prepared plan and knows when it is ready: when it has answered a query, not when it runs.

Used by the owner only (cluster.py). Knows nothing of sharing.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from queen.embedded import conf, recover
from queen.embedded.folders import Home, told_plainly
from queen.embedded.initialise import prepare_data
from queen.embedded.plan import Plan
from queen.embedded.postmaster import Postmaster
from queen.embedded.sockets import PORT, socket_file
from queen.errors import EmbeddedError
from queen.store.connect import ping

_POLL_S = 0.02
_PING_S = 5.0
_OLD_ONE_LEAVING: Final = ("already exists", "is still in use")
"""PostgreSQL's words when processes of an earlier server on the same data have not all ended."""

_GRAVE = re.compile(r"\b(?:FATAL|PANIC):\s+(.*)")
_TAIL_BYTES = 20_000


def dsn(socket_dir: Path, database: str = conf.DATABASE) -> str:
    """How to reach the server. What libpq would otherwise take from the environment is fixed here."""
    host = str(socket_dir).replace("\\", "\\\\").replace("'", "\\'")
    return f"host='{host}' hostaddr='' port={PORT} user={conf.ROLE} dbname={database} target_session_attrs=any"


def start_server(plan: Plan, socket_dir: Path, deadline: float) -> Postmaster:
    """A server that answers. Raises EmbeddedError, and then nothing is left running."""
    while True:
        recover.wait_until_free(plan.home, deadline)
        recover.disarm_pid_file(plan.home, plan.account)
        began_at = time.time()
        server = _launch(plan, socket_dir)
        try:
            if wait_ready(server, socket_dir, deadline):
                return server
        except BaseException:
            server.stop()
            raise
        words = _last_words(plan.home, began_at)
        if time.monotonic() > deadline or not any(sign in words for sign in _OLD_ONE_LEAVING):
            raise EmbeddedError(f"PostgreSQL stopped while starting: {words}", hint=f"its log is in {plan.home.log}")
        time.sleep(_POLL_S)


def prepare(plan: Plan, deadline: float) -> None:
    """Waits for an earlier server to leave and makes the data if there is none. Raises EmbeddedError."""
    recover.wait_until_free(plan.home, deadline)
    prepare_data(plan, max(1.0, deadline - time.monotonic()))


def wait_ready(server: Postmaster, socket_dir: Path, deadline: float) -> bool:
    """Waits for the first answer. False when the server ended instead; raises EmbeddedError at the deadline."""
    reason: str | None = "its socket did not appear"
    while server.alive:
        if socket_file(socket_dir).exists():
            reason = ping(dsn(socket_dir, "postgres"), _PING_S)
            if reason is None:
                return True
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL runs but did not answer in time: {reason}",
                hint="after a crash recovery can take long: allow more with embedded.start_timeout_ms",
            )
        server.wait(_POLL_S)
    return False


def _launch(plan: Plan, socket_dir: Path) -> Postmaster:
    command = conf.server_command(plan.binaries, plan.home, socket_dir)
    with told_plainly(plan.home.start_log):
        plan.home.start_log.unlink(missing_ok=True)
        with open(plan.home.start_log, "xb") as output:
            return Postmaster.start(command, plan.account, output)


def _last_words(home: Home, since: float) -> str:
    """The gravest line that a server wrote before it ended."""
    logs = [path for path in home.log.glob("*.log") if path.stat().st_mtime >= since - 1]
    for path in [home.start_log, *sorted(logs, key=lambda path: path.stat().st_mtime, reverse=True)]:
        lines = _tail(path).splitlines()
        grave = [match.group(1) for match in map(_GRAVE.search, lines) if match and "starting up" not in match.group(1)]
        if grave:
            return grave[-1]
    lines = _tail(home.start_log).splitlines()
    return lines[-1] if lines else "it gave no reason"


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
