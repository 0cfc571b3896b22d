"""The supervisor of several workers: starts them, replaces those that end, passes signals on, keeps their numbers.

It serves no request. States of a worker: starting → ready (its engine runs) → serving, once all of the first
generation are ready, and at once later → ended. One that ends without being asked to is replaced after a pause, which
grows while workers end soon after their start.

Nothing outlives it: a worker whose supervisor is gone sees the end of its standard input (`worker`) and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from queen import errors
from queen.engine.board import Board, Ledger
from queen.engine.mode import Mode
from queen.server import sockets as ports
from queen.server.listen import lines
from queen.server.run import Guard, OnReady, Signals, guarded
from queen.server.share import share
from queen.server.worker import GO, Handoff
from queen.settings import Settings

log = logging.getLogger(__name__)

BOOT = "import sys; sys.path[:] = {path!r}; from queen.server.worker import main; main()"
"""What a worker's interpreter runs."""

_PAUSE_S: Final = 0.1
_PAUSE_S_MAX: Final = 5.0
_STEADY_S: Final = 10.0
"""A worker that served for this long has started well; its end counts as the first one."""
_STARTS_MAX: Final = 5
"""So many starts of one worker may fail in a row while no worker serves."""
_KILL_AFTER_S: Final = 10.0


@dataclass(slots=True)
class _Worker:
    """One life of a worker."""

    slot: int
    life: int
    process: asyncio.subprocess.Process
    started_at: float
    ready: bool = False
    error: errors.QueenError | None = None

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def go(self) -> None:
        """It may accept requests."""
        if self.process.stdin is not None:
            self.process.stdin.write(GO)

    def end(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.running:
                self.process.send_signal(number)


class Supervisor:
    """Runs a worker for each socket. `settings` are those of the instance, with the mode decided."""

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        sockets: list[socket.socket],
        dsn: str,
        direct_dsn: str | None,
        on_ready: OnReady,
    ) -> None:
        self._settings = settings
        self._mode = mode
        self._sockets = sockets
        self._dsn, self._direct_dsn = dsn, direct_dsn
        self._on_ready = on_ready
        self._started_at = time.time()
        self._workers: dict[int, _Worker] = {}
        self._serving = False
        self._migrated: int | None = None
        self._failure: errors.QueenError | None = None

    async def run(self, guard: Guard | None) -> None:
        """Until a signal, or until it is certain that no worker can start: then raises its error or WorkersFailed."""
        self._stop = Signals(self._kill).event
        self._board_fileno = Board.create(len(self._sockets))
        self._board = Board(self._board_fileno, len(self._sockets))
        self._ledger = Ledger(self._board)
        writing = lines(self._settings, self._board.total, self._mode.high_perf)
        async with guarded(guard):
            try:
                keeping = [asyncio.ensure_future(self._keep(slot)) for slot in range(1, len(self._sockets) + 1)]
                for one in keeping:
                    one.add_done_callback(self._kept)
                for loop in writing:
                    loop.start()
                await self._stop.wait()
                await self._end(keeping)
            finally:
                self._kill()
                for loop in writing:
                    await loop.stop()
                self._board.close()
                os.close(self._board_fileno)
        if self._failure is not None:
            raise self._failure
        log.info("stopped")

    async def _keep(self, slot: int) -> None:
        """One worker after the other in this slot."""
        failures = 0
        for life in itertools.count(1):
            worker = self._workers[slot] = await self._start(slot, life)
            await self._follow(worker)
            stopping = self._stop.is_set()
            self._ledger.end(slot, life, replaced=not stopping, how=_how(worker))
            if stopping:
                return
            lived_s = time.monotonic() - worker.started_at
            failures = 1 if worker.ready and lived_s >= _STEADY_S else failures + 1
            worker.ready = False
            pause_s = min(_PAUSE_S_MAX, _PAUSE_S * 2 ** (failures - 1))
            pid, how = worker.process.pid, _how(worker)
            log.error(
                "worker ended worker=%d pid=%d %s lived_s=%.1f next_start_s=%.1f", slot, pid, how, lived_s, pause_s
            )
            self._judge(worker, failures)
            if await self._stopped_within(pause_s):
                return

    async def _stopped_within(self, pause_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stop.wait()
        return self._stop.is_set()

    def _kept(self, keeping: asyncio.Task[None]) -> None:
        """A slot is no longer kept: in order when all ends, else something that nobody foresaw."""
        if not keeping.cancelled() and keeping.exception() is not None:
            self._fail(errors.WorkersFailed(f"a worker cannot be started: {keeping.exception()}"))

    async def _start(self, slot: int, life: int) -> _Worker:
        socket_fileno = self._sockets[slot - 1].fileno()
        # The path of modules is this process's own, wherever it came from.
        code = BOOT.format(path=sys.path)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            f"queen-worker-{slot}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(socket_fileno, self._board_fileno),
        )
        worker = _Worker(slot, life, process, time.monotonic())
        handoff = Handoff(
            settings=share(self._settings, slot - 1, len(self._sockets)),
            mode=self._mode,
            pool_size=self._settings.database.pool_size,
            started_at=self._started_at,
            dsn=self._dsn,
            direct_dsn=self._direct_dsn,
            slot=slot,
            life=life,
            workers=len(self._sockets),
            socket_fileno=socket_fileno,
            board_fileno=self._board_fileno,
        )
        assert process.stdin is not None
        process.stdin.write(handoff.encode())
        log.info("worker started worker=%d pid=%d", slot, process.pid)
        if self._stop.is_set():
            worker.end(signal.SIGTERM)
        return worker

    async def _follow(self, worker: _Worker) -> None:
        """Hear what a worker says until it has ended."""
        assert worker.process.stdout is not None
        async for said in worker.process.stdout:
            with contextlib.suppress(ValueError):
                self._hear(worker, json.loads(said))
        await worker.process.wait()

    def _hear(self, worker: _Worker, message: dict[str, Any]) -> None:
        if "error" in message:
            name, text, hint = message["error"]
            worker.error = getattr(errors, name, errors.QueenError)(text, hint=hint)
        if "ready" in message:
            worker.ready = True
            self._migrated = self._migrated or message["ready"]
            if self._serving:
                worker.go()
            elif len(self._workers) == len(self._sockets) and all(one.ready for one in self._workers.values()):
                self._open()

    def _open(self) -> None:
        """All are ready: clients may come."""
        try:
            for sock in self._sockets:
                ports.listen(sock)
        except errors.PortInUse as error:
            self._fail(error)
            return
        self._serving = True
        for worker in self._workers.values():
            worker.go()
        self._on_ready(ports.url_of(self._sockets[0]), self._migrated)

    def _judge(self, worker: _Worker, failures: int) -> None:
        """Give up when a worker says why it cannot start and none serves yet, or when starts fail again and again."""
        if not self._serving and worker.error is not None:
            self._fail(worker.error)
        elif failures >= _STARTS_MAX and not (self._serving and any(one.ready for one in self._workers.values())):
            self._fail(
                worker.error
                or errors.WorkersFailed(
                    f"worker {worker.slot} ended {failures} times in a row; last: {_how(worker)}",
                    hint="the log above says why; check memory limits, or try --workers 1",
                )
            )

    def _fail(self, error: errors.QueenError) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _end(self, keeping: list[asyncio.Task[None]]) -> None:
        """Ask every worker to end, and wait; kill what takes longer than it may."""
        for sock in self._sockets:
            sock.close()
        for worker in self._workers.values():
            worker.end(signal.SIGTERM)
        server = self._settings.server
        limit_s = (server.drain_delay_ms + 2 * server.shutdown_timeout_ms) / 1000 + _KILL_AFTER_S
        _, late = await asyncio.wait(keeping, timeout=limit_s)
        if late:
            log.error("workers do not end, killing them workers=%d limit_s=%.0f", len(late), limit_s)
            self._kill()
            await asyncio.wait(keeping)

    def _kill(self) -> None:
        for worker in self._workers.values():
            worker.end(signal.SIGKILL)


def _how(worker: _Worker) -> str:
    """How a process ended, as facts of a log line."""
    code = worker.process.returncode or 0
    if code >= 0:
        return f"exit_code={code}"
    try:
        return f"signal={signal.Signals(-code).name}"
    except ValueError:
        return f"signal={-code}"
