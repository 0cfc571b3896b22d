"""Short ways to the things that tests of the engine are about: an engine over a fake store, messages, pops, acks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from queen.engine.ack import AckResult
from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from queen.engine.push import PushRequest
from queen.model import COMPLETED, QUEUE_MODE, AckItem, NewMessage
from queen.settings import EngineSettings
from tests.support.memory_store import MemoryStore


@asynccontextmanager
async def open_engine(store: MemoryStore, *, loops: bool = False, **settings: Any) -> AsyncIterator[Engine]:
    """A running engine; its background loops only when asked for. Stopped at the end.

    Its pops do not gather unless told so: most tests are about what a look brings, not when it begins."""
    engine = Engine(store, replace(EngineSettings(), **{"pop_gather_ms": 0, **settings}))
    if loops:
        engine.start()
    try:
        yield engine
    finally:
        await engine.stop(1.0)


def message(name: str, partition: str = "eu", queue: str = "orders", payload: bytes = b"1") -> NewMessage:
    """A message whose transaction id is `name`."""
    return NewMessage(queue, partition, name.encode(), payload)


async def push(engine: Engine, *names: str, partition: str = "eu", queue: str = "orders") -> PushRequest:
    """Push messages to one partition, in one request."""
    return await engine.push([message(name, partition, queue) for name in names])


async def pop(engine: Engine, queue: str | None = "orders", **query: Any) -> PopRequest:
    """One whole pop: prepared, and carried out."""
    asked = PopQuery(queue, **{"batch": 10, **query})
    request = await engine.prepare_pop(asked)
    await engine.pop(request, asked.wait_ms)
    return request


def ids_of(request: PopRequest) -> list[str]:
    """Transaction ids in the order of the answer."""
    return [name.decode() for _, span in request.spans for name in span.transaction_ids]


def items(request: PopRequest, kinds: dict[str, str] | None = None) -> list[AckItem]:
    """An acknowledgement for each message of a pop: completed, or as `kinds` says of some alone."""
    return [
        AckItem(name, partition.id, (kinds or {}).get(name.decode(), COMPLETED), request.lease_id or None, None)
        for partition, span in request.spans
        for name in span.transaction_ids
        if kinds is None or name.decode() in kinds
    ]


async def ack(engine: Engine, request: PopRequest, kinds: dict[str, str] | None = None) -> list[AckResult]:
    """Acknowledge what a pop returned."""
    return await engine.ack(request.group or QUEUE_MODE, items(request, kinds))
