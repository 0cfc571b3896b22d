"""The bench on which the contract of a store is tested: a store, what the protocol lacks, and short ways to call it."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from queen.store.base import Acked, AckRow, PopBatch, PushBatch, Span, Standing, Store

GROUP = b"workers"
LEASE, OTHER_LEASE = uuid.UUID(int=7).bytes, uuid.UUID(int=8).bytes
LIMIT_S = 60.0


class Bench(ABC):
    """A store, and what tests need beside the protocol."""

    store: Store

    @abstractmethod
    async def expire(self) -> None:
        """Every lease and retry delay ends now."""

    @abstractmethod
    async def grow_old(self, milliseconds: int) -> None:
        """Every sign of life, and the lead, are this much older now."""

    @abstractmethod
    async def configure(self, queue: str, **options: object) -> None:
        """Set options of a queue."""

    @abstractmethod
    async def delete_queue(self, queue: str) -> None:
        """Remove a queue."""

    @abstractmethod
    async def remove(self, partition_id: int, offset: int) -> None:
        """Take one message out, so that the offsets have a gap."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """What is stored, and what is scheduled, is so much older at once."""

    @abstractmethod
    async def dead_letters(self) -> list[tuple[int, bytes, bytes, int]]:
        """(offset, transaction id, error, retries) of each, the oldest first."""

    async def place(self, queue: str = "orders", partition: str = "eu") -> int:
        """The id of a partition."""
        return (await self.store.resolve([queue.encode()], [partition.encode()]))[0].partition_id

    async def push(self, number: int, *ids: str) -> tuple[int, ...]:
        """Store messages under these transaction ids; the payload of x is {"x":1}."""
        return await self.store.push(messages({number: ids}))

    async def filled(self, *ids: str) -> int:
        """A partition with messages, and a cursor of the group before them."""
        number = await self.place()
        await self.push(number, *ids)
        await self.store.open_cursors([number], [GROUP])
        return number

    async def pop(self, number: int, batch: int = 10, lease: bytes | None = LEASE, group: bytes = GROUP) -> Span | None:
        """Lease from one partition."""
        spans = await self.store.pop(1, candidates((number, group, batch, lease)))
        return spans[0] if spans else None

    async def ack(self, row: AckRow) -> Acked | None:
        """One ack by the function that fits it."""
        plain = row.failed is None and row.dead is None
        outcomes = await (self.store.ack([row]) if plain else self.store.ack_failed([row]))
        return outcomes[0] if outcomes else None

    async def standing(self, number: int, group: bytes = GROUP) -> Standing:
        """What stands at a cursor."""
        return (await self.store.examine([number], [group]))[0]


OpenBench = Callable[[], AbstractAsyncContextManager[Bench]]


def on_bench(test: Callable[[Any, Bench], Coroutine[Any, Any, None]]) -> Callable[[Any, OpenBench], None]:
    """Runs a coroutine test with a fresh bench."""

    def run(self: Any, open_bench: OpenBench) -> None:
        async def whole() -> None:
            async with asyncio.timeout(LIMIT_S), open_bench() as bench:
                await test(self, bench)

        asyncio.run(whole())

    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return run


def messages(by_partition: dict[int, tuple[str, ...]], trace_id: bytes | None = None) -> PushBatch:
    """A batch; partitions ascend."""
    ids = [name.encode() for names in by_partition.values() for name in names]
    places = [place for place, names in enumerate(by_partition.values(), 1) for _ in names]
    return PushBatch(
        list(by_partition),
        [len(names) for names in by_partition.values()],
        places,
        ids,
        [payload(name) for name in ids],
        [trace_id] * len(ids) if trace_id else None,
        None,
    )


def payload(transaction_id: bytes) -> bytes:
    """The payload of the message with this id; the spaces must survive."""
    return b'{ "%b" : 1.50 }' % transaction_id


def candidates(*wanted: tuple[int, bytes, int, bytes | None], requests: list[int] | None = None) -> PopBatch:
    """(partition, group, batch, lease) of each; one request each unless said otherwise."""
    requests = requests or list(range(1, len(wanted) + 1))
    return PopBatch(
        [one[0] for one in wanted],
        [one[1] for one in wanted],
        requests,
        [one[2] for one in wanted],
        [one[3] for one in wanted],
        [60_000] * len(wanted),
        len(set(requests)) < len(requests),
    )


def ids_of(span: Span | None) -> list[str]:
    """The transaction ids of a span."""
    return [name.decode() for name in span.transaction_ids] if span else []
