"""Runs the daemon: one process that serves, or several under a supervisor; the start, the signals, the end.

Order of the start: the port is taken (`sockets`), the database is found and migrated, the engine starts, then requests
are accepted. Order of the end on the first SIGTERM or SIGINT: that of `listen`, then connections are closed. A second
signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from queen import errors
from queen.engine.mode import decided, mode_of
from queen.runtime import Runtime, open_runtime
from queen.server import sockets as ports
from queen.server.listen import Instance, listen
from queen.settings import Settings

log = logging.getLogger(__name__)

Guard = Callable[[], Awaitable[None]]
OnReady = Callable[[str, int | None], None]
"""Told the address for clients, and the version of the schema if it was created or upgraded."""


def serve(
    settings: Settings,
    sockets: list[socket.socket],
    dsn: str,
    direct_dsn: str | None,
    guard: Guard | None,
    on_ready: OnReady,
) -> None:
    """Serve until a signal, with a process for each socket. `guard` runs beside (it keeps a private PostgreSQL alive).

    Raises what `open_runtime` raises, and WorkersFailed.
    """
    if len(sockets) > 1:
        from queen.server.workers import Supervisor

        asyncio.run(Supervisor(decided(settings), mode_of(settings), sockets, dsn, direct_dsn, on_ready).run(guard))
        return
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(settings, sockets[0], dsn, direct_dsn, guard, on_ready))


def check_workers(settings: Settings) -> None:
    """Raises SettingsError when there are more workers than connections to share out."""
    workers, pool_size = settings.server.workers, settings.database.pool_size
    if workers > pool_size:
        raise errors.SettingsError(
            f"server.workers = {workers} needs a database.pool_size of at least {workers}; it is {pool_size}",
            hint="each worker needs a connection of its own: raise --pool-size, or lower --workers",
        )


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: the same loop, at half the cost."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Signals:
    """Counts the signals: the first begins an orderly end, the second calls `at_once` and ends the process."""

    def __init__(self, at_once: Callable[[], None] = lambda: None) -> None:
        self.event = asyncio.Event()
        self._at_once = at_once
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self.event.is_set():
            log.warning("second signal, stopping at once signal=%d", number)
            self._at_once()
            os._exit(128 + number)
        log.info("stopping signal=%d", number)
        self.event.set()


@contextlib.asynccontextmanager
async def guarded(guard: Guard | None) -> AsyncIterator[None]:
    """Let a guard run beside the block."""
    guarding = None if guard is None else asyncio.ensure_future(guard())
    try:
        yield
    finally:
        if guarding is not None:
            guarding.cancel()


async def _serve(
    settings: Settings, sock: socket.socket, dsn: str, direct_dsn: str | None, guard: Guard | None, on_ready: OnReady
) -> None:
    stop = Signals().event
    instance = Instance(mode_of(settings), settings.database.pool_size)
    async with guarded(guard), contextlib.AsyncExitStack() as stack:
        runtime = await open_unless(stop, stack, decided(settings), dsn, direct_dsn)
        if runtime is not None:
            await listen(
                runtime.settings, sock, runtime, instance, stop, lambda: on_ready(ports.url_of(sock), migrated(runtime))
            )


async def open_unless(
    stop: asyncio.Event, stack: contextlib.AsyncExitStack, settings: Settings, dsn: str, direct_dsn: str | None
) -> Runtime | None:
    """Open the runtime into `stack`; None when `stop` was set before the database was there."""
    opening = asyncio.ensure_future(stack.enter_async_context(open_runtime(settings, dsn, direct_dsn)))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not opening.done():
        opening.cancel()
        await asyncio.wait({opening})
        return None
    return opening.result()


def migrated(runtime: Runtime) -> int | None:
    """The version of the schema if this start created or upgraded it."""
    return runtime.migration.to_version if runtime.migration.applied else None
