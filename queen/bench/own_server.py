"""One server under load: a `queen serve` that we start, kill and start again on one port, or a foreign one.

Knows processes and health, neither load nor databases.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from queen.bench.guard import Guard
from queen.bench.http_call import ask
from queen.errors import QueenError, ServerUnreachable
from queen.settings.places import environment_without_settings

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
_POLL_S = 0.05
_TAIL_LINES = 8
_SETTINGS_S = 10.0


class Server:
    """Where it listens, and its process when it is ours."""

    def __init__(
        self, host: str, port: int, command: Sequence[str] = (), log: Path | None = None, guard: Guard | None = None
    ) -> None:
        self.host, self.port = host, port
        self.ours = bool(command)
        self._command, self._log, self._guard = list(command), log, guard
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def foreign(cls, host: str, port: int) -> Server:
        return cls(host, port)

    @classmethod
    def own(cls, folder: Path, dsn: str, serve: Sequence[str], guard: Guard, number: int, settings: str = "") -> Server:
        """Not started yet. A settings file of its own, which may be empty, keeps every other one away. Without `dsn`
        the file names the database."""
        config = folder / "settings.yaml"
        config.touch(0o600)
        config.write_text(settings, encoding="utf-8")
        port = _free_port()
        command = [sys.executable, "-m", "queen", "serve", "--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(port), *(["--database-url", dsn] if dsn else []), *serve]
        return cls("127.0.0.1", port, command, folder / f"serve-{number}.log", guard)

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process when it is ours and runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log(self) -> Path | None:
        return self._log

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises ServerUnreachable with its last words when it does not come."""
        assert self.ours, "a foreign server is not ours to start"
        assert self.pid is None, "it runs already"
        assert self._log is not None
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once; its life is not the loop's
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment_without_settings(),
                start_new_session=True,  # Ctrl-C is for the bench, which then stops the server in order
            )
        if self._guard is not None:
            self._guard.add(self._process.pid)
        await self._wait_ready()

    async def kill(self) -> None:
        """End it by SIGKILL, and wait."""
        await self._end_by(signal.SIGKILL)

    async def terminate(self) -> int:
        """End it in order, by SIGTERM, and wait; its exit code."""
        process = self._process
        await self._end_by(signal.SIGTERM)
        return 0 if process is None else process.returncode

    async def restart(self) -> None:
        """Start it again on the same port and wait until it is ready. Harmless when it runs."""
        if self.pid is None:
            await self.start()
        else:
            await self._wait_ready()

    async def settings(self) -> dict[str, Any] | None:
        """What it runs with, as `queen config show --origin` tells; None for a foreign one, or without answer."""
        if not self.ours:
            return None
        at = self._command.index("serve")
        command = [*self._command[:at], "config", "show", "--json", "--origin", *self._command[at + 1 :]]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_without_settings(),
        )
        try:
            async with asyncio.timeout(_SETTINGS_S):
                answer, _ = await process.communicate()
            found = msgspec.json.decode(answer, type=dict[str, Any])
        except (TimeoutError, msgspec.DecodeError):
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return found

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting. Harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait for the end, and kill what does not come to it. Blocks."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    async def _end_by(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
        await asyncio.to_thread(self.end)

    async def _wait_ready(self) -> None:
        ends_at = time.monotonic() + READY_TIMEOUT_S
        while not await asyncio.to_thread(self._is_ready):
            code = self._process.poll() if self._process is not None else None
            if code is not None:
                self._forget()
                raise ServerUnreachable(f"queen serve ended with code {code}:\n{self._last_words()}")
            if time.monotonic() > ends_at:
                raise ServerUnreachable(f"queen serve was not ready in {READY_TIMEOUT_S:.0f} s:\n{self._last_words()}")
            await asyncio.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            ask(self.url, "GET", "/health/ready", timeout_s=5)
        except QueenError:
            return False
        return True

    def _forget(self) -> None:
        if self._process is not None and self._guard is not None:
            self._guard.drop(self._process.pid)
        self._process = None

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
