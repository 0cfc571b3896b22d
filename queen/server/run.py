"""Runs the application under uvicorn: the socket, the start, the signals, the end.

Order of the start: the port is taken (so that a second server fails at once), the database is found and migrated, the
engine starts, then requests are accepted. Order of the end on the first SIGTERM or SIGINT: not ready, the drain delay,
parked polls answered, requests in flight finished, connections closed. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from queen import errors
from queen.runtime import Runtime, open_runtime
from queen.server.app import create_app
from queen.server.body import Bodies
from queen.server.context import Context
from queen.server.hot import Hot
from queen.server.protocol import Protocol, Watchman
from queen.settings import Settings

log = logging.getLogger(__name__)

_BACKLOG = 4096
HIGH_PERF_POOL_SIZE = 50


def bind(settings: Settings) -> socket.socket:
    """Take the port. Raises PortInUse when that cannot be."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise errors.PortInUse(f"cannot listen on {host}:{port}: {_reason(error)}", hint=_remedy(error)) from error
    return sock


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _remedy(error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return "another server runs there; stop it, or choose another port with --port"
    if code == errno.EACCES:
        return "ports below 1024 need rights; choose another port with --port"
    return "choose an address of this machine with --host"


def mode_of(settings: Settings) -> tuple[str, str]:
    """(mode, reason): high-performance, or safe defaults."""
    wanted, pool_size = settings.engine.high_perf, settings.database.pool_size
    if wanted is not None:
        return ("high-performance" if wanted else "safe"), "set by engine.high_perf"
    if pool_size >= HIGH_PERF_POOL_SIZE:
        return "high-performance", f"pool size {pool_size} is at least {HIGH_PERF_POOL_SIZE}"
    return "safe", f"pool size {pool_size} is below {HIGH_PERF_POOL_SIZE}"


Guard = Callable[[], Awaitable[None]]
OnReady = Callable[[Runtime, str], None]


def serve(
    settings: Settings, sock: socket.socket, dsn: str, direct_dsn: str | None, guard: Guard | None, on_ready: OnReady
) -> None:
    """Serve until a signal. `guard` runs beside the server (it keeps a private PostgreSQL alive).

    Raises what `open_runtime` raises.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, sock, dsn, direct_dsn, guard, on_ready))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: the same loop, at half the cost."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Stop:
    """Counts the signals: the first begins an orderly end, the second ends everything."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self.event.is_set():
            log.warning("second signal, stopping at once signal=%d", number)
            os._exit(128 + number)
        log.info("stopping signal=%d", number)
        self.event.set()


async def _serve(
    settings: Settings, sock: socket.socket, dsn: str, direct_dsn: str | None, guard: Guard | None, on_ready: OnReady
) -> None:
    stop = _Stop()
    async with contextlib.AsyncExitStack() as stack:
        if guard is not None:
            guarding = asyncio.ensure_future(guard())
            stack.callback(guarding.cancel)
        opening = asyncio.ensure_future(stack.enter_async_context(open_runtime(settings, dsn, direct_dsn)))
        stopping = asyncio.ensure_future(stop.event.wait())
        stack.callback(stopping.cancel)
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            opening.cancel()
            await asyncio.wait({opening})
            return
        await _listen(settings, sock, opening.result(), stop, on_ready)


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _listen(settings: Settings, sock: socket.socket, runtime: Runtime, stop: _Stop, on_ready: OnReady) -> None:
    mode, reason = mode_of(settings)
    hot = Hot(runtime.engine, settings.engine)
    bodies = Bodies(runtime.engine.memory, settings.server.body_bytes_max)
    context = Context(settings, runtime.engine, runtime.admin, hot, bodies, mode=mode, mode_reason=reason)
    server = _Server(
        uvicorn.Config(
            create_app(context),
            http=Protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            limit_concurrency=settings.server.connections_max,
            timeout_keep_alive=max(1, settings.server.keep_alive_ms // 1000),
            timeout_graceful_shutdown=max(1, settings.server.shutdown_timeout_ms // 1000),
        )
    )
    sock.listen(_BACKLOG)
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    stopping = asyncio.ensure_future(stop.event.wait())
    watching = asyncio.ensure_future(_watchman(server, settings, runtime).run())
    on_ready(runtime, _url(sock))
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.event.is_set():
        context.draining = True
        await asyncio.sleep(settings.server.drain_delay_ms / 1000)
        runtime.engine.drain()
        server.should_exit = True
    stopping.cancel()
    await serving
    watching.cancel()
    log.info("stopped")


def _watchman(server: uvicorn.Server, settings: Settings, runtime: Runtime) -> Watchman:
    counters = runtime.engine.stats.counters

    def count() -> None:
        counters.clients_stalled += 1

    return Watchman(server.server_state.connections, settings.server.stall_timeout_ms / 1000, count)


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
