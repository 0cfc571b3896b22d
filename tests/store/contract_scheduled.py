"""What every store must do with scheduled messages: outside the order until they are due, and then at its end."""

from __future__ import annotations

import json

import pytest

from queen import errors, model
from queen.model import Due
from queen.store.base import AckRow, PushBatch, Stored
from tests.store.bench import GROUP, LEASE, Bench, ids_of, messages, on_bench

BYTES_MAX = 1 << 20
LATER = Due(None, 60_000)


def scheduled(by_partition: dict[int, dict[str, Due | None]]) -> PushBatch:
    """A batch of messages by transaction id, each with its time or none."""
    batch = messages({number: tuple(own) for number, own in by_partition.items()})
    batch.dues = [due for own in by_partition.values() for due in own.values()]
    return batch


class ScheduledContract:
    """The part of the suite about scheduled messages."""

    @on_bench
    async def test_a_scheduled_message_stands_outside_the_order(self, bench: Bench) -> None:
        number = await bench.filled("a")
        batch = scheduled({number: {"b": LATER, "c": None, "d": LATER}})
        stored = await bench.store.push_deduplicating(batch)
        assert [(row.offset, row.duplicate) for row in stored] == [(-1, False), (1, False), (-2, False)]
        assert [row.due_ms is not None and 0 < row.due_ms <= 60_000 for row in stored] == [True, False, True]
        assert ids_of(await bench.pop(number)) == ["a", "c"]
        assert (await bench.standing(number)).head == 2

    @on_bench
    async def test_a_time_that_has_passed_means_at_once(self, bench: Bench) -> None:
        number = await bench.filled()
        batch = scheduled({number: {"a": Due(0, None), "b": Due(None, 0), "c": Due(1, None)}})
        assert await bench.store.push_deduplicating(batch) == [Stored(n, False) for n in range(3)]
        assert (await bench.store.place_due(10, BYTES_MAX, [])).due_ms is None

    @on_bench
    async def test_what_is_due_takes_its_place_in_the_order_of_the_times(self, bench: Bench) -> None:
        number = await bench.filled()
        dues = {"c": Due(None, 3000), "a": Due(None, 1000), "b": Due(None, 2000), "b2": Due(None, 2000)}
        await bench.store.push_deduplicating(scheduled({number: {**dues, "z": Due(None, 9_000_000)}}))
        early = await bench.store.place_due(10, BYTES_MAX, [])
        assert (early.moved, early.partition_ids, early.blocked) == (0, (), ())
        assert early.due_ms is not None
        assert 0 < early.due_ms <= 1000
        await bench.pass_time(60)
        await bench.push(number, "before")
        placed = await bench.store.place_due(10, BYTES_MAX, [])
        assert (placed.partition_ids, placed.heads, placed.moved, placed.blocked) == ((number,), (5,), 4, ())
        assert placed.due_ms is not None
        assert placed.due_ms > 1_000_000
        span = await bench.pop(number)
        assert span is not None
        assert ids_of(span) == ["before", "a", "b", "b2", "c"]
        assert list(span.created_ats) == sorted(span.created_ats)
        # The ids they were announced under.
        shown = {offset: first_id for offset, _, _, first_id in json.loads(span.extras or "")}
        assert shown == {
            offset: model.encode_id(model.MESSAGE, number, place)
            for offset, place in ((1, -2), (2, -3), (3, -4), (4, -1))
        }

    @on_bench
    async def test_a_call_places_so_many_and_says_that_there_is_more(self, bench: Bench) -> None:
        number = await bench.filled()
        names = [f"m{n}" for n in range(5)]
        dues: dict[str, Due | None] = {name: Due(None, 1 + n) for n, name in enumerate(names)}
        await bench.store.push_deduplicating(scheduled({number: dues}))
        await bench.pass_time(1)
        placed = await bench.store.place_due(2, BYTES_MAX, [])
        assert placed.moved == 2
        assert placed.due_ms is not None
        assert placed.due_ms <= 0
        assert (await bench.store.place_due(10, 1, [])).moved == 1, "one message, however large"
        assert (await bench.store.place_due(10, BYTES_MAX, [])).moved == 2
        assert (await bench.store.place_due(10, BYTES_MAX, [])).due_ms is None
        assert ids_of(await bench.pop(number)) == names

    @on_bench
    async def test_partitions_can_be_left_alone(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        dues: dict[str, Due | None] = {"a": Due(None, 1)}
        await bench.store.push_deduplicating(scheduled({one: dues, two: dues}))
        await bench.pass_time(1)
        placed = await bench.store.place_due(10, BYTES_MAX, [one])
        assert (placed.partition_ids, placed.due_ms) == ((two,), None)
        assert (await bench.store.place_due(10, BYTES_MAX, [])).partition_ids == (one,)

    @on_bench
    async def test_a_duplicate_names_the_place_that_was_announced_before_and_after_the_move(self, bench: Bench) -> None:
        number = await bench.filled()
        batch = scheduled({number: {"a": LATER}})
        assert (await bench.store.push_deduplicating(batch))[0].offset == -1
        assert await bench.store.push_deduplicating(batch) == [Stored(-1, True)]
        with pytest.raises(errors.DuplicateTransaction):
            await bench.push(number, "a")
        await bench.pass_time(61)
        assert (await bench.store.place_due(10, BYTES_MAX, [])).moved == 1
        assert await bench.store.push_deduplicating(batch) == [Stored(-1, True)]
        with pytest.raises(errors.DuplicateTransaction):
            await bench.push(number, "a")
        fresh = scheduled({number: {"b": LATER}})
        assert (await bench.store.push_deduplicating(fresh))[0].offset == -2, "a place is never used twice"

    @on_bench
    async def test_within_one_push_the_first_wins(self, bench: Bench) -> None:
        number = await bench.filled()
        batch = messages({number: ("a", "a", "b", "b")})
        batch.dues = [LATER, None, None, LATER]
        stored = await bench.store.push_deduplicating(batch)
        assert [row[:2] for row in stored] == [(-1, False), (-1, True), (0, False), (0, True)]

    @on_bench
    async def test_many_pushes_at_once_may_be_scheduled_too(self, bench: Bench) -> None:
        number = await bench.filled()
        parts = [scheduled({number: {"a": LATER, "b": None}}), scheduled({number: {"c": LATER}})]
        stored = await bench.store.push_together(parts)
        assert [[row.offset for row in rows] for rows in stored] == [[-1, 0], [-2]]

    @on_bench
    async def test_a_transaction_may_schedule(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        done = await bench.store.transact(
            scheduled({number: {"x": LATER, "y": None}}), [AckRow(number, GROUP, LEASE, completed=0)], []
        )
        assert [(row.offset, row.due_ms is None) for row in done.pushed] == [(-1, False), (1, True)]
        with pytest.raises(errors.TransactionRefused) as refusal:
            await bench.store.transact(scheduled({number: {"x": None}}), [], [])
        assert refusal.value.reason == "duplicate"

    @on_bench
    async def test_a_message_that_waits_cannot_be_acked_and_a_placed_one_can(self, bench: Bench) -> None:
        number = await bench.filled()
        await bench.store.push_deduplicating(scheduled({number: {"a": LATER}}))
        assert await bench.store.locate([number], [b"a"], [-1], [99]) == [None]
        await bench.pass_time(61)
        await bench.store.place_due(10, BYTES_MAX, [])
        assert await bench.store.locate([number], [b"a"], [-1], [99]) == [0]
        assert await bench.store.locate([number], [b"a"], [0], [99]) == [0]

    @on_bench
    async def test_a_deleted_queue_takes_its_scheduled_messages_along(self, bench: Bench) -> None:
        number = await bench.filled()
        await bench.store.push_deduplicating(scheduled({number: {"a": Due(None, 1), "b": LATER}}))
        await bench.delete_queue("orders")
        again = await bench.filled()
        await bench.pass_time(120)
        for _ in range(3):
            placed = await bench.store.place_due(1, BYTES_MAX, [])
            assert (placed.moved, placed.partition_ids, placed.blocked) == (0, (), ())
        assert placed.due_ms is None
        assert ids_of(await bench.pop(again)) == []
