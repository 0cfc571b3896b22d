"""One worker of several: a process that a supervisor started, with everything handed down to it.

It speaks with its supervisor (`workers`) over two pipes. Standard input brings the `Handoff`, then one byte when it may
accept requests; its end means that the supervisor is gone, and the worker ends in an orderly way. Standard output
carries one JSON object a line: `{"ready": schema version or null}`, or `{"error": [class, message, hint]}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from queen import errors
from queen import log as logs
from queen.engine.board import Board, Seat
from queen.engine.mode import Mode
from queen.server.listen import Instance, listen
from queen.server.run import loop_factory, migrated, open_unless
from queen.settings import Settings

log = logging.getLogger(__name__)

GO = b"g"
_STDIN, _STDOUT = 0, 1


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a worker gets. `settings` are its share; `mode`, `pool_size` and `started_at` those of the instance."""

    settings: Settings
    mode: Mode
    pool_size: int
    started_at: float
    dsn: str
    direct_dsn: str | None
    slot: int
    life: int
    workers: int
    socket_fileno: int
    board_fileno: int

    def encode(self) -> bytes:
        """As bytes for the pipe. It holds passwords: never let it touch a command line or a file."""
        body = pickle.dumps(self)
        return len(body).to_bytes(4, "little") + body


def main() -> NoReturn:
    """The whole life of a worker. Exit code 0 after an orderly end, 1 when it could not start, 70 after a bug."""
    # Ctrl-C reaches every process of the terminal; the supervisor alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handoff = _receive()
    if handoff is None:
        sys.exit(0)
    logs.setup(handoff.settings.log.format, handoff.settings.log.level)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_work(handoff))
    except errors.QueenError as error:
        _say({"error": [type(error).__name__, error.message, error.hint]})
        sys.exit(1)
    except Exception:
        log.exception("worker failed worker=%d", handoff.slot)
        sys.exit(70)
    sys.exit(0)


async def _work(handoff: Handoff) -> None:
    stop, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    # Whoever signals a whole group of processes, as systemd does, signals workers twice: the second changes nothing.
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    os.set_blocking(_STDIN, False)
    loop.add_reader(_STDIN, _listen_to_supervisor, stop, go)
    sock = socket.socket(fileno=handoff.socket_fileno)
    seat = Seat(Board(handoff.board_fileno, handoff.workers), handoff.slot, handoff.life)
    instance = Instance(handoff.mode, handoff.pool_size, handoff.started_at, seat)
    try:
        async with contextlib.AsyncExitStack() as stack:
            runtime = await open_unless(stop, stack, handoff.settings, handoff.dsn, handoff.direct_dsn)
            if runtime is None:
                return
            _say({"ready": migrated(runtime)})
            await _first(stop, go)
            if not stop.is_set():
                await listen(handoff.settings, sock, runtime, instance, stop, lambda: None)
    finally:
        loop.remove_reader(_STDIN)


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of these is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def _listen_to_supervisor(stop: asyncio.Event, go: asyncio.Event) -> None:
    try:
        said = os.read(_STDIN, 64)
    except BlockingIOError:
        return
    except OSError:
        said = b""
    if GO in said:
        go.set()
    if not said:
        asyncio.get_running_loop().remove_reader(_STDIN)
        if not stop.is_set():
            log.error("the supervisor is gone, stopping")
            stop.set()


def _receive() -> Handoff | None:
    """Wait for the handoff; None when the supervisor ended before it sent all of it."""
    head = _read(4)
    body = _read(int.from_bytes(head, "little")) if len(head) == 4 else b""
    if not body:
        return None
    found = pickle.loads(body)
    assert isinstance(found, Handoff)
    return found


def _read(length: int) -> bytes:
    """So many bytes; none when the pipe ends before."""
    pieces = bytearray()
    while len(pieces) < length:
        piece = os.read(_STDIN, length - len(pieces))
        if not piece:
            return b""
        pieces += piece
    return bytes(pieces)


def _say(message: dict[str, Any]) -> None:
    """Tell the supervisor; without one there is nobody to tell."""
    with contextlib.suppress(OSError):
        os.write(_STDOUT, json.dumps(message).encode() + b"\n")
