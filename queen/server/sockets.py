"""The port: taken before anything else is started, so that a second server fails at once.

Several workers get a socket each on the one port (SO_REUSEPORT): the kernel spreads connections over them by their
addresses. With one shared socket the same worker would mostly be the first to accept (tried: 183 of 200 connections at
once went to one of two). The sockets belong to the supervisor, so what is in line at a worker that died is not lost:
its successor gets the same socket.
"""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

from queen import errors
from queen.settings import Settings

BACKLOG: Final = 4096


def bind(settings: Settings) -> list[socket.socket]:
    """Take the port, with a socket for each worker; none of them listens yet. Raises PortInUse when that cannot be."""
    host, port = settings.server.host, settings.server.port
    try:
        return _bind_all(host, port, settings.server.workers)
    except (OSError, OverflowError) as error:
        raise errors.PortInUse(f"cannot listen on {host}:{port}: {_reason(error)}", hint=_remedy(error)) from error


def listen(sock: socket.socket) -> None:
    """Let clients connect. Raises PortInUse when another server began to listen there meanwhile."""
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        host, port = sock.getsockname()[:2]
        raise errors.PortInUse(f"cannot listen on {host}:{port}: {_reason(error)}", hint=_remedy(error)) from error


def url_of(sock: socket.socket) -> str:
    """The address for clients."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind_all(host: str, port: int, count: int) -> list[socket.socket]:
    if count == 1:
        return [_bound(host, port)]
    if sys.platform != "linux":
        # Elsewhere such sockets do not share connections evenly, or at all: one socket for all workers.
        first = _bound(host, port)
        return [first, *(first.dup() for _ in range(count - 1))]
    # Two servers of one user could both take the port this way: another socket, without the option, finds out first.
    _bound(host, port).close()
    sockets = [_bound(host, port, shared=True)]
    try:
        while len(sockets) < count:
            sockets.append(_bound(host, sockets[0].getsockname()[1], shared=True))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
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
