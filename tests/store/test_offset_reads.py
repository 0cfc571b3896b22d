"""Reads by offset that meet an epoch which is dropped at that moment: looked up again, a few times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from queen import errors
from queen.runtime import open_runtime
from queen.store.admin.offsets import Offsets, Read
from tests.sql.client import Session
from tests.store.test_gone_epochs import SETTINGS

READS = [Read("q", "p", 0, 1 << 20)]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_read_looks_again_when_an_epoch_is_gone(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    read, tries = Offsets._records, 0

    async def work() -> list[bytes]:
        async with open_runtime(SETTINGS, database_dsn) as runtime:
            [found] = await runtime.admin.offsets.read_records(READS, 1 << 20)
            return [record.payload for record in found.records]

    with Session(database_dsn) as session:
        session.push({session.partition(): ["a"]})
        session.rows("alter table {s}.messages_1 rename to aside")

        async def records(self: Offsets, reads: Sequence[Read], total: int) -> Any:
            nonlocal tries
            tries += 1
            if tries > failures:
                session.rows("alter table if exists {s}.aside rename to messages_1")
            return await read(self, reads, total)

        monkeypatch.setattr(Offsets, "_records", records)
        if failures < 3:
            assert asyncio.run(work()) == [b'"a"']
        else:
            with pytest.raises(errors.EpochGone):
                asyncio.run(work())
