"""Push, pop and ack leave no cycles behind: what they needed is gone at once, and the collector may run seldom."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from queen.engine.mode import mode_of
from queen.runtime import open_runtime
from queen.server import collector
from queen.server.listen import Instance, listen
from queen.settings import Settings
from tests.support.api import dumps
from tests.support.fake_clock import in_real_time

MARK = "a-payload-that-is-looked-for"
ROUNDS = 20


class Client:
    """One kept connection to a server in this process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """The parsed answer to one request."""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: q\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return json.loads(await self._reader.readexactly(int(length)))


Connect = Callable[[], Awaitable[Client]]


@contextlib.asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[tuple[Client, Connect]]:
    """A server in this process: a connection to it, and what makes another."""
    settings = Settings()
    stop, ready = asyncio.Event(), asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with open_runtime(settings, dsn) as runtime:
            instance = Instance(mode_of(settings), settings.database.pool_size)
            server = asyncio.ensure_future(listen(settings, sock, runtime, instance, stop, ready.set))
            await ready.wait()

            async def connect() -> Client:
                return Client(*await asyncio.open_connection(*sock.getsockname()))

            client = await connect()
            yield client, connect
            client.writer.close()
            stop.set()
            await server


async def life(client: Client, number: int) -> None:
    """The whole life of a few messages over several partitions."""
    items = [
        {"queue": "garbage", "partition": f"p{place % 3}", "payload": f"{MARK} {number} {place}"} for place in range(9)
    ]
    await client.ask("POST", "/api/v1/push", dumps({"items": items}))
    found = await client.ask("GET", "/api/v1/pop/queue/garbage?batch=100&partitions=10&wait=true")
    acks = [
        {**{key: one[key] for key in ("transactionId", "partitionId", "leaseId")}, "status": "completed"}
        for one in found["messages"]
    ]
    assert len(acks) == 9
    told = await client.ask("POST", "/api/v1/ack/batch", dumps({"acknowledgments": acks}))
    assert all(one["success"] for one in told)


@contextlib.contextmanager
def kept_garbage() -> Iterator[list[Any]]:
    """What only the collector would have freed, of what the block made; known after the block."""
    gc.collect()
    gc.disable()
    found: list[Any] = []
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def told_of(garbage: list[Any]) -> list[str]:
    """Classes of ours among the garbage, and whatever keeps one of the payloads."""
    mark = MARK.encode()
    return [
        type(one).__qualname__
        for one in garbage
        if type(one).__module__.startswith("queen.")
        or any(mark in kept for kept in gc.get_referents(one) if isinstance(kept, bytes | bytearray))
    ]


@in_real_time
async def test_the_life_of_a_message_leaves_no_cycles(database_dsn: str) -> None:
    async with serving(database_dsn) as (client, _):
        await life(client, -1)  # Makes the queue, and what is made once.
        with kept_garbage() as garbage:
            for number in range(ROUNDS):
                await life(client, number)
        assert told_of(garbage) == []
        # A few cycles of others, such as a timer that rang meanwhile, but none with every round.
        assert len(garbage) < ROUNDS


@in_real_time
async def test_a_connection_for_one_request_is_freed_at_its_end(database_dsn: str) -> None:
    async with serving(database_dsn) as (client, connect):
        await life(client, -1)
        with kept_garbage() as garbage:
            for number in range(ROUNDS):
                other = await connect()
                await life(other, number)
                other.writer.close()
                await other.writer.wait_closed()
            await life(client, ROUNDS)
        assert told_of(garbage) == []


def test_the_collector_runs_as_before_after_the_block() -> None:
    before = gc.get_threshold()
    with collector.seldom_run():
        assert gc.get_threshold() == collector.THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
