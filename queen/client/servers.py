"""Which server the next try goes to: round robin over those that work. Knows neither HTTP nor retries.

A server that failed is left out for a while. When all are left out, the one whose time ends first is tried: a client
never stops trying because of what it remembers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

LEFT_OUT_S: Final = 5.0
"""For how long a server that failed gets no requests, in seconds."""


class Server:
    """One server: where requests go, and its URL without credentials."""

    __slots__ = ("back_at", "shown", "url")

    def __init__(self, url: str, shown: str) -> None:
        self.url = url
        self.shown = shown
        self.back_at = 0.0


class Servers:
    """The servers of one client."""

    def __init__(self, servers: Sequence[Server], clock: Callable[[], float] = time.monotonic) -> None:
        self._all = list(servers)
        self._clock = clock
        self._turn = 0

    @property
    def shown(self) -> str:
        """The URLs for messages, without credentials."""
        return ", ".join(server.shown for server in self._all)

    def take(self) -> Server:
        """The server whose turn it is."""
        now, count = self._clock(), len(self._all)
        for step in range(count):
            server = self._all[(self._turn + step) % count]
            if server.back_at <= now:
                self._turn = (self._turn + step + 1) % count
                return server
        return min(self._all, key=lambda server: server.back_at)

    def failed(self, server: Server) -> None:
        """Leave a server out for a while: it could not be reached, or it failed."""
        server.back_at = self._clock() + LEFT_OUT_S

    def worked(self, server: Server) -> None:
        """A server answered, so it is no longer left out."""
        server.back_at = 0.0

    def elsewhere(self) -> bool:
        """Is there a server that is not left out?"""
        now = self._clock()
        return any(server.back_at <= now for server in self._all)
