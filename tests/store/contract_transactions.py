"""What a transaction must do in every store: messages and acks together, or nothing."""

from __future__ import annotations

import pytest

from queen import errors
from queen.store.base import Acked, AckRow, Stored
from tests.store.bench import GROUP, LEASE, OTHER_LEASE, Bench, ids_of, messages, on_bench


class TransactionContract:
    """The part of the suite about transactions."""

    @on_bench
    async def test_messages_and_acks_happen_together(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number, batch=1)
        other = await bench.place("invoices", "7")
        done = await bench.store.transact(
            messages({other: ("x", "y", "x")}), [AckRow(number, GROUP, LEASE, completed=0)], []
        )
        assert done.pushed == [Stored(0, False), Stored(1, False), Stored(0, True)]
        assert (done.acked, done.failed) == ([Acked(1, -1, 0, True)], [])
        assert (await bench.standing(other)).head == 2
        assert ids_of(await bench.pop(number)) == ["b"]

    @on_bench
    async def test_failures_are_charged_in_a_transaction_too(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        done = await bench.store.transact(None, [], [AckRow(number, GROUP, LEASE, dead=0, error=b"bad")])
        assert (done.pushed, done.acked) == ([], [])
        assert [(row.acked, row.released, row.dead_offset) for row in done.failed] == [(0, True, 0)]
        assert await bench.dead_letters() == [(0, b"a", b"bad", 0)]

    @on_bench
    async def test_a_message_that_is_stored_already_refuses_everything(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        with pytest.raises(errors.TransactionRefused) as refusal:
            await bench.store.transact(
                messages({number: ("c", "c", "b")}), [AckRow(number, GROUP, LEASE, completed=1)], []
            )
        assert (refusal.value.reason, refusal.value.position) == ("duplicate", 2)
        standing = await bench.standing(number)
        assert (standing.head, standing.acked, standing.lease_id is None) == (2, -1, False)

    @on_bench
    async def test_an_ack_that_changes_nothing_refuses_everything(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        for plain, failures in (
            ([AckRow(number, GROUP, OTHER_LEASE, completed=1)], []),
            ([], [AckRow(number, GROUP, OTHER_LEASE, failed=0)]),
            ([AckRow(number, b"nobody", None, completed=1)], []),
        ):
            with pytest.raises(errors.TransactionRefused) as refusal:
                await bench.store.transact(messages({number: ("c",)}), plain, failures)
            assert refusal.value.reason == "ack_rejected"
        standing = await bench.standing(number)
        assert (standing.head, standing.acked) == (2, -1)

    @on_bench
    async def test_a_partition_that_is_gone_refuses_everything(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        with pytest.raises(errors.TransactionRefused) as refusal:
            await bench.store.transact(
                messages({number: ("c",), number + 1000: ("d",)}), [AckRow(number, GROUP, LEASE, completed=0)], []
            )
        assert (refusal.value.reason, refusal.value.position) == ("gone", 1)
        standing = await bench.standing(number)
        assert (standing.head, standing.acked) == (1, -1)

    @on_bench
    async def test_text_that_cannot_be_stored_refuses_everything(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        batch = messages({number: ("c",)})
        batch.payloads[0] = b'"\xff"'
        with pytest.raises(errors.InvalidRequest):
            await bench.store.transact(batch, [AckRow(number, GROUP, LEASE, completed=0)], [])
        assert (await bench.standing(number)).acked == -1
