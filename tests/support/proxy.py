"""A TCP proxy in a thread, for connections that break: it can cut all of them, and lose the answers under way."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import Self

_PIECE = 65_536


class Proxy:
    """Passes bytes between a port of its own and another one on this machine."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self.accepted = 0
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._swallowing = False
        self.swallowed = threading.Event()
        """Set when an answer was swallowed since `swallow`."""
        self._ending = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join()
        self.cut()
        self._listener.close()

    def swallow(self) -> None:
        """From now on what the target answers gets lost."""
        self.swallowed.clear()
        self._swallowing = True

    def cut(self) -> None:
        """Reset every connection; new ones work."""
        with self._lock:
            for one in self._pairs:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
            self._pairs.clear()
            self._clients.clear()
            self._swallowing = False

    def _run(self) -> None:
        while not self._ending:
            with self._lock:
                sockets = [self._listener, *self._pairs]
            try:
                ready, _, _ = select.select(sockets, [], [], 0.05)
            except (OSError, ValueError):
                continue  # One of them was cut meanwhile.
            with self._lock:
                for one in ready:
                    if one is self._listener:
                        self._accept()
                    elif one in self._pairs:
                        self._pass(one)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.accepted += 1
        try:
            target = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        self._clients.add(client)
        self._pairs |= {client: target, target: client}

    def _pass(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            piece = one.recv(_PIECE)
            if piece and self._swallowing and one not in self._clients:
                self.swallowed.set()
                return
            if piece:
                other.sendall(piece)
                return
        except OSError:
            pass
        for end in (one, other):
            del self._pairs[end]
            self._clients.discard(end)
            with contextlib.suppress(OSError):
                end.close()
