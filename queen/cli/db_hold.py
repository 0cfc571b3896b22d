"""Keeps a private PostgreSQL running for `queen db start`, in the foreground or as a process of its own.

Knows what the user sees of it; how a cluster is owned and shared, `queen.embedded.cluster` knows.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import typer

from queen.cli import console
from queen.embedded.cluster import Cluster
from queen.embedded.look import look
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings

HOLDER = "db start"
"""By this word in the note `queen db stop` knows that the owner runs for PostgreSQL alone."""

_CHECK_S = 1.0
_POLL_S = 0.05


def hold(settings: EmbeddedSettings) -> None:
    """Runs PostgreSQL until SIGINT or SIGTERM; returns at once when another process runs it already."""
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    cluster = Cluster.open(settings, holder=HOLDER)
    try:
        for number in previous:
            signal.signal(number, lambda *_: stop.set())
        console.say(cluster.announcement)
        if not cluster.owned:
            console.say(f"already running, owned by process {cluster.owner_pid}")
            return
        console.say(f"connect with: psql '{cluster.url}'; stop with Ctrl-C or queen db stop")
        _keep(cluster, stop)
    finally:
        cluster.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _keep(cluster: Cluster, stop: threading.Event) -> None:
    """Waits for the signal, and brings the server back if somebody killed it."""
    while not stop.wait(_CHECK_S):
        if not cluster.alive:
            console.say("PostgreSQL is gone; starting it again")
            cluster.ensure()


def hold_detached(settings: EmbeddedSettings, config: Path | None, data_dir: str | None) -> None:
    """Starts `queen db start` as a process that outlives this one, and returns when PostgreSQL answers."""
    words = [sys.executable, "-m", "queen", "db", "start"]
    words += ["--config", str(config)] if config is not None else []
    words += ["--data-dir", data_dir] if data_dir is not None else []
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        _await(child, settings, output)


def _await(child: subprocess.Popen[bytes], settings: EmbeddedSettings, output: IO[bytes]) -> None:
    deadline = time.monotonic() + settings.start_timeout_ms / 1000 + 10
    while child.poll() is None:
        sight = look(settings)
        if sight is not None and sight.answers and sight.note is not None and sight.note.owner_pid == child.pid:
            console.say(f"PostgreSQL {sight.note.version} runs in the background, owned by process {child.pid}")
            console.say(f"data in {sight.home.data}; stop with: queen db stop")
            return
        if time.monotonic() > deadline:
            child.terminate()
            raise EmbeddedError("PostgreSQL did not start in time", hint="allow more with embedded.start_timeout_ms")
        time.sleep(_POLL_S)
    output.seek(0)
    for line in output.read().decode(errors="replace").splitlines():
        console.say(line)
    raise typer.Exit(child.returncode if child.returncode >= 0 else console.UNREACHABLE)
