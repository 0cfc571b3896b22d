"""The in-memory store keeps the contract of a store, so that tests of the engine may trust it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from queen.store.base import Store
from tests.store.bench import Bench, OpenBench
from tests.store.contract import StoreContract
from tests.support.memory_store import MemoryStore


class MemoryBench(Bench):
    """The store in memory."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.store: Store = self.memory

    async def expire(self) -> None:
        for cursor in self.memory.cursors.values():
            cursor.lease_until = 0 if cursor.lease_until is not None else None

    async def grow_old(self, milliseconds: int) -> None:
        self.memory.advance(milliseconds / 1000)

    async def configure(self, queue: str, **options: object) -> None:
        self.memory.configure(queue, **options)

    async def delete_queue(self, queue: str) -> None:
        assert self.memory.delete_queue(queue)

    async def remove(self, partition_id: int, offset: int) -> None:
        kept = self.memory.partitions[partition_id].messages
        kept[:] = [message for message in kept if message.offset != offset]

    async def pass_time(self, seconds: float) -> None:
        self.memory.advance(seconds)

    async def dead_letters(self) -> list[tuple[int, bytes, bytes, int]]:
        return [(one.offset, one.transaction_id, one.error, one.retries) for one in self.memory.dead_letters]


@asynccontextmanager
async def _open() -> AsyncIterator[Bench]:
    yield MemoryBench()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def open_bench(self) -> OpenBench:
        return _open
