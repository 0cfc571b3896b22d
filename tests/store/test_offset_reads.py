"""Reads by offset while epochs are opened, emptied and dropped."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from queen import errors
from queen.runtime import open_runtime
from queen.store.admin.offsets import Offsets, Read
from tests.sql.client import Session
from tests.sql.upkeep import close, expire, leave
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


LASTS_S = 4.0


def test_a_reader_follows_while_epochs_come_and_go(database_dsn: str) -> None:
    """Every message kept is read once and in order; what retention took is told, never skipped in silence."""
    head = at = gone = 0
    done = threading.Event()
    failures: list[BaseException] = []

    def run(work: Callable[[Session], None]) -> None:
        try:
            with Session(database_dsn) as own:
                while not done.is_set():
                    work(own)
        except BaseException as error:
            failures.append(error)

    def write(own: Session) -> None:
        nonlocal head
        # Not stored while the upkeep holds the partition, or when an epoch was opened in the middle.
        with contextlib.suppress(psycopg.errors.CheckViolation):
            if own.push({p: [f"t{n}" for n in range(head, head + 20)]}) != [-1]:
                head += 20

    def keep_up(own: Session) -> None:
        with contextlib.suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            close(own)
            expire(own)
            leave(own)

    def follow(own: Session) -> None:
        nonlocal at
        at = look(own, at)
        look(own, random.randrange(at + 1))  # And where retention is at work.

    def look(own: Session, start: int) -> int:
        """One read; where to go on."""
        nonlocal gone
        types = ("text[]", "text[]", "bigint[]", "bigint[]", "bigint")
        try:
            *rows, end = own.call("read_records", types, ["q"], ["p"], [start], [5_000], 1 << 20)
        except psycopg.errors.UndefinedTable:
            return start
        if start < end.first_offset:
            gone += 1
            return int(end.first_offset)
        assert [row.offset for row in rows] == list(range(start, start + len(rows)))
        assert [row.transaction_id for row in rows] == [f"t{row.offset}" for row in rows]
        assert rows or start == end.next_offset
        return start + len(rows)

    with Session(database_dsn) as session:
        p = session.partition()
        session.configure("q", retentionEnabled=True, retentionSeconds=1, dedupWindowSeconds=0)
    threads = [threading.Thread(target=run, args=(work,)) for work in (write, keep_up, follow)]
    for thread in threads:
        thread.start()
    done.wait(LASTS_S)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    print(f"{head} written, read up to {at}, {gone} reads of what was gone")
    assert at > 100
    assert gone > 0
