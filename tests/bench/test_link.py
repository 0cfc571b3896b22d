"""Links with several targets: where they go when theirs refuses or sends them away, when they return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest

from queen.bench import link as links
from queen.bench.link import Link, Tally

_PATIENCE_S = 30
_REQUEST = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


class Stub:
    """A server that answers everything with 200, on a port that it keeps while it is away."""

    def __init__(self) -> None:
        self.port = 0
        self.answers = 0
        self.leaving = False
        """Not ready, and every answer closes its connection."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                is_look = b"/health/ready" in request
                self.answers += not is_look
                writer.write(b"HTTP/1.1 503 -" if is_look and self.leaving else b"HTTP/1.1 200 -")
                writer.write(b"\r\ncontent-length: 0" + b"\r\nconnection: close" * self.leaving + b"\r\n\r\n")
                if self.leaving:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


class Owner:
    """Asks again as soon as it may."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.answers = 0

    def on_free(self, link: Link) -> None:
        link.send(_REQUEST)

    def on_answer(self, link: Link, status: int, body: bytes, now: int) -> None:
        self.answers += 1
        if link.is_open:
            asyncio.get_running_loop().call_later(0.001, self._again, link)

    def _again(self, link: Link) -> None:
        if link.is_open and not link.sent_ns:
            link.send(_REQUEST)

    def on_failed(self, link: Link, kind: str, now: int) -> None:
        self.failed.append(kind)

    def on_lost(self, link: Link) -> None: ...


class Scene:
    """Two servers, and a link whose own one is the first."""

    def __init__(self) -> None:
        self.first, self.second = Stub(), Stub()
        self.owner, self.tally = Owner(), Tally()
        self.link: Link

    async def until(self, is_met: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not is_met():
                self.link.check(self.link.sent_ns)
                await asyncio.sleep(0.005)

    async def until_served_by(self, server: Stub) -> None:
        before = server.answers
        await self.until(lambda: server.answers > before + 5)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    await made.first.start()
    await made.second.start()
    targets = [f"127.0.0.1:{server.port}" for server in (made.first, made.second)]
    made.link = Link(targets, made.owner, made.tally, 10**10)
    try:
        await made.link.connect()
        await made.until_served_by(made.first)
        yield made
    finally:
        made.link.close()
        await made.first.stop()
        await made.second.stop()


def in_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_HOME_EVERY_NS", 0)


@in_time
async def test_it_is_sent_away_without_an_error_and_comes_back_when_its_own_is_ready() -> None:
    async with scene() as made:
        made.first.leaving = True
        await made.until_served_by(made.second)
        at_home = made.first.answers
        await made.until_served_by(made.second)
        assert made.first.answers == at_home, "a server that is not ready is left alone"
        await made.first.stop()
        await made.until_served_by(made.second)
        made.first.leaving = False
        await made.first.start()
        await made.until_served_by(made.first)
        assert made.link.target == f"127.0.0.1:{made.first.port}".encode()
        assert made.owner.failed == []
        assert not made.tally.errors
        assert made.tally.counts.reconnects == 2


@in_time
async def test_what_another_server_takes_is_no_refusal() -> None:
    async with scene() as made:
        await made.first.stop()
        await made.until_served_by(made.second)
        assert "connect" not in made.tally.errors
        assert set(made.owner.failed) <= {"connection"}, "only what was under way may fail"
        assert len(made.owner.failed) <= 1


@in_time
async def test_rounds_in_which_nobody_takes_it_are_counted_until_one_does() -> None:
    async with scene() as made:
        await made.second.stop()
        await made.first.stop()
        await made.until(lambda: made.tally.errors["connect"] >= 2)
        await made.second.start()
        await made.until_served_by(made.second)


@in_time
async def test_a_server_that_goes_while_it_is_looked_at_again_does_no_harm() -> None:
    async with scene() as made:
        await made.first.stop()
        await made.until_served_by(made.second)
        for _ in range(5):
            await made.first.start()
            await made.until(lambda: made.link.target.endswith(str(made.first.port).encode()))
            await made.first.stop()
            await made.until_served_by(made.second)
        assert "connect" not in made.tally.errors
