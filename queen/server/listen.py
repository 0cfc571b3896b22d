"""Accepts requests for one engine under uvicorn, until told to stop; then drains.

The order of the end: `/health/ready` says no and answers close their connections, for the drain delay; nothing more is
accepted; parked polls are answered; requests in flight are finished. A request that got in is served, not refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import uvicorn
from uvicorn.server import ServerState

from queen.engine.board import Numbers, Seat
from queen.engine.maintenance.loop import Loop
from queen.engine.mode import Mode
from queen.runtime import Runtime
from queen.server import collector, numbers, sockets, story
from queen.server.app import create_app
from queen.server.body import Bodies
from queen.server.context import Context
from queen.server.hot import Hot
from queen.server.protocol import Protocol, Watchman
from queen.settings import Settings
from queen.store.activity import Place

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Instance:
    """What a process knows of the whole instance. `seat` is None for the only process."""

    mode: Mode
    pool_size: int
    started_at: float = field(default_factory=time.time)
    seat: Seat | None = None


async def listen(
    settings: Settings,
    sock: socket.socket,
    runtime: Runtime,
    instance: Instance,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
) -> None:
    """Serve until `stop` is set, and then to the end of the last request, or of `server.shutdown_timeout_ms`."""
    context = Context(
        settings,
        runtime.engine,
        runtime.admin,
        runtime.pool,
        Hot(runtime.engine, settings.engine),
        Bodies(runtime.engine.memory, settings.server.body_bytes_max),
        mode=instance.mode.name,
        mode_reason=instance.mode.reason,
        pool_size=instance.pool_size,
        seat=instance.seat,
        started_at=instance.started_at,
    )
    server = _Server(_config(settings, context), runtime.engine.dismiss_polls)
    runtime.engine.activity.place = _place(sock, instance.seat)
    sockets.listen(sock)
    loops = [*_loops(context, instance.mode.high_perf), _watchman(server, context)]
    for loop in loops:
        loop.start()
    try:
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        stopping = asyncio.ensure_future(stop.wait())
        with collector.seldom_run():
            on_ready()
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                context.draining = server.state.draining = True
                await asyncio.sleep(settings.server.drain_delay_ms / 1000)
                server.should_exit = True
            stopping.cancel()
            await serving
    finally:
        for loop in loops:
            await loop.stop()
        await story.say_the_end(runtime.engine, runtime.admin.past)
        if instance.seat is not None:
            instance.seat.publish(numbers.measure(runtime.engine, settings.database.pool_size))
            instance.seat.tell(story.of_process(runtime.engine, runtime.pool, instance.seat.slot))
    log.info("stopped")


def _place(sock: socket.socket, seat: Seat | None) -> Place:
    return Place(socket.gethostname(), int(sock.getsockname()[1]), seat.slot if seat is not None else 0)


def _watchman(server: uvicorn.Server, context: Context) -> Loop:
    """The loop that cuts off clients that stall."""
    stall_s = context.settings.server.stall_timeout_ms / 1000
    watchman = Watchman(server.server_state.connections, stall_s, context.engine.stats.counters)
    return Loop("watch connections", watchman.tick, stall_s / 4)


def _loops(context: Context, high_perf: bool) -> list[Loop]:
    teller = story.Teller(context.engine, context.pool, context.admin.past, context.seat)
    telling = Loop("tell", teller.tick, story.TICK_S, at_once=True)
    if context.seat is not None:
        publisher = numbers.Publisher(context.engine, context.settings.database.pool_size, context.seat)
        return [telling, Loop("publish", publisher.tick, numbers.PUBLISH_S)]
    return [telling, *lines(context.settings, context.numbers, high_perf)]


def lines(settings: Settings, count: Callable[[], Numbers], high_perf: bool) -> list[Loop]:
    """The loop that writes a line of numbers every so often, if there is to be one."""
    if not high_perf or not settings.log.metrics_ms:
        return []
    return [Loop("metrics", numbers.Lines(count).tick, settings.log.metrics_ms / 1000)]


def _config(settings: Settings, context: Context) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(context),
        http=Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=sockets.BACKLOG,
        limit_concurrency=settings.server.connections_max,
        timeout_keep_alive=max(1, settings.server.keep_alive_ms // 1000),
        timeout_graceful_shutdown=max(1, settings.server.shutdown_timeout_ms // 1000),
    )


class _State(ServerState):
    """What all connections know of the server."""

    draining = False


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling, and with an end in our order."""

    def __init__(self, config: uvicorn.Config, dismiss_polls: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state = self.state = _State()
        self._dismiss_polls = dismiss_polls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting; answer parked polls; wait for the rest."""
        self.state.draining = True
        ending = asyncio.ensure_future(super().shutdown(sockets))
        # Its first step closes the listeners and marks the connections: the answers to polls then close theirs.
        await asyncio.sleep(0)
        self._dismiss_polls()
        await ending
